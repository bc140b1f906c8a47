//! What a ledger holds that has lived for a day: record by record, the same each time. Pure.
//!
//! Shares of statuses, lanes and errors are those of a system that mostly works, with one outage in it. Events that wait
//! are just few enough that a search looks at each of them, which is the dearest way to list them.

use std::time::Duration;

use uuid::{Builder, Uuid};

use crate::clock::Timestamp;
use crate::event::Payload;
use crate::lifecycle::{AttemptStatus, Status};

/// A handler of the benchmark.
pub(super) struct Lane {
    pub name: &'static str,
    pub pattern: &'static str,
    pub types: &'static [&'static str],
}

/// The handlers; the last one is paused, and what is PENDING waits for it.
pub(super) const LANES: [Lane; 6] = [
    Lane { name: "billing", pattern: "order.*", types: &["order.paid", "order.placed", "order.refunded"] },
    Lane { name: "shipping", pattern: "shipment.*", types: &["shipment.sent", "shipment.delivered"] },
    Lane { name: "mail", pattern: "mail.*", types: &["mail.welcome", "mail.receipt", "mail.reminder"] },
    Lane { name: "registry", pattern: "chemical.*", types: &["chemical.status.changed"] },
    Lane { name: "exports", pattern: "export.*", types: &["export.finished"] },
    Lane { name: "archive", pattern: "archive.*", types: &["archive.document"] },
];

const BILLING: usize = 0;
const EXPORTS: usize = 4;
pub(super) const ARCHIVE: usize = 5;

/// Of 10,000 records; all others succeeded.
const SHARES: [(Status, u64); 10] = [
    (Status::Duplicate, 200),
    (Status::Invalid, 50),
    (Status::NoHandler, 50),
    (Status::FailedMaxRetry, 250),
    (Status::FailedPermanent, 130),
    (Status::Poison, 2),
    (Status::Discarded, 100),
    (Status::Pending, 120),
    (Status::RetryScheduled, 40),
    (Status::Scheduled, 25),
];

/// One record in so many is of a rare type.
const RARE: u64 = 50_000;

/// One record in so many was late: its id is from hours before.
const LATE: u64 = 100;

/// The attempts of the record that has been redriven again and again.
pub(super) const MANY_ATTEMPTS: u32 = 400;

/// How long the ledger has lived.
pub(super) const AGE: Duration = Duration::from_secs(24 * 3_600);

/// A ledger of so many records, up to this moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub records: u64,
    pub now: Timestamp,
}

/// A record, with all that is written of it.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    pub id: Uuid,
    pub event_id: String,
    pub source: &'static str,
    pub event_type: String,
    pub subject: String,
    pub data: Option<Payload>,
    pub status: Status,
    pub handler: Option<&'static str>,
    pub error: Option<String>,
    pub attempts: Vec<Try>,
    pub retries: u32,
    pub crashes: u32,
    pub is_late: bool,
    pub duplicate_of: Option<Uuid>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub due: Option<Timestamp>,
}

/// An attempt that has ended.
#[derive(Clone, Debug)]
pub(super) struct Try {
    pub status: AttemptStatus,
    pub error: Option<String>,
    pub started_at: Timestamp,
    pub completed_at: Timestamp,
}

impl Plan {
    /// The record of this number; the first is the oldest.
    pub fn record(self, n: u64) -> Sample {
        let (status, created_at) = (status(n), self.taken_at(n));
        let (id, is_late) = (self.id(n), is_late(n));
        let (original, lane) = (original(n, status), lane(n, status));
        let shown = original.unwrap_or(n);
        let handler = LANES[lane].name;
        let handler = (!matches!(status, Status::NoHandler | Status::Invalid)).then_some(handler);
        let event_type = match status {
            Status::NoHandler => format!("legacy.kind-{}", word(mix(n, 5) % 30)),
            _ => pick(LANES[lane].types, mix(shown, 6)).to_owned(),
        };
        let error = error(n, status, lane);
        let attempts = attempts(n, status, error.as_deref(), created_at);
        let updated_at = attempts.last().map_or(created_at, |last| last.completed_at);
        let wait = Duration::from_secs(3_600 + mix(n, 7) % 72_000);
        Sample {
            id,
            event_id: format!("{}-{shown:09}", LANES[lane].name),
            source: pick(&SOURCES, mix(shown, 8)),
            event_type,
            subject: format!("customer/{}", mix(shown, 9) % 40_000),
            data: original.is_none().then(|| Payload::json(data(n))),
            status,
            handler,
            retries: retries(status, &attempts),
            crashes: if status == Status::Poison { 3 } else { 0 },
            error,
            attempts,
            is_late,
            duplicate_of: original.map(|of| self.id(of)),
            created_at,
            updated_at,
            due: match status {
                Status::Pending => Some(created_at),
                Status::RetryScheduled | Status::Scheduled => Some(self.now.after(wait)),
                _ => None,
            },
        }
    }

