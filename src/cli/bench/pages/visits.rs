//! What is asked for: every page, every list of the API, and the questions that are dear to answer. Pure.
//!
//! A route that can be read and is not here fails a test, so that a new page is measured too.

use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use uuid::Uuid;

use super::fill::Landmarks;
use super::sample::{ARCHIVE, LANES, Plan, Sample};
use crate::api::cursor;
use crate::lifecycle::{FinalStatus, Status};

/// When an answer counts as there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Until {
    /// All of it.
    Whole,
    /// Its first lines: the rest is as long as the ledger.
    First,
}

/// One thing that is asked for again and again.
#[derive(Clone, Debug)]
pub(super) struct Visit {
    /// The pattern of its route.
    pub route: &'static str,
    pub path: String,
    pub until: Until,
}

/// Names and values of a query.
type Query<'a> = Vec<(&'a str, String)>;

/// All visits, in the order in which they are made.
pub(super) fn visits(plan: Plan, marks: &Landmarks) -> Vec<Visit> {
    let mut visits = plain(plan, marks);
    for query in filters(plan, marks) {
        visits.push(list("/api/v1/events", &query));
        visits.push(list("/events", &query));
    }
    for query in of_the_dead(marks) {
        visits.push(list("/api/v1/dead-letters", &query));
        visits.push(list("/dead-letters", &query));
    }
    let exports = [vec![], vec![("type", "export.finished".to_owned())], vec![("form", "event".to_owned())]];
    visits.extend(exports.iter().map(|query| Visit { until: Until::First, ..list("/api/v1/events.ndjson", query) }));
    visits.extend(singles(marks));
    visits.extend(logs(plan, marks));
    visits
}

fn visit(route: &'static str, path: impl Into<String>) -> Visit {
    Visit { route, path: path.into(), until: Until::Whole }
}

fn list(route: &'static str, query: &[(&str, String)]) -> Visit {
    let pair = |(name, value): &(&str, String)| format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC));
    let query: Vec<String> = query.iter().map(pair).collect();
    visit(route, if query.is_empty() { route.to_owned() } else { format!("{route}?{}", query.join("&")) })
}

/// What has no list behind it, or one that is always short.
fn plain(plan: Plan, marks: &Landmarks) -> Vec<Visit> {
    let fixed = [
        "/",
        "/actors",
        "/handlers",
        "/nodes",
        "/operations",
        "/audit",
        "/send",
        "/api/v1/actors",
        "/api/v1/handlers",
        "/api/v1/nodes",
        "/api/v1/operations",
        "/api/v1/schemas",
        "/api/v1/stats",
        "/api/v1/alerts",
        "/api/v1/audit",
        "/api/v1/chemicals",
        "/api/v1/dead-letters/groups",
        "/metrics",
        "/livez",
        "/readyz",
        "/openapi.json",
        "/docs",
        "/docs/",
    ];
    let mut visits: Vec<Visit> = fixed.into_iter().map(|path| visit(path, path)).collect();
    visits.extend(["1h", "6h", "24h"].map(|range| visit("/", format!("/?range={range}"))));
    visits.push(Visit { until: Until::First, ..visit("/live", "/live") });
    visits.push(visit("/docs/{file}", "/docs/swagger-ui.css"));
    visits.push(visit("/problems/{code}", "/problems/not_found"));
    visits.push(visit("/assets/{set}/{file}", crate::admin::style()));
    visits.push(visit("/api/v1/chemicals", "/api/v1/chemicals?status=BANNED&limit=250"));
    visits.push(visit("/api/v1/chemicals/{cas}", "/api/v1/chemicals/100007-07-7"));
    let groups = ["sort=last_seen", "handler=billing", "final_status=NO_HANDLER", "limit=250"];
    visits.extend(
        groups.map(|query| visit("/api/v1/dead-letters/groups", format!("/api/v1/dead-letters/groups?{query}"))),
    );
    let deep = cursor::encode(marks.deep);
    visits.push(visit("/operations", format!("/operations?cursor={deep}")));
    visits.push(visit(
        "/api/v1/operations",
        format!("/api/v1/operations?cursor={}&limit=250", cursor::encode(plan.id(plan.records - 1))),
    ));
    let operation = marks.operation;
    visits.push(visit("/operations/{id}", format!("/operations/{operation}")));
    visits.push(visit("/api/v1/operations/{id}", format!("/api/v1/operations/{operation}")));
    visits
}

