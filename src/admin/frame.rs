//! What all pages share: where one is, what stands in the head and the foot, and what was just done.

use std::time::Duration;

use actix_web::HttpRequest;
use uuid::Uuid;

use super::assets;
use super::config::Colour;
use super::notice::{Notice, without_notice};
use super::shown::{self, Moment};
use super::theme::Theme;
use crate::api::State;
use crate::api::stats::by_status;
use crate::clock::Timestamp;
use crate::lifecycle::FinalStatus;

/// How long the ledger may think before the head is shown without its number.
const PATIENCE: Duration = Duration::from_millis(500);

/// The pages of the navigation, in its order: path, name, and the letter that follows `g` to get there.
const SECTIONS: &[(&str, &str, char)] = &[
    ("/", "Overview", 'o'),
    ("/events", "Events", 'e'),
    ("/dead-letters", "Dead letters", 'd'),
    ("/operations", "Operations", 'p'),
    ("/actors", "Actors", 'a'),
    ("/handlers", "Handlers", 'h'),
    ("/nodes", "Nodes", 'n'),
    ("/send", "Send", 's'),
    ("/audit", "Audit log", 'u'),
];

/// A link of the navigation.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    pub path: &'static str,
    pub name: &'static str,
    pub key: char,
    pub is_current: bool,
}

/// What all pages share.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    /// What the page is, for the browser's list and its headline.
    pub title: String,
    /// Path and query of this page, to come back to.
    pub here: String,
    /// The query without the notice in it.
    pub query: String,
    pub notice: Option<Notice>,
    pub theme: Theme,
    pub environment: Option<(String, Colour)>,
    /// How many dead letters there are, if the ledger can be read.
    pub dead: Option<i64>,
    pub node: Uuid,
    pub uptime: String,
    pub now: Timestamp,
    path: String,
}

impl Frame {
    /// The frame of a page.
    pub async fn of(state: &State, request: &HttpRequest, title: impl Into<String>) -> Self {
        let (now, query) = (state.pool.clock.now(), request.query_string());
        let asked = without_notice(query);
        let path = request.uri().path().to_owned();
        let environment = &state.dashboard.environment;
        Self {
            title: title.into(),
            here: if asked.is_empty() { path.clone() } else { format!("{path}?{asked}") },
            query: asked,
            notice: Notice::of(query),
            theme: Theme::of(request),
            environment: (!environment.is_empty()).then(|| (environment.clone(), state.dashboard.colour)),
            dead: dead(state).await,
            node: state.pool.persist.lease().node(),
            uptime: shown::span(now.since(state.started_at)),
            now,
            path,
        }
    }

    /// The navigation.
    pub fn links(&self) -> impl Iterator<Item = Link> {
        SECTIONS.iter().map(|(path, name, key)| {
            let below = self.path.strip_prefix(path).is_some_and(|rest| rest.starts_with('/'));
            let is_current = self.path == *path || (below && *path != "/");
            Link { path, name, key: *key, is_current }
        })
    }

    /// The node's id as far as people tell nodes apart by it.
    pub fn short_node(&self) -> String {
        shown::short(self.node)
    }

    pub fn version(&self) -> &'static str {
        env!("CARGO_PKG_VERSION")
    }

    /// Where a file of `assets/` is.
    pub fn asset(&self, name: &str) -> String {
        assets::url(name)
    }

    /// A moment as it is seen now.
    pub fn moment(&self, at: &Timestamp) -> Moment {
        Moment::of(*at, self.now)
    }

    pub fn number(&self, n: &i64) -> String {
        shown::number(*n)
    }
}

async fn dead(state: &State) -> Option<i64> {
    let counts = tokio::time::timeout(PATIENCE, state.reads().counts()).await.ok()?.ok()?;
    let dead =
        by_status(&counts).into_iter().filter(|(status, _)| status.final_status() == Some(FinalStatus::DeadLetter));
    Some(dead.map(|(_, n)| n).sum())
}
