//! How fast an operation goes. Pure: the caller brings the time.

use std::time::Duration;

use crate::clock::Timestamp;

/// So many records are changed in one commit at most: what runs beside it waits no longer for that.
const LARGEST_STEP: u64 = 500;

/// So many steps a second an operation with a rate makes, if each has at least one record.
const STEPS_A_SECOND: u32 = 5;

/// The pace of one operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pace {
    rate: Option<u32>,
    /// Not before this moment.
    pub due: Timestamp,
    /// One record alone: some record of the next step was refused.
    pub is_careful: bool,
}

impl Pace {
    /// So many records a second; none is as fast as it can.
    pub const fn new(rate: Option<u32>, now: Timestamp) -> Self {
        Self { rate, due: now, is_careful: false }
    }

    /// How many records the next step may have.
    pub fn step(self) -> u64 {
        match self.rate {
            _ if self.is_careful => 1,
            Some(rate) => u64::from(rate / STEPS_A_SECOND).clamp(1, LARGEST_STEP),
            None => LARGEST_STEP,
        }
    }

    /// So many records have had their turn, which began then.
    pub fn went(&mut self, records: usize, began: Timestamp) {
        let Some(rate) = self.rate.map(u64::from).filter(|rate| *rate > 0) else { return };
        let micros = u64::try_from(records).unwrap_or(u64::MAX).saturating_mul(1_000_000).div_ceil(rate);
        self.due = self.due.max(began).after(Duration::from_micros(micros));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn without_a_rate_nothing_waits() {
        let mut pace = Pace::new(None, Timestamp(0));
        assert_eq!(pace.step(), 500);
        pace.went(500, Timestamp(7));
        assert_eq!(pace.due, Timestamp(0));
    }

    #[test]
    fn one_record_a_second_is_one_step_a_second() {
        let mut pace = Pace::new(Some(1), Timestamp(0));
        assert_eq!(pace.step(), 1);
        pace.went(1, Timestamp(500_000));
        assert_eq!(pace.due, Timestamp(1_500_000));
    }

    proptest! {
        #[test]
        fn in_no_time_are_more_records_than_the_rate_says(rate in 1u32..5_000, delays in prop::collection::vec(0i64..300_000, 1..40)) {
            let mut pace = Pace::new(Some(rate), Timestamp(0));
            let (mut now, mut records) = (Timestamp(0), 0);
            for delay in delays {
                now = Timestamp(now.max(pace.due).0 + delay);
                // One step is always free: it is what the time after it is for.
                prop_assert!(i128::from(records) * 1_000_000 <= i128::from(rate) * i128::from(now.0));
                records += pace.step();
                pace.went(usize::try_from(pace.step()).unwrap(), now);
            }
        }
    }
}
