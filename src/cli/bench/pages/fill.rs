//! Filling the ledger: rows of all its tables that agree with each other, kept counts and groups included, as if the
//! engine had written them in the course of a day.

use std::collections::{BTreeMap, HashMap};

use indicatif::ProgressBar;
use uuid::Uuid;

use super::rows::{Cell, Ledger, Rows, Table};
use super::sample::{ARCHIVE, LANES, Plan, Sample};
use super::surroundings;
use crate::event::checksum;
use crate::fingerprint::Fingerprint;
use crate::lifecycle::{FinalStatus, Status};

/// So many records are in memory at a time.
const BATCH: u64 = 5_000;

const RECORDS: Table = Table {
    name: "event_record",
    columns: "id, event_id, source, event_type, subject, content_type, data, bus, status, final_status, handler_name, \
              retry_count, attempt_count, crash_count, round, error, next_attempt_at, duplicate_of, created_at, \
              updated_at, completed_at, fingerprint",
};

const ATTEMPTS: Table = Table {
    name: "event_attempt",
    columns: "record_id, attempt_number, attempt_id, handler_name, node, status, started_at, completed_at, \
              processing_time, error_message",
};

const KEYS: Table = Table { name: "idempotency_key", columns: "event_id, source, record_id, checksum, processed_at" };

const LATE: Table = Table { name: "late_record", columns: "created_at, record_id" };

const DEATHS: Table = Table { name: "dead_letter", columns: "record_id, round, bus, reason, created_at, resolution" };

const COUNTS: Table = Table { name: "status_count", columns: "node, handler_name, status, n" };

const GROUPS: Table = Table {
    name: "dead_letter_group",
    columns: "node, fingerprint, n, handler_name, event_type, final_status, title, sample, first_seen, last_seen",
};

/// What is asked about: places in the ledger that are worth a look.
#[derive(Clone, Debug)]
pub(super) struct Landmarks {
    /// The first record of each status.
    pub firsts: BTreeMap<Status, Sample>,
    /// A record with all but a tenth of the ledger before it.
    pub deep: Uuid,
    /// Groups from the largest on.
    pub groups: Vec<String>,
    /// An operation that failed for many records.
    pub operation: Uuid,
}

/// A group of deaths.
struct Group {
    fingerprint: Fingerprint,
    n: u64,
    handler: Option<&'static str>,
    event_type: Option<String>,
    end: FinalStatus,
    sample: Option<String>,
    first: i64,
    last: i64,
}

/// The rows of a batch, and what is counted over all of them.
#[derive(Default)]
struct Filling {
    records: Rows,
    attempts: Rows,
    keys: Rows,
    late: Rows,
    deaths: Rows,
    acts: Vec<Sample>,
    counts: BTreeMap<(&'static str, Status), u64>,
    groups: HashMap<String, Group>,
    firsts: BTreeMap<Status, Sample>,
}

/// Fills the ledger; says where it is worth to look.
pub(super) async fn fill(ledger: &mut Ledger, plan: Plan, bar: &ProgressBar) -> anyhow::Result<Landmarks> {
    let (mut filling, node, mut n) = (Filling::default(), plan.id(0), 0);
    while n < plan.records {
        let end = plan.records.min(n + BATCH);
        for n in n..end {
            filling.take(plan.record(n), node);
        }
        for (table, rows) in [
            (&RECORDS, &mut filling.records),
            (&ATTEMPTS, &mut filling.attempts),
            (&KEYS, &mut filling.keys),
            (&LATE, &mut filling.late),
            (&DEATHS, &mut filling.deaths),
        ] {
            ledger.insert(table, std::mem::take(rows)).await?;
        }
        surroundings::acts(ledger, plan, std::mem::take(&mut filling.acts)).await?;
        bar.inc(end - n);
        n = end;
    }
    let counts = filling
        .counts
        .iter()
        .map(|((lane, status), n)| vec![node.into(), (*lane).into(), status.as_str().into(), (*n).into()]);
    ledger.insert(&COUNTS, counts.collect()).await?;
    let mut groups: Vec<Group> = filling.groups.into_values().collect();
    groups.sort_by(|a, b| b.n.cmp(&a.n).then_with(|| a.fingerprint.id.cmp(&b.fingerprint.id)));
    ledger.insert(&GROUPS, groups.iter().map(|group| group.row(node)).collect()).await?;
    let operation = surroundings::all(ledger, plan, LANES[ARCHIVE].name).await?;
    Ok(Landmarks {
        firsts: filling.firsts,
        deep: plan.id(plan.records / 10),
        groups: groups.into_iter().map(|group| group.fingerprint.id).collect(),
        operation,
    })
}

impl Filling {
    fn take(&mut self, record: Sample, node: Uuid) {
        let end = record.status.final_status();
        *self.counts.entry((record.handler.unwrap_or_default(), record.status)).or_default() += 1;
        let group = self.bury(&record, end);
        self.attempts.extend(attempts(&record, node));
        if !matches!(record.status, Status::Duplicate | Status::Invalid)
            && let Some(data) = &record.data
        {
            let sum = checksum(&record.event_type, data);
            self.keys.push(vec![
                record.event_id.as_str().into(),
                record.source.into(),
                record.id.into(),
                Cell::Bytes(sum.to_vec()),
                record.created_at.0.into(),
            ]);
        }
        if record.is_late {
            self.late.push(vec![record.created_at.0.into(), record.id.into()]);
        }
        if end == Some(FinalStatus::DeadLetter) || record.status == Status::Discarded {
            let resolution = (record.status == Status::Discarded).then_some("discarded");
            let reason = if resolution.is_some() { Status::FailedPermanent } else { record.status };
            self.deaths.push(vec![
                record.id.into(),
                1_i64.into(),
                "embedded".into(),
                reason.as_str().into(),
                record.updated_at.0.into(),
                resolution.into(),
            ]);
        }
        self.records.push(row(&record, end, group));
        if record.status == Status::Discarded {
            self.acts.push(record.clone());
        }
        self.firsts.entry(record.status).or_insert(record);
    }

