//! What an event says about a compound, or what is wrong with it. Pure.

use std::time::Duration;

use chrono::DateTime;
use serde::Deserialize;
use serde_json::{Deserializer, Value};

use super::{Options, cas};
use crate::clock::Timestamp;
use crate::event::{Event, Extensions, Payload, PayloadKind};
use crate::handle::Deliver;
use crate::persist::{ChemicalChange, Description};

/// How far ahead of our clock the registry's may be. The newest change wins, so that one from next year would hold its
/// compound until then.
const MOST_AHEAD: Duration = Duration::from_secs(24 * 3_600);

/// The longest text of a member, in bytes.
const MAX_TEXT: usize = 1_024;

/// The data of an event. Members that are not here belong to somebody else.
#[derive(Debug, Deserialize)]
struct Data {
    cas: String,
    status: String,
    changed_at: String,
    previous_status: Option<String>,
    name: Option<String>,
    formula: Option<String>,
    inchikey: Option<String>,
    pubchem_cid: Option<i64>,
    molecular_weight: Option<f64>,
}

/// A member that is wrong, and why.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{member}`: {why}")]
pub(super) struct Wrong {
    member: String,
    why: String,
}

impl Wrong {
    fn new(member: &str, why: impl ToString) -> Self {
        Self { member: member.to_owned(), why: why.to_string() }
    }
}

/// The change that an event tells.
pub(super) fn read(delivery: &Deliver<Payload>, options: &Options, now: Timestamp) -> Result<ChemicalChange, Wrong> {
    let Deliver { event, attempt } = delivery;
    let data = data(event)?;
    cas::check(&data.cas).map_err(|error| Wrong::new("cas", error))?;
    check_status("status", &data.status, options)?;
    if let Some(status) = &data.previous_status {
        check_status("previous_status", status, options)?;
    }
    for (member, text) in [("name", &data.name), ("formula", &data.formula), ("inchikey", &data.inchikey)] {
        check_text(member, text.as_deref().unwrap_or_default())?;
    }
    if let Some(weight) = data.molecular_weight.filter(|weight| *weight <= 0.0) {
        return Err(Wrong::new("molecular_weight", format!("{weight} is no weight; it has to be above 0")));
    }
    Ok(ChemicalChange {
        record_id: attempt.record_id,
        changed_at: moment(&data.changed_at, now)?,
        sequence: sequence(&event.extensions),
        cas: data.cas,
        status: data.status,
        previous_status: data.previous_status,
        description: Description {
            name: data.name,
            formula: data.formula,
            inchikey: data.inchikey,
            pubchem_cid: data.pubchem_cid,
            molecular_weight: data.molecular_weight,
        },
        at: now,
    })
}

fn data(event: &Event<Payload>) -> Result<Data, Wrong> {
    // serde would take an array, by the places of its members.
    let is_object =
        |bytes: &&[u8]| event.data.kind() == PayloadKind::Json && bytes.trim_ascii_start().starts_with(b"{");
    let object = event.data.bytes.as_deref().filter(is_object);
    let object = object.ok_or_else(|| Wrong::new("data", "it is no object with `cas`, `status` and `changed_at`"))?;
    // From its text: in a `Value` the second of two members with one name would have replaced the first.
    let mut deserializer = Deserializer::from_slice(object);
    let data = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        // A question mark stands for a name that could not be read.
        Wrong::new(if matches!(path.as_str(), "." | "?") { "data" } else { &path }, error.inner())
    })?;
    deserializer.end().map_err(|error| Wrong::new("data", error))?;
    Ok(data)
}

fn check_status(member: &str, status: &str, options: &Options) -> Result<(), Wrong> {
    if options.statuses.iter().any(|known| known == status) {
        return Ok(());
    }
    Err(Wrong::new(member, format!("`{status}` is no status; there are {}", options.statuses.join(", "))))
}

fn check_text(member: &str, text: &str) -> Result<(), Wrong> {
    if text.len() > MAX_TEXT {
        return Err(Wrong::new(member, format!("{} bytes are too long; {MAX_TEXT} are allowed", text.len())));
    }
    if text.contains('\0') {
        return Err(Wrong::new(member, "it holds a NUL character"));
    }
    Ok(())
}

fn moment(text: &str, now: Timestamp) -> Result<Timestamp, Wrong> {
    let wrong = |why: String| Wrong::new("changed_at", why);
    let moment = DateTime::parse_from_rfc3339(text)
        .map_err(|error| wrong(format!("`{text}` is no time as RFC 3339 writes it ({error})")))?;
    let moment = Timestamp::from(moment);
    if moment > now.after(MOST_AHEAD) {
        return Err(wrong(format!("`{text}` is more than a day in the future")));
    }
    Ok(moment)
}

