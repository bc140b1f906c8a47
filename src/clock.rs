//! Time, in one place: what the clock says now, and waiting for a moment to come.
//!
//! Nothing else in the engine asks the system for the wall time, so a test that brings a [`Clock::manual`] owns
//! every due time of the run. On a database that several nodes share, its time is theirs: see [`Clock::correct`].

mod anchor;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use tokio::sync::watch;
use utoipa::ToSchema;
use uuid::{ContextV7, Uuid};

use anchor::Anchor;

/// A moment as the ledger keeps it: microseconds since the Unix epoch, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, ToSchema)]
#[schema(value_type = String, format = DateTime, example = "2026-01-05T08:02:20.000000Z")]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// This moment, `by` later; saturates at the end of time.
    #[must_use]
    pub fn after(self, by: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(by.as_micros()).unwrap_or(i64::MAX)))
    }

    /// This moment, `by` earlier; saturates at the beginning of time.
    #[must_use]
    pub fn before(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(by.as_micros()).unwrap_or(i64::MAX)))
    }

    /// How long ago `earlier` was; zero if it is not in the past.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The moment as RFC 3339 in UTC with `Z`, to the microsecond.
    #[must_use]
    pub fn to_rfc3339(self) -> String {
        DateTime::<Utc>::from_timestamp_micros(self.0)
            .unwrap_or(DateTime::<Utc>::MAX_UTC)
            .to_rfc3339_opts(SecondsFormat::Micros, true)
    }
}

impl<Tz: chrono::TimeZone> From<DateTime<Tz>> for Timestamp {
    fn from(time: DateTime<Tz>) -> Self {
        Self(time.timestamp_micros())
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_rfc3339())
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        DateTime::parse_from_rfc3339(&text).map(Self::from).map_err(de::Error::custom)
    }
}

/// Where the engine takes the time from.
#[derive(Clone, Debug)]
pub struct Clock {
    source: Source,
    /// Keeps the ids that this clock and its clones make within a millisecond in the order in which they made them. It
    /// never goes back, so it belongs to one clock: another that is ahead must not draw this one's ids along.
    order: Arc<Mutex<ContextV7>>,
}

impl Default for Clock {
    fn default() -> Self {
        Self::ticking(wall_time)
    }
}

#[derive(Clone, Debug)]
enum Source {
    System { wall: fn() -> Timestamp, anchor: Arc<Mutex<Option<Anchor>>> },
    Manual(Arc<watch::Sender<Timestamp>>),
}

#[expect(clippy::disallowed_methods, reason = "this is the one place that asks the system")]
fn wall_time() -> Timestamp {
    Timestamp(Utc::now().timestamp_micros())
}

/// A correction of more than this is told.
const WORTH_TELLING: Duration = Duration::from_secs(1);

impl Clock {
    /// A clock that stands still until [`advance`](Self::advance) moves it.
    #[must_use]
    pub fn manual(start: Timestamp) -> Self {
        Self::of(Source::Manual(Arc::new(watch::Sender::new(start))))
    }

    /// A clock that goes by this wall time until it is corrected.
    pub(crate) fn ticking(wall: fn() -> Timestamp) -> Self {
        Self::of(Source::System { wall, anchor: Arc::default() })
    }

    fn of(source: Source) -> Self {
        Self { source, order: Arc::new(Mutex::new(ContextV7::new())) }
    }