    /// The group of a death.
    fn bury(&mut self, record: &Sample, end: Option<FinalStatus>) -> Option<String> {
        let (fingerprint, handler, event_type) = match end {
            Some(FinalStatus::DeadLetter) => {
                let handler = record.handler.unwrap_or_default();
                (Fingerprint::of_death(handler, record.error.as_deref()), record.handler, None)
            }
            Some(FinalStatus::NoHandler) => {
                (Fingerprint::of_unhandled(&record.event_type), None, Some(record.event_type.clone()))
            }
            _ => return None,
        };
        let (id, at) = (fingerprint.id.clone(), record.updated_at.0);
        let group = self.groups.entry(id.clone()).or_insert_with(|| Group {
            fingerprint,
            n: 0,
            handler,
            event_type,
            end: end.unwrap_or(FinalStatus::DeadLetter),
            sample: record.error.clone(),
            first: at,
            last: at,
        });
        group.n += 1;
        (group.first, group.last) = (group.first.min(at), group.last.max(at));
        Some(id)
    }
}

impl Group {
    fn row(&self, node: Uuid) -> Vec<Cell> {
        vec![
            node.into(),
            self.fingerprint.id.as_str().into(),
            self.n.into(),
            self.handler.into(),
            self.event_type.as_deref().into(),
            self.end.as_str().into(),
            self.fingerprint.title.as_str().into(),
            self.sample.as_deref().into(),
            self.first.into(),
            self.last.into(),
        ]
    }
}

fn row(record: &Sample, end: Option<FinalStatus>, group: Option<String>) -> Vec<Cell> {
    let data = record.data.as_ref().and_then(|data| data.bytes.as_ref());
    vec![
        record.id.into(),
        record.event_id.as_str().into(),
        record.source.into(),
        record.event_type.as_str().into(),
        record.subject.as_str().into(),
        "application/json".into(),
        data.map_or(Cell::Null, |bytes| Cell::Bytes(bytes.to_vec())),
        "embedded".into(),
        record.status.as_str().into(),
        end.map(FinalStatus::as_str).into(),
        record.handler.into(),
        record.retries.into(),
        (record.attempts.len() as u64).into(),
        record.crashes.into(),
        1_i64.into(),
        record.error.as_deref().into(),
        record.due.map(|due| due.0).into(),
        record.duplicate_of.into(),
        record.created_at.0.into(),
        record.updated_at.0.into(),
        end.map(|_| record.updated_at.0).into(),
        group.into(),
    ]
}

fn attempts(record: &Sample, node: Uuid) -> impl Iterator<Item = Vec<Cell>> {
    record.attempts.iter().zip(1_u64..).map(move |(attempt, number)| {
        let took = attempt.completed_at.since(attempt.started_at).as_millis();
        vec![
            record.id.into(),
            number.into(),
            // The token of a claim that is over: nobody looks for it.
            Uuid::from_u128(record.id.as_u128() ^ u128::from(number)).into(),
            record.handler.unwrap_or_default().into(),
            node.into(),
            attempt.status.as_str().into(),
            attempt.started_at.0.into(),
            attempt.completed_at.0.into(),
            u64::try_from(took).unwrap_or(0).into(),
            attempt.error.as_deref().into(),
        ]
    })
}
