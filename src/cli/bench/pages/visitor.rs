//! Who asks for the pages: on a fixed schedule, in turn. A visit begins at its moment whether or not those before it have
//! been answered, and is timed from that moment, so that no slow page hides behind the next.

use std::time::Duration;

use futures_util::StreamExt as _;
use reqwest::{Client, Response};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use super::visits::{Until, Visit};

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// What became of the visits to one address.
#[derive(Clone, Debug, Default)]
pub(super) struct Visited {
    pub took: Vec<Duration>,
    pub bytes: usize,
    /// Why one of them failed.
    pub failure: Option<String>,
}

/// Makes the visits in turn until the end; what became of each is in their order. All are made once at least.
pub(super) async fn visit(
    client: &Client,
    url: &str,
    visits: &[Visit],
    rate: u32,
    start: Instant,
    end: Instant,
    made: impl Fn(),
) -> anyhow::Result<Vec<Visited>> {
    let mut on_their_way = JoinSet::new();
    for (n, (place, visit)) in (0_u32..).zip(visits.iter().enumerate().cycle()) {
        let due = start + Duration::from_secs(1) * n / rate;
        if due >= end && n as usize >= visits.len() {
            break;
        }
        sleep_until(due).await;
        let (request, until) = (client.get(format!("{url}{}", visit.path)), visit.until);
        on_their_way.spawn(async move {
            let read = async { read(request.send().await?, until).await };
            let answer = timeout(PATIENCE, read).await.unwrap_or_else(|late| Err(late.into()));
            (place, answer, due.elapsed())
        });
        made();
    }
    let mut visited = vec![Visited::default(); visits.len()];
    for (place, answer, took) in on_their_way.join_all().await {
        let visited = &mut visited[place];
        visited.took.push(took);
        match answer {
            Ok(bytes) => visited.bytes = bytes,
            Err(error) => visited.failure = Some(error.to_string()),
        }
    }
    Ok(visited)
}

/// Listens to the stream of server-sent events until the end; says how often it said how everything stands.
pub(super) async fn listen(client: &Client, url: &str, end: Instant) -> anyhow::Result<usize> {
    let mut said = 0;
    let listening = async {
        let mut stream = answered(client.get(format!("{url}/live")).send().await?)?.bytes_stream();
        while let Some(chunk) = stream.next().await {
            said += chunk?.windows(4).filter(|letters| *letters == b"now\n").count();
        }
        Ok::<(), anyhow::Error>(())
    };
    match tokio::time::timeout_at(end, listening).await {
        Ok(Err(error)) => Err(error),
        Ok(Ok(())) | Err(_) => Ok(said),
    }
}

/// Reads an answer as far as is wanted; gives how many bytes that were.
async fn read(answer: Response, until: Until) -> anyhow::Result<usize> {
    let mut stream = answered(answer)?.bytes_stream();
    let mut bytes = 0;
    while let Some(chunk) = stream.next().await {
        bytes += chunk?.len();
        if until == Until::First && bytes > 0 {
            break;
        }
    }
    Ok(bytes)
}

fn answered(answer: Response) -> anyhow::Result<Response> {
    let status = answer.status();
    anyhow::ensure!(status.is_success() || status.is_redirection(), "it was answered with {status}");
    Ok(answer)
}