/// CloudEvents' extension `sequence` is a text that may be anything; only a number orders changes here.
fn sequence(extensions: &Extensions) -> Option<i64> {
    let number = match extensions.get("sequence")? {
        Value::String(text) => text.parse().ok()?,
        other => other.as_i64()?,
    };
    (number >= 0).then_some(number)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::handlers::webhook::sample;

    fn told(data: Value) -> Result<ChemicalChange, String> {
        told_as(&data.to_string())
    }

    fn told_as(data: &str) -> Result<ChemicalChange, String> {
        let delivery = sample::delivery(Payload::json(data.to_owned()));
        read(&delivery, &Options::default(), sample::NOW).map_err(|wrong| wrong.to_string())
    }

    /// A good change with one member changed, or taken out with `Null`.
    fn with(member: &str, value: Value) -> Result<ChemicalChange, String> {
        let mut data = json!({ "cas": "58-08-2", "status": "APPROVED", "changed_at": "2026-01-05T08:00:00Z" });
        data[member] = value;
        told(data)
    }

    #[test]
    fn three_members_are_enough_and_others_are_kept_or_left_alone() {
        let change = with("colour", json!("white")).unwrap();
        assert_eq!((change.cas.as_str(), change.status.as_str()), ("58-08-2", "APPROVED"));
        assert_eq!((change.changed_at.0, change.sequence), (1_767_600_000_000_000, None));
        assert_eq!((change.description, change.at), (Description::default(), sample::NOW));
        assert_eq!(with("name", json!("caffeine")).unwrap().description.name.as_deref(), Some("caffeine"));
        assert_eq!(with("pubchem_cid", json!(2519)).unwrap().description.pubchem_cid, Some(2_519));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let cases = [
            ("cas", json!("58-08-3"), "`cas`: `58-08-3` is no CAS number: its check digit would be 2"),
            ("cas", json!("caffeine"), "`cas`: `caffeine` is no CAS number"),
            ("cas", json!(58_082), "`cas`: invalid type: integer `58082`, expected a string"),
            ("status", json!("approved"), "`status`: `approved` is no status; there are REGISTERED, UNDER_REVIEW"),
            ("previous_status", json!("NEW"), "`previous_status`: `NEW` is no status"),
            ("changed_at", json!("yesterday"), "`changed_at`: `yesterday` is no time as RFC 3339 writes it"),
            ("changed_at", json!("2026-02-30T00:00:00Z"), "`changed_at`: `2026-02-30T00:00:00Z` is no time"),
            ("changed_at", json!("2026-01-05"), "`changed_at`: `2026-01-05` is no time"),
            ("changed_at", json!("2026-01-05T08:00:00"), "`changed_at`: `2026-01-05T08:00:00` is no time"),
            ("changed_at", json!("2036-01-05T08:00:00Z"), "`changed_at`: `2036-01-05T08:00:00Z` is more than a day"),
            ("name", json!("a\0b"), "`name`: it holds a NUL character"),
            ("formula", json!("C".repeat(1_025)), "`formula`: 1025 bytes are too long; 1024 are allowed"),
            ("molecular_weight", json!("194 g"), "`molecular_weight`: invalid type: string \"194 g\", expected f64"),
            ("molecular_weight", json!(-1), "`molecular_weight`: -1 is no weight; it has to be above 0"),
            ("molecular_weight", json!(0.0), "`molecular_weight`: 0 is no weight; it has to be above 0"),
        ];
        for (member, value, why) in cases {
            let wrong = with(member, value).unwrap_err();
            assert!(wrong.starts_with(why), "{wrong}");
        }
    }

    #[test]
    fn data_that_is_no_change_is_told_what_one_is() {
        let missing = told(json!({ "cas": "58-08-2" })).unwrap_err();
        assert!(missing.starts_with("`data`: missing field `status`"), "{missing}");
        for data in [json!(null), json!("58-08-2"), json!(["58-08-2", "APPROVED", "2026-01-05T08:00:00Z"])] {
            assert_eq!(told(data).unwrap_err(), "`data`: it is no object with `cas`, `status` and `changed_at`");
        }
        assert!(told_as("{").unwrap_err().starts_with("`data`: EOF"));
        let text = Payload { content_type: Some("text/plain".to_owned()), bytes: Some("{}".into()) };
        for payload in [text, Payload::default()] {
            let wrong = read(&sample::delivery(payload), &Options::default(), sample::NOW).unwrap_err();
            assert_eq!(wrong.to_string(), "`data`: it is no object with `cas`, `status` and `changed_at`");
        }
    }

    #[test]
    fn a_member_that_is_there_twice_and_a_number_beyond_all_are_named() {
        let good = r#""cas":"58-08-2","status":"APPROVED","changed_at":"2026-01-05T08:00:00Z""#;
        assert!(told_as(&format!(" {{{good}}}\n")).is_ok());
        let twice = told_as(&format!(r#"{{{good},"cas":"50-00-0"}}"#)).unwrap_err();
        assert!(twice.starts_with("`data`: duplicate field `cas`"), "{twice}");
        let beyond = told_as(&format!(r#"{{{good},"molecular_weight":1e999}}"#)).unwrap_err();
        assert!(beyond.starts_with("`molecular_weight`: number out of range"), "{beyond}");
        let more = told_as(&format!("{{{good}}} x")).unwrap_err();
        assert!(more.starts_with("`data`: trailing characters"), "{more}");
    }

    #[test]
    fn a_time_is_taken_with_its_offset_and_up_to_a_day_ahead() {
        let at = |text: &str| with("changed_at", json!(text)).unwrap().changed_at;
        assert_eq!(at("2026-01-05T09:00:00+01:00"), at("2026-01-05T08:00:00Z"));
        assert_eq!(at("2026-01-06T08:02:20Z"), sample::NOW.after(MOST_AHEAD));
    }

    #[test]
    fn a_sequence_is_a_number_or_none() {
        let sequence = |value: Value| sequence(&Extensions::from([("sequence".to_owned(), value)]));
        assert_eq!([json!("7"), json!("0007"), json!(7)].map(sequence), [Some(7); 3]);
        assert_eq!([json!("-1"), json!(-1), json!("7a"), json!(""), json!(true)].map(sequence), [None; 5]);
    }

    #[test]
    fn a_registry_may_have_words_of_its_own() {
        let data = json!({ "cas": "58-08-2", "status": "BANNED", "changed_at": "2026-01-05T08:00:00Z" });
        let delivery = sample::delivery(Payload::json(data.to_string()));
        let options = Options { statuses: vec!["BANNED".to_owned()] };
        assert_eq!(read(&delivery, &options, sample::NOW).unwrap().status, "BANNED");
    }
}