/// The questions to the list of events: each filter with what is frequent, what is rare and what is nowhere.
fn filters<'a>(plan: Plan, marks: &Landmarks) -> Vec<Query<'a>> {
    let text = |text: &str| text.to_owned();
    let ago = |hours: u64| plan.now.before(Duration::from_secs(hours * 3_600)).to_rfc3339();
    let deep = cursor::encode(marks.deep);
    let mut all: Vec<Query<'a>> = vec![vec![], vec![("cursor", deep.clone())], vec![("event_id", text("nobody-1"))]];
    all.extend(Status::ALL.iter().map(|status| vec![("status", text(status.as_str()))]));
    all.extend(FinalStatus::ALL.iter().map(|end| vec![("final_status", text(end.as_str()))]));
    for (name, values) in [
        ("type", ["order.paid", "export.finished", "nobody.knows"]),
        ("handler", ["billing", "exports", "nobody"]),
        ("source", ["/shop", "urn:partner:north", "/nowhere"]),
        ("error", ["connection refused", "process died", "no such text"]),
    ] {
        all.extend(values.map(|value| vec![(name, text(value))]));
    }
    all.push(vec![("handler", text(LANES[ARCHIVE].name))]);
    all.push(vec![("subject", text("customer/4711"))]);
    if let Some(duplicate) = marks.firsts.get(&Status::Duplicate) {
        all.push(vec![("event_id", duplicate.event_id.clone())]);
    }
    all.push(vec![("since", ago(1))]);
    all.push(vec![("since", ago(24))]);
    all.push(vec![("since", ago(13)), ("until", ago(12))]);
    all.push(vec![("since", ago(1)), ("type", text("nobody.knows"))]);
    all.push(vec![("since", ago(24)), ("type", text("export.finished"))]);
    all.push(vec![("since", ago(24)), ("status", text("POISON"))]);
    all.push(vec![("since", ago(13)), ("until", ago(12)), ("status", text("FAILED_MAX_RETRY"))]);
    all.push(vec![("until", ago(20)), ("handler", text("exports"))]);
    all.push(vec![("cursor", deep.clone()), ("status", text("DISCARDED"))]);
    all.push(vec![("cursor", deep.clone()), ("type", text("nobody.knows"))]);
    // The cursor of a page is before all that was taken in since: what is left is what came late.
    all.push(vec![("since", ago(12)), ("cursor", deep)]);
    all.push(vec![("status", text("SUCCESS")), ("handler", text("exports")), ("source", text("/warehouse"))]);
    all.push(vec![("status", text("SUCCESS")), ("error", text("answered"))]);
    all.extend(marks.groups.first().map(|group| vec![("group", group.clone())]));
    all
}

/// The questions to the list of dead letters.
fn of_the_dead<'a>(marks: &Landmarks) -> Vec<Query<'a>> {
    let text = |text: &str| text.to_owned();
    let deep = cursor::encode(marks.deep);
    let mut all: Vec<Query<'a>> = vec![
        vec![],
        vec![("cursor", deep.clone())],
        vec![("handler", text("billing"))],
        vec![("handler", text("exports"))],
        vec![("handler", text("nobody"))],
        vec![("type", text("order.refunded"))],
        vec![("type", text("nobody.knows"))],
        vec![("source", text("/nowhere"))],
        vec![("subject", text("customer/4711"))],
        vec![("error", text("connection refused"))],
        vec![("error", text("no such text"))],
        vec![("error", text("not known")), ("type", text("mail.welcome"))],
        vec![("status", text("POISON"))],
        vec![("final_status", text("NO_HANDLER"))],
    ];
    for group in [marks.groups.first(), marks.groups.get(marks.groups.len() / 2), marks.groups.last()] {
        all.extend(group.map(|group| vec![("group", group.clone())]));
    }
    all.extend(marks.groups.first().map(|group| vec![("group", group.clone()), ("cursor", deep.clone())]));
    all
}

/// Single events: of each status, with few and with many attempts.
fn singles(marks: &Landmarks) -> Vec<Visit> {
    let of = |record: &Sample| {
        let id: Uuid = record.id;
        [visit("/api/v1/events/{id}", format!("/api/v1/events/{id}")), visit("/events/{id}", format!("/events/{id}"))]
    };
    let mut visits: Vec<Visit> = marks.firsts.values().flat_map(of).collect();
    if let Some(record) = marks.firsts.get(&Status::Invalid) {
        visits.push(visit("/events/{id}/edit", format!("/events/{}/edit", record.id)));
    }
    if let Some(record) = marks.firsts.get(&Status::Success) {
        visits.push(visit("/api/v1/events/{id}", format!("/api/v1/events/{}", record.event_id)));
        visits.push(visit("/events", format!("/events?q={}", record.event_id)));
    }
    let questions = [
        format!("action=redrive&group={}", marks.groups.first().map_or("", String::as_str)),
        "action=discard".to_owned(),
        "action=redrive&error=no%20such%20text".to_owned(),
        "action=redrive&type=order.refunded".to_owned(),
    ];
    visits.extend(questions.map(|query| visit("/dead-letters/all", format!("/dead-letters/all?{query}"))));
    visits.push(visit("/dead-letters", "/dead-letters?sort=last_seen"));
    visits
}

/// What operators did.
fn logs(plan: Plan, marks: &Landmarks) -> Vec<Visit> {
    let text = |text: &str| text.to_owned();
    let record = marks.firsts.get(&Status::Discarded).map(|record| record.id.to_string()).unwrap_or_default();
    let questions: [Query<'_>; 5] = [
        vec![("cursor", cursor::encode(marks.deep))],
        vec![("actor", text("ada"))],
        vec![("actor", text("nobody"))],
        vec![("action", text("begin_redrive"))],
        vec![("target", record)],
    ];
    let until = vec![("until", plan.now.before(Duration::from_secs(20 * 3_600)).to_rfc3339())];
    let both = |query: &Query<'_>| [list("/api/v1/audit", query), list("/audit", query)];
    questions.iter().flat_map(both).chain([list("/api/v1/audit", &until)]).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::clock::Timestamp;
    use crate::{admin, api};

    #[test]
    fn every_route_that_can_be_read_is_measured() {
        let plan = Plan { records: 1_000, now: Timestamp(1_767_600_140_000_000) };
        let firsts: BTreeMap<Status, Sample> =
            (0..10).map(|n| plan.record(n)).map(|record| (record.status, record)).collect();
        let groups = vec!["a".to_owned()];
        let marks = Landmarks { firsts, deep: plan.id(100), groups, operation: plan.id(1) };
        let measured: BTreeSet<String> = visits(plan, &marks).iter().map(|visit| visit.route.to_owned()).collect();
        let readable: BTreeSet<String> = api::routes()
            .into_iter()
            .chain(admin::routes())
            .filter(|at| at.allow.contains("GET"))
            .map(|at| api::plain(at.path))
            .collect();
        assert_eq!(measured, readable);
    }
}