    /// When it was taken in: evenly over the day.
    fn taken_at(self, n: u64) -> Timestamp {
        let age = AGE.as_micros() * u128::from(self.records - n) / u128::from(self.records);
        self.now.before(Duration::from_micros(u64::try_from(age).unwrap_or(0)) + Duration::from_secs(60))
    }

    /// A uuid v7 of its acceptance, or of hours before it.
    pub fn id(self, n: u64) -> Uuid {
        let at = self.taken_at(n);
        let at = if is_late(n) { at.before(Duration::from_secs(6 * 3_600)) } else { at };
        let [a, b, c, d, e, f, g, h] = n.to_be_bytes();
        let millis = u64::try_from(at.0 / 1_000).unwrap_or(0);
        Builder::from_unix_timestamp_millis(millis, &[a, b, c, d, e, f, g, h, 0, 0]).into_uuid()
    }
}

const SOURCES: [&str; 6] = ["/shop", "/shop/app", "/warehouse", "/registry", "/mail", "urn:partner:north"];

/// The first records are one of each status, so that the smallest ledger has them all.
fn status(n: u64) -> Status {
    let first = usize::try_from(n).ok().and_then(|n| SHARES.get(n));
    if let Some((status, _)) = first {
        // There is nothing before the first that it could be the same as.
        return if n == 0 { Status::Success } else { *status };
    }
    let mut place = mix(n, 1) % 10_000;
    for (status, share) in SHARES {
        match place.checked_sub(share) {
            Some(rest) => place = rest,
            None => return status,
        }
    }
    Status::Success
}

fn is_late(n: u64) -> bool {
    n % LATE == LATE - 1
}

/// What a duplicate is the same as: the last record before it that succeeded.
fn original(n: u64, of: Status) -> Option<u64> {
    (of == Status::Duplicate).then(|| (0..n).rev().find(|n| status(*n) == Status::Success)).flatten()
}

fn lane(n: u64, of: Status) -> usize {
    if let Some(original) = original(n, of) {
        return lane(original, Status::Success);
    }
    match (of, mix(n, 2) % 100) {
        (Status::Pending, _) => ARCHIVE,
        _ if n % RARE == 11 => EXPORTS,
        (Status::FailedMaxRetry, _) if is_of_the_outage(n) => BILLING,
        (_, 0..45) => 0,
        (_, 45..75) => 1,
        (_, 75..90) => 2,
        _ => 3,
    }
}

/// Most of what died after its last retry died in one outage.
fn is_of_the_outage(n: u64) -> bool {
    mix(n, 3) % 100 < 80
}

/// The kinds of failures beside the outage.
const KINDS: u64 = 500;

fn error(n: u64, status: Status, lane: usize) -> Option<String> {
    let kind = word(mix(n, 4) % KINDS);
    let (order, port) = (mix(n, 9) % 1_000_000, 1_024 + mix(n, 10) % 60_000);
    match status {
        Status::FailedMaxRetry if is_of_the_outage(n) && lane == BILLING => {
            Some(format!("order {order} was not paid: connect to 10.0.0.7:{port}: connection refused"))
        }
        Status::FailedMaxRetry | Status::RetryScheduled => {
            Some(format!("the {kind} service answered 503 after {} ms: try again later", mix(n, 11) % 9_000))
        }
        Status::FailedPermanent | Status::Discarded => {
            Some(format!("customer \"{order}\" is not known to the {kind} registry"))
        }
        Status::Poison => Some("its process died three times with it in hand".to_owned()),
        Status::Invalid => Some(format!("/data/amount: \"{order}\" is not of type \"number\"")),
        _ => None,
    }
}

