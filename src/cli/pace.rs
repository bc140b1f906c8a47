//! How fast the client commands try again, ask again and wait; tests bring their own.

use std::time::Duration;

/// The intervals of the client commands.
#[derive(Clone, Debug)]
pub(super) struct Pace {
    /// The wait before the first retry; it doubles from then on.
    pub retry_first: Duration,
    /// How long a request is retried before it fails.
    pub retry_total: Duration,
    /// The wait after the first look at events that have not ended; it doubles from then on.
    pub poll_first: Duration,
    /// The longest wait between two looks.
    pub poll_longest: Duration,
    /// How long a batch that is not full waits for another line. It matters for a pipe that never ends.
    pub linger: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            retry_first: Duration::from_millis(200),
            retry_total: Duration::from_secs(30),
            poll_first: Duration::from_millis(50),
            poll_longest: Duration::from_secs(1),
            linger: Duration::from_millis(200),
        }
    }
}
