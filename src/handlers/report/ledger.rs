//! Reports of the ledger: which records, and which of their members. Pure: the reading is the handler's.

use std::collections::HashMap;

use super::cell::Cell;
use super::request::Wrong;
use crate::clock::Timestamp;
use crate::persist::{Filter, Record};

/// The columns that there are: the members of a record as the API shows it.
const COLUMNS: [&str; 24] = [
    "id",
    "event_id",
    "source",
    "type",
    "subject",
    "time",
    "datacontenttype",
    "extensions",
    "status",
    "final_status",
    "handler_name",
    "retry_count",
    "attempt_count",
    "crash_count",
    "round",
    "error",
    "next_attempt_at",
    "duplicate_of",
    "node",
    "origin",
    "created_at",
    "updated_at",
    "completed_at",
    "group",
];

/// The columns of a report that names none.
const USUAL: [&str; 12] = [
    "id",
    "event_id",
    "source",
    "type",
    "subject",
    "status",
    "final_status",
    "handler_name",
    "attempt_count",
    "error",
    "created_at",
    "completed_at",
];

/// What the ledger is asked.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Question {
    /// The members that are shown.
    pub columns: Vec<String>,
    /// Which records.
    pub filter: Filter,
}

/// The columns with these names, or the usual ones.
pub(super) fn columns_of(names: Option<Vec<String>>) -> Result<Vec<String>, Wrong> {
    let Some(names) = names else { return Ok(USUAL.iter().map(|&name| name.to_owned()).collect()) };
    if names.is_empty() {
        return Err(Wrong::new("columns", "names no column"));
    }
    match names.iter().position(|name| !COLUMNS.contains(&name.as_str())) {
        None => Ok(names),
        Some(at) => {
            let what = format!("is {:?}, and a record has only {}", names[at], COLUMNS.join(", "));
            Err(Wrong::new(format!("columns[{at}]"), what))
        }
    }
}

impl Question {
    /// What the report is about, for people.
    pub fn about(&self) -> String {
        let Filter { since, until, .. } = &self.filter;
        let time = |at: &Option<Timestamp>| at.map(Timestamp::to_rfc3339);
        let from = time(since).unwrap_or_else(|| "the beginning".to_owned());
        let to = time(until).unwrap_or_else(|| "the request for this report".to_owned());
        let texts = [
            ("type", self.filter.event_type.as_deref()),
            ("handler", self.filter.handler.as_deref()),
            ("status", self.filter.status.map(|status| status.as_str())),
            ("final status", self.filter.final_status.map(|end| end.as_str())),
            ("source", self.filter.source.as_deref()),
        ];
        let only: String = texts.iter().filter_map(|(name, text)| Some(format!(", {name} {}", (*text)?))).collect();
        format!("Events accepted from {from} until {to}{only}.")
    }

    /// The members of a record in the order of the columns.
    pub fn cells(&self, record: &Record) -> Result<Vec<Cell>, serde_json::Error> {
        let mut members: HashMap<String, Cell> = serde_json::from_str(&serde_json::to_string(record)?)?;
        Ok(self.columns.iter().map(|column| members.remove(column).unwrap_or(Cell::Empty)).collect())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use uuid::Uuid;

    use super::*;
    use crate::lifecycle::{FinalStatus, Status};
    use crate::persist::Origin;

    fn record() -> Record {
        Record {
            id: Uuid::from_u128(1),
            event_id: "e-1".to_owned(),
            source: "/shop".to_owned(),
            event_type: "order.paid".to_owned(),
            subject: None,
            time: None,
            datacontenttype: None,
            extensions: Default::default(),
            status: Status::Success,
            final_status: Some(FinalStatus::Completed),
            handler_name: Some("billing".to_owned()),
            retry_count: 0,
            attempt_count: 2,
            crash_count: 0,
            round: 1,
            error: None,
            next_attempt_at: None,
            duplicate_of: None,
            node: None,
            origin: Origin::embedded(),
            created_at: Timestamp(1_767_600_140_000_000),
            updated_at: Timestamp(1_767_600_140_000_000),
            completed_at: None,
            group: None,
            claim: None,
        }
    }

    #[test]
    fn every_member_of_a_record_is_a_column() {
        let Value::Object(members) = serde_json::to_value(record()).unwrap() else { panic!("a record is an object") };
        let (mut members, mut columns): (Vec<&str>, _) =
            (members.keys().map(String::as_str).collect(), COLUMNS.to_vec());
        members.sort_unstable();
        columns.sort_unstable();
        assert_eq!(members, columns);
        assert!(USUAL.iter().all(|usual| COLUMNS.contains(usual)));
    }

    #[test]
    fn a_record_is_shown_as_the_api_shows_it() {
        let columns = ["type", "attempt_count", "subject", "created_at"].map(str::to_owned).to_vec();
        let question = Question { columns: columns_of(Some(columns)).unwrap(), filter: Filter::default() };
        let cells = question.cells(&record()).unwrap();
        let texts: Vec<&str> = cells.iter().map(Cell::text).collect();
        assert_eq!(texts, ["order.paid", "2", "", "2026-01-05T08:02:20.000000Z"]);
        assert!(cells[1].is_number());
    }

    #[test]
    fn what_was_asked_is_said() {
        let mut question = Question { columns: vec![], filter: Filter::default() };
        assert_eq!(question.about(), "Events accepted from the beginning until the request for this report.");
        question.filter.since = Some(Timestamp(0));
        question.filter.status = Some(Status::Poison);
        question.filter.source = Some("/shop".to_owned());
        assert_eq!(
            question.about(),
            "Events accepted from 1970-01-01T00:00:00.000000Z until the request for this report, status POISON, source /shop."
        );
    }
}