fn attempts(n: u64, status: Status, error: Option<&str>, created_at: Timestamp) -> Vec<Try> {
    let count = match status {
        // The record of each status that came first.
        Status::FailedMaxRetry if n < 10 => MANY_ATTEMPTS,
        Status::FailedMaxRetry => 4,
        Status::FailedPermanent | Status::Discarded => 1,
        Status::Poison => 3,
        Status::RetryScheduled => 2,
        Status::Success => [1, 1, 1, 1, 1, 1, 1, 1, 1, 2][usize::try_from(mix(n, 12) % 10).unwrap_or(0)],
        _ => 0,
    };
    let mut at = created_at;
    let attempt = |number: u32| {
        let ends_well = status == Status::Success && number == count;
        let started_at = at;
        let completed_at = started_at.after(Duration::from_millis(1 + mix(n, 13) % 80));
        at = completed_at.after(Duration::from_secs(u64::from(number.min(4))));
        let word = match status {
            _ if ends_well => AttemptStatus::Success,
            Status::Poison => AttemptStatus::Abandoned,
            _ if number % 7 == 3 => AttemptStatus::TimedOut,
            _ => AttemptStatus::Failed,
        };
        let error = (!ends_well).then(|| error.unwrap_or("the receiver answered 500").to_owned());
        Try { status: word, error, started_at, completed_at }
    };
    (1..=count).map(attempt).collect()
}

fn retries(status: Status, attempts: &[Try]) -> u32 {
    match status {
        Status::Poison | Status::FailedPermanent | Status::Discarded => 0,
        Status::RetryScheduled => 2,
        _ => u32::try_from(attempts.len()).unwrap_or(0).saturating_sub(1).min(3),
    }
}

/// Data as it comes in: mostly small, now and then as large as a webhook of a big platform.
fn data(n: u64) -> String {
    let length = match mix(n, 14) % 100 {
        0..86 => 200,
        86..98 => 1_500,
        _ => 12_000,
    };
    let amount = mix(n, 15) % 100_000;
    format!(r#"{{"n":{n},"amount":{amount},"currency":"EUR","text":"{}"}}"#, "lorem ipsum ".repeat(length / 12))
}

/// A word that no digit is in, so that it is no value to the fingerprint of an error.
fn word(mut n: u64) -> String {
    let mut word = String::from("w");
    for _ in 0..3 {
        word.push(char::from(b'g' + u8::try_from(n % 20).unwrap_or(0)));
        n /= 20;
    }
    word
}

fn pick<T: Copy>(of: &[T], by: u64) -> T {
    of[usize::try_from(by % of.len() as u64).unwrap_or(0)]
}

/// A number that looks like chance, and is the same each time (splitmix64).
fn mix(n: u64, salt: u64) -> u64 {
    let mut z = n.wrapping_mul(64).wrapping_add(salt).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashSet};

    use super::*;
    use crate::fingerprint::Fingerprint;

    const PLAN: Plan = Plan { records: 30_000, now: Timestamp(1_767_600_140_000_000) };

    #[test]
    fn every_status_that_lasts_is_there_and_most_events_have_succeeded() {
        let mut statuses = BTreeMap::<Status, usize>::new();
        for n in 0..PLAN.records {
            *statuses.entry(PLAN.record(n).status).or_default() += 1;
        }
        let lasting = Status::ALL.iter().filter(|status| **status != Status::Processing);
        assert_eq!(statuses.keys().collect::<Vec<_>>(), lasting.collect::<Vec<_>>());
        assert!(statuses[&Status::Success] > 26_000, "{statuses:?}");
        for n in 0..10 {
            assert_ne!(PLAN.record(n).status, Status::Duplicate, "its original would be missing");
        }
    }

    #[test]
    fn ids_are_different_and_only_the_late_are_older_than_their_records() {
        let ids: HashSet<Uuid> = (0..PLAN.records).map(|n| PLAN.id(n)).collect();
        assert_eq!(ids.len() as u64, PLAN.records);
        let late = (0..PLAN.records).filter(|n| PLAN.record(*n).is_late).count();
        assert_eq!(late as u64, PLAN.records / LATE);
        assert!(PLAN.taken_at(PLAN.records - 1) < PLAN.now && PLAN.taken_at(0) >= PLAN.now.before(AGE * 2));
    }

    #[test]
    fn one_kind_of_death_is_frequent_and_there_are_many_others() {
        let mut groups = BTreeMap::<String, usize>::new();
        for n in 0..PLAN.records {
            let record = PLAN.record(n);
            if matches!(record.status, Status::FailedMaxRetry | Status::FailedPermanent) {
                let of = Fingerprint::of_death(record.handler.unwrap(), record.error.as_deref());
                *groups.entry(of.id).or_default() += 1;
            }
        }
        let largest = groups.values().max().unwrap();
        assert!(*largest > 400 && groups.len() > 200, "{largest} of {}", groups.len());
    }
}