    /// The time now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match &self.source {
            Source::System { wall, anchor } => {
                let anchor = anchor.lock().unwrap_or_else(PoisonError::into_inner);
                anchor.as_ref().map_or_else(wall, |anchor| anchor.at(Instant::now()))
            }
            Source::Manual(now) => *now.borrow(),
        }
    }

    /// Goes by the time of a database from now on, as the monotonic clock measures it: `there` is what its clock showed
    /// within the last `asking`. Several nodes agree on the time then, however wrong their own clocks are. A manual clock
    /// stays what it is.
    pub(crate) fn correct(&self, there: Timestamp, asking: Duration) {
        let Source::System { wall, anchor } = &self.source else { return };
        let mut anchor = anchor.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, first) = (Instant::now(), anchor.is_none());
        // Not what it shows: a clock that goes slowly until it is right has been corrected already.
        let now = anchor.as_ref().map_or_else(wall, |anchor| anchor.right_at(at));
        let off = there.since(now).max(now.since(there.after(asking)));
        match &mut *anchor {
            None => *anchor = Some(Anchor::new(at, there.after(asking / 2))),
            // It knew the right time while it was asked: nobody knows better.
            Some(_) if off.is_zero() => return,
            Some(anchor) => anchor.correct(at, there.after(asking / 2)),
        }
        if off > WORTH_TELLING {
            let off_by_ms = off.as_millis();
            tracing::warn!(
                off_by_ms,
                behind = there > now,
                first,
                "the clock was wrong and goes by the database's now"
            );
        }
    }

    /// Moves a manual clock forward and wakes who waits for that time; a system clock moves by itself.
    pub fn advance(&self, by: Duration) {
        if let Source::Manual(now) = &self.source {
            now.send_modify(|now| *now = now.after(by));
        }
    }

    /// Returns when the clock has reached `due`, at once if it has already.
    pub async fn sleep_until(&self, due: Timestamp) {
        match &self.source {
            Source::System { .. } => tokio::time::sleep(due.since(self.now())).await,
            Source::Manual(now) => {
                let mut now = now.subscribe();
                // An error means that the clock is gone; nobody can be waiting for it then.
                let _ = now.wait_for(|now| *now >= due).await;
            }
        }
    }

    /// A new uuid v7 of this moment: ids in the order of time keep the ledger's writes at the end of its trees.
    #[must_use]
    pub fn new_id(&self) -> Uuid {
        let micros = u64::try_from(self.now().0).unwrap_or(0);
        let nanos = u32::try_from(micros % 1_000_000 * 1_000).unwrap_or(0);
        let order = self.order.lock().unwrap_or_else(PoisonError::into_inner);
        Uuid::new_v7(uuid::Timestamp::from_unix(&*order, micros / 1_000_000, nanos))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_printed_in_utc_with_z() {
        assert_eq!(Timestamp(1_767_600_140_000_000).to_rfc3339(), "2026-01-05T08:02:20.000000Z");
    }

    #[test]
    fn a_time_reads_back_as_it_was_printed() {
        let time = Timestamp(1_767_600_140_000_001);
        let printed = serde_json::to_string(&time).unwrap();
        assert_eq!(serde_json::from_str::<Timestamp>(&printed).unwrap(), time);
        assert!(serde_json::from_str::<Timestamp>("\"yesterday\"").is_err());
    }

    #[test]
    fn ids_made_in_one_moment_keep_their_order() {
        let clock = Clock::manual(Timestamp(1_767_600_140_000_000));
        let ids: Vec<Uuid> = (0..1_000).map(|_| clock.new_id()).collect();
        assert!(ids.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn a_clock_that_is_ahead_draws_no_other_clocks_ids_along() {
        let (now, ahead) = (Timestamp(1_767_600_140_000_000), Clock::manual(Timestamp(4_000_000_000_000_000)));
        let clock = Clock::manual(now);
        let first = clock.new_id();
        assert!(ahead.new_id() > first);
        let made = clock.new_id().get_timestamp().unwrap().to_unix().0;
        assert_eq!(made, 1_767_600_140);
    }

    fn an_hour_ahead() -> Timestamp {
        wall_time().after(Duration::from_secs(3_600))
    }

    #[test]
    fn a_clock_that_is_corrected_goes_by_that_time_at_first_at_once_and_never_backwards_then() {
        let (clock, right) = (Clock::ticking(an_hour_ahead), wall_time());
        clock.correct(right, Duration::ZERO);
        assert!(clock.now().since(right) < Duration::from_secs(60));
        let before = clock.now();
        clock.correct(right.before(Duration::from_secs(3_600)), Duration::ZERO);
        assert!(clock.now() >= before);
        // Within what the asking took, nobody knows better.
        let ahead = right.after(Duration::from_secs(3_600));
        clock.correct(ahead, Duration::ZERO);
        clock.correct(ahead.before(Duration::from_secs(5)), Duration::from_secs(600));
        assert!(clock.now() >= ahead);
    }

    #[tokio::test]
    async fn a_manual_clock_wakes_its_sleepers_when_it_is_moved() {
        let clock = Clock::manual(Timestamp(0));
        let sleeper = clock.clone();
        let asleep = tokio::spawn(async move { sleeper.sleep_until(Timestamp(1_000_000)).await });
        clock.advance(Duration::from_secs(1));
        asleep.await.unwrap();
    }
}
