//! What an operation is asked for with: every member is known and can be read, or the answer says which cannot.

use serde_json::{Map, Value};

use crate::api::filter::{self, NAMES, confine, word};
use crate::api::operator::texts;
use crate::api::problem::{Code, Problem};
use crate::api::query::unknown;
use crate::dead_letter::ForAll;
use crate::event::Violation;
use crate::lifecycle::OperationAction;
use crate::persist::Filter;

/// What can be asked for; the rest is the engine's own.
pub(crate) const ACTIONS: [OperationAction; 2] = [OperationAction::Redrive, OperationAction::Discard];

/// The highest rate that can be asked for: above it, it is as fast as it can.
pub(crate) const MOST_A_SECOND: u32 = 10_000;

const MEMBERS: [&str; 5] = ["action", "filter", "dry_run", "rate", "reason"];

/// An operation that was asked for.
#[derive(Debug)]
pub(super) struct Asked {
    pub for_all: ForAll,
    pub dry_run: bool,
    pub reason: Option<String>,
}

/// Reads the body.
pub(super) fn read(object: Option<Map<String, Value>>) -> Result<Asked, Problem> {
    let Some(mut object) = object else {
        return Err(Problem::new(Code::MissingBody, "what is to be done to which dead letters is not said"));
    };
    let known = |name: &String| MEMBERS.contains(&name.as_str());
    let wrong: Vec<Violation> =
        object.keys().filter(|name| !known(name)).map(|name| unknown(name, "member", &MEMBERS)).collect();
    if !wrong.is_empty() {
        return Err(Problem::of(Code::UnknownMember, wrong));
    }
    let filter = match object.remove("filter") {
        Some(Value::Object(members)) => which(members)?,
        _ => return Err(bad("filter", "`filter` has to be an object; `{}` is all dead letters")),
    };
    let action = match object.get("action") {
        Some(Value::String(text)) => word("action", text, &ACTIONS, OperationAction::as_str),
        _ => Err("`action` has to be `redrive` or `discard`".to_owned()),
    };
    let action = action.map_err(|detail| bad("action", &detail))?;
    if !ACTIONS.contains(&action) {
        return Err(bad("action", "`action` has to be `redrive` or `discard`"));
    }
    let rate = match object.get("rate") {
        None => None,
        Some(rate) => Some(records_a_second(rate)?),
    };
    let dry_run = match object.get("dry_run") {
        None => false,
        Some(Value::Bool(dry_run)) => *dry_run,
        Some(_) => return Err(bad("dry_run", "`dry_run` has to be true or false")),
    };
    let reason = match object.get("reason") {
        None | Some(Value::Null) => None,
        Some(Value::String(reason)) => Some(reason.clone()).filter(|reason| !reason.is_empty()),
        Some(_) => return Err(bad("reason", "`reason` has to be a text")),
    };
    Ok(Asked { for_all: ForAll { action, filter, rate }, dry_run, reason })
}

/// The filter; what is wrong in it is named with its place in the body.
fn which(members: Map<String, Value>) -> Result<Filter, Problem> {
    let read = || {
        let texts = texts(members, &NAMES)?;
        let pairs = texts.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let mut filter = filter::read(pairs).map_err(|wrong| Problem::of(Code::BadBody, wrong))?;
        confine(&mut filter, Code::BadBody)?;
        Ok(filter)
    };
    read().map_err(|problem: Problem| problem.inside("/filter"))
}

fn records_a_second(rate: &Value) -> Result<u32, Problem> {
    let within = 1.0..=f64::from(MOST_A_SECOND);
    // `50.0` is a whole number as well.
    let rate = rate.as_f64().filter(|rate| rate.fract() == 0.0 && within.contains(rate));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is whole, and within")]
    let rate = rate.map(|rate| rate as u32);
    rate.ok_or_else(|| bad("rate", &format!("`rate` is a number from 1 to {MOST_A_SECOND}")))
}

fn bad(member: &str, detail: &str) -> Problem {
    Problem::of(Code::BadBody, vec![Violation::new(member, "bad_value", detail)])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refused(body: Value) -> String {
        let Value::Object(object) = body else { panic!("an object") };
        read(Some(object)).unwrap_err().to_string()
    }

    #[test]
    fn the_whole_of_it_is_read() {
        let Value::Object(object) = json!({
            "action": "redrive", "filter": { "handler": "billing", "group": "9f" }, "rate": 50.0, "dry_run": true,
            "reason": "fixed",
        }) else {
            panic!("an object")
        };
        let asked = read(Some(object)).unwrap();
        assert_eq!((asked.for_all.action, asked.for_all.rate), (OperationAction::Redrive, Some(50)));
        assert_eq!(
            (asked.for_all.filter.handler.as_deref(), asked.for_all.filter.group.as_deref()),
            (Some("billing"), Some("9f"))
        );
        assert_eq!((asked.dry_run, asked.reason.as_deref()), (true, Some("fixed")));
    }

    #[test]
    fn nothing_is_begun_unless_it_is_clear_what_is_done_to_which() {
        assert!(read(None).unwrap_err().to_string().starts_with("missing_body"));
        for (body, code, member) in [
            (json!({ "action": "redrive" }), "bad_body", "`filter`"),
            (json!({ "action": "redrive", "filter": null }), "bad_body", "`filter`"),
            (json!({ "filter": {} }), "bad_body", "`action`"),
            (json!({ "filter": {}, "action": "group" }), "bad_body", "`action`"),
            (json!({ "filter": {}, "action": "redrive", "rate": 0 }), "bad_body", "`rate`"),
            (json!({ "filter": {}, "action": "redrive", "rate": "9" }), "bad_body", "`rate`"),
            (json!({ "filter": {}, "action": "redrive", "rate": null }), "bad_body", "`rate`"),
            (json!({ "filter": {}, "action": "redrive", "rate": 1.5 }), "bad_body", "`rate`"),
            (json!({ "filter": {}, "action": "redrive", "dry_run": 1 }), "bad_body", "`dry_run`"),
            (json!({ "filter": {}, "action": "redrive", "reason": 1 }), "bad_body", "`reason`"),
            (json!({ "filter": {}, "action": "redrive", "limit": 1 }), "unknown_member", "`limit`"),
            (json!({ "filter": { "typ": "a" }, "action": "redrive" }), "unknown_member", "`typ`"),
            (json!({ "filter": { "type": "" }, "action": "redrive" }), "bad_body", "`type`"),
            (json!({ "filter": { "final_status": "COMPLETED" }, "action": "redrive" }), "bad_body", "`final_status`"),
        ] {
            let refused = refused(body);
            assert!(refused.starts_with(code) && refused.contains(member), "{refused}");
        }
    }

    #[test]
    fn what_is_wrong_in_the_filter_is_named_with_its_place() {
        let Value::Object(object) = json!({ "action": "discard", "filter": { "since": "yesterday" } }) else {
            panic!("an object")
        };
        let problem = read(Some(object)).unwrap_err().to_value();
        assert_eq!(problem["errors"][0]["pointer"], "/filter/since");
    }
}
