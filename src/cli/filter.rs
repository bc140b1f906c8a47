//! Which events a list or an operation is about: the same options everywhere. Pure: the caller brings the time.

use std::time::Duration;

use chrono::{DateTime, Utc};
use clap::Args;
use clap::builder::NonEmptyStringValueParser;

use crate::clock::Timestamp;

/// The id of the group that these options make, for the arguments that exclude them.
pub(super) const GROUP: &str = "filter";

/// What events and dead letters can be chosen by. An empty value is a mistake: a variable that happened to be empty
/// must not mean all of them.
#[derive(Clone, Debug, Default, Args)]
#[group(id = GROUP, multiple = true)]
pub struct FilterArgs {
    /// Only events of this type
    #[arg(long = "type", value_name = "TYPE", value_parser = NonEmptyStringValueParser::new())]
    pub event_type: Option<String>,
    /// Only events of this handler
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub handler: Option<String>,
    /// Only events from this source
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    pub source: Option<String>,
    /// Only events with this event id
    #[arg(long, value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    pub event_id: Option<String>,
    /// Only events about this subject
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    pub subject: Option<String>,
    /// Only events whose last error holds this text
    #[arg(long, value_name = "TEXT", value_parser = NonEmptyStringValueParser::new())]
    pub error: Option<String>,
    /// Only events accepted since then: RFC 3339, or how long ago, such as 15m
    #[arg(long, value_name = "TIME", value_parser = when)]
    pub since: Option<When>,
    /// Only events accepted until then: RFC 3339, or how long ago, such as 15m
    #[arg(long, value_name = "TIME", value_parser = when)]
    pub until: Option<When>,
}

impl FilterArgs {
    /// The filters that were given, with the names of the API.
    pub(super) fn pairs(&self, now: Timestamp) -> Vec<(&'static str, String)> {
        let time = |when: Option<When>| when.map(|when| when.to_rfc3339(now));
        let given = [
            ("type", self.event_type.clone()),
            ("handler", self.handler.clone()),
            ("source", self.source.clone()),
            ("event_id", self.event_id.clone()),
            ("subject", self.subject.clone()),
            ("error", self.error.clone()),
            ("since", time(self.since)),
            ("until", time(self.until)),
        ];
        given.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}

/// A moment as it is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// By the calendar.
    At(DateTime<Utc>),
    /// That long ago.
    Ago(Duration),
}

impl When {
    pub(super) fn to_rfc3339(self, now: Timestamp) -> String {
        match self {
            Self::At(time) => Timestamp::from(time).to_rfc3339(),
            Self::Ago(span) => {
                let micros = i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
                Timestamp(now.0.saturating_sub(micros).max(0)).to_rfc3339()
            }
        }
    }
}

pub(super) fn when(text: &str) -> Result<When, String> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Ok(When::At(time.with_timezone(&Utc)));
    }
    humantime::parse_duration(text)
        .map(When::Ago)
        .map_err(|_| "expected a time such as 2026-01-05T08:00:00Z, or how long ago, such as 15m or 2h".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_means_that_long_ago() {
        let now = Timestamp(1_767_600_140_000_000);
        assert_eq!(when("15m").unwrap().to_rfc3339(now), "2026-01-05T07:47:20.000000Z");
        assert_eq!(when("2026-01-05T09:00:00+01:00").unwrap().to_rfc3339(now), "2026-01-05T08:00:00.000000Z");
        assert!(when("yesterday").is_err());
    }
}
