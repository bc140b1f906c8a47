//! The HTTP client of the commands: one base URL, one way to fail, and retries where sending again is safe.

use std::net::IpAddr;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use bytes::Bytes;
use clap::{Args, ValueEnum};
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{RequestBuilder, StatusCode, Url, redirect};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use super::pace::Pace;
use super::problem::{Failure, Problem};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
const LONGEST_RETRY_DELAY: Duration = Duration::from_secs(5);

/// How a command prints its result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    Text,
    /// One JSON document on stdout.
    Json,
}

/// What every command has that talks to a running node.
#[derive(Clone, Debug, Args)]
pub struct ClientArgs {
    /// Where the engine answers
    #[arg(long, env = "EVENKEEL_URL", hide_env_values = true, default_value = "http://127.0.0.1:8080",
          value_parser = base_url)]
    pub url: Url,
    /// How to print the result: text, or json for one JSON document
    #[arg(long, value_enum, value_name = "FORMAT", hide_possible_values = true, default_value_t = Output::Text)]
    pub output: Output,
}

fn base_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("{error}; expected something like http://127.0.0.1:8080"))?;
    if matches!(url.scheme(), "http" | "https") && url.has_host() {
        Ok(url)
    } else {
        Err("expected http:// or https:// and a host, such as http://127.0.0.1:8080".to_owned())
    }
}

/// An id that stands in a path.
pub(super) fn event_id(text: &str) -> Result<String, String> {
    in_path(text).map_err(|error| format!("{error}; find its record with `evenkeel events ls --event-id {text}`"))
}

/// A text that can be a segment of a path. URLs drop the others whichever way they are spelled, and what is left would
/// be another path: without its id a redrive is one of all dead letters.
pub(super) fn in_path(text: &str) -> Result<String, String> {
    if matches!(text, "" | "." | "..") { Err("it cannot stand in a path".to_owned()) } else { Ok(text.to_owned()) }
}

/// A running node as the commands see it.
#[derive(Clone, Debug)]
pub(super) struct Client {
    http: reqwest::Client,
    base: Url,
}

/// The answer to a submission: accepted or refused, but an answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub status: StatusCode,
    pub body: Bytes,
    retry_after: Option<Duration>,
    url: Url,
}

impl Client {
    /// A client for this node; nothing is asked yet.
    pub fn new(args: &ClientArgs) -> anyhow::Result<Self> {
        let mut http = reqwest::Client::builder()
            .user_agent(concat!("evenkeel/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(REQUEST_TIMEOUT)
            // A redirected POST turns into a GET: better to say where the node really is.
            .redirect(redirect::Policy::none());
        if is_loopback(&args.url) {
            // A proxy cannot know this machine's own addresses.
            http = http.no_proxy();
        }
        Ok(Self { http: http.build()?, base: args.url.clone() })
    }

    /// The URL of a resource; its segments are encoded, `/` included.
    pub fn url(&self, segments: &[&str]) -> Url {
        let mut url = self.base.clone();
        url.set_query(None);
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["api", "v1"]).extend(segments);
        }
        url
    }

    /// Asks once.
    pub async fn get<T: DeserializeOwned>(&self, url: &Url) -> Result<T, Failure> {
        let answer = exchange(self.http.get(url.clone()), url).await?;
        if answer.status != StatusCode::OK {
            return Err(answer.into_failure());
        }
        serde_json::from_slice(&answer.body).map_err(|error| Failure::unreadable(url, error))
    }

    /// Asks once for a change. Whether it was made if there is no answer, only another look can say.
    pub async fn post<T: DeserializeOwned>(&self, url: &Url, body: &impl Serialize) -> Result<T, Failure> {
        let answer = exchange(self.http.post(url.clone()).json(body), url).await?;
        if !answer.status.is_success() {
            return Err(answer.into_failure());
        }
        serde_json::from_slice(&answer.body).map_err(|error| Failure::unreadable(url, error))
    }

    /// Submits events that have ids, so that asking again after a lost answer does no harm: a node that is away or
    /// busy is asked again until `pace.retry_total` has passed. `on_outage` hears of the first time.
    pub async fn submit(
        &self,
        content_type: &'static str,
        body: Bytes,
        pace: &Pace,
        on_outage: &mut dyn FnMut(&Failure),
    ) -> Result<Answer, Failure> {
        let url = self.url(&["events"]);
        let attempt = || async {
            let request = self.http.post(url.clone()).header(CONTENT_TYPE, content_type).body(body.clone());
            let answer = exchange(request, &url).await?;
            let failed = answer.status.is_server_error() || answer.status == StatusCode::TOO_MANY_REQUESTS;
            if failed { Err(answer.into_failure()) } else { Ok(answer) }
        };
        let deadline = Instant::now() + pace.retry_total;
        let mut heard = false;
        attempt
            .retry(backoff(pace))
            .sleep(tokio::time::sleep)
            .when(Failure::is_passing)
            .adjust(|failure, delay| {
                let left = deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())?;
                let asked = failure.retry_after().unwrap_or_default();
                // The last try is at the end; who asks for more time than that is not waited for.
                (asked <= left).then_some(delay?.max(asked).min(left))
            })
            .notify(|failure, _| {
                if !std::mem::replace(&mut heard, true) {
                    on_outage(failure);
                }
            })
            .await
    }
}

fn backoff(pace: &Pace) -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(pace.retry_first)
        .with_max_delay(LONGEST_RETRY_DELAY)
        .without_max_times()
        .with_jitter()
}

async fn exchange(request: RequestBuilder, url: &Url) -> Result<Answer, Failure> {
    let response = request.send().await.map_err(|error| Failure::unreachable(url, &error))?;
    let status = response.status();
    let seconds = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    let body = response.bytes().await.map_err(|error| Failure::unreachable(url, &error))?;
    Ok(Answer { status, body, retry_after: seconds.map(Duration::from_secs), url: url.clone() })
}

impl Answer {
    /// The answer as a refusal.
    pub fn into_failure(self) -> Failure {
        let problem = Problem::from_body(self.status, &self.body);
        Failure::Refused { status: self.status, problem, retry_after: self.retry_after }
    }

    /// The answer as one that cannot be read.
    pub fn unreadable(&self, cause: impl std::fmt::Display) -> Failure {
        Failure::unreadable(&self.url, cause)
    }
}

impl Failure {
    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(url: &str) -> Client {
        Client::new(&ClientArgs { url: base_url(url).unwrap(), output: Output::Text }).unwrap()
    }

    #[test]
    fn paths_keep_the_bases_own_and_encode_slashes() {
        let url = client("https://example.org/evenkeel/?x=1").url(&["events", "a/b c"]);
        assert_eq!(url.as_str(), "https://example.org/evenkeel/api/v1/events/a%2Fb%20c");
    }

    #[test]
    fn a_url_needs_a_scheme_and_a_host() {
        assert!(base_url("127.0.0.1:8080").is_err());
        assert!(base_url("ftp://example.org").is_err());
    }

    #[test]
    fn an_id_that_a_path_would_lose_is_refused() {
        assert!(["", ".", ".."].into_iter().all(|text| in_path(text).is_err()));
        assert_eq!(event_id("a/..").unwrap(), "a/..");
    }

    #[test]
    fn this_machine_is_asked_without_a_proxy() {
        let loopback = |text| is_loopback(&base_url(text).unwrap());
        assert!(loopback("http://[::1]:8080") && loopback("http://127.0.0.2") && loopback("http://localhost"));
        assert!(!loopback("http://example.org"));
    }
}
