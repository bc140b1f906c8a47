//! What follows from a receiver's answer: the table of statuses, and `Retry-After`.
//!
//! [`verdict`](Answer::verdict) is pure; only [`read`](Answer::read) touches the network.

use std::time::{Duration, SystemTime};

use actix_web::http::header::HttpDate;
use chrono::{DateTime, Utc};
use reqwest::header::RETRY_AFTER;
use reqwest::{Response, StatusCode};

use crate::clock::Timestamp;
use crate::handle::HandlerError;
use crate::handlers::excerpt::printable;

/// As much of a refusal's body as the attempt keeps.
const EXCERPT_BYTES: usize = 500;

/// How long a refusal may take to explain itself: the status is known by then and must not get lost in a timeout.
const EXCERPT_WAIT: Duration = Duration::from_secs(2);

/// The longest that a receiver may put us off.
const LONGEST_DELAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A receiver's answer, as far as it matters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The header `Retry-After`, as it came.
    pub retry_after: Option<String>,
    /// How the body begins, unless the answer is a success.
    pub excerpt: String,
}

/// The receiver answered with something other than a success.
#[derive(Debug, thiserror::Error)]
#[error("answered {status}{}{excerpt}", if excerpt.is_empty() { "" } else { ": " })]
pub struct Refusal {
    status: StatusCode,
    excerpt: String,
}

impl Answer {
    /// Reads what is needed of an answer.
    pub async fn read(response: Response) -> Self {
        Self::read_within(EXCERPT_WAIT, response).await
    }

    pub(super) async fn read_within(wait: Duration, response: Response) -> Self {
        let status = response.status();
        let header = response.headers().get(RETRY_AFTER);
        let retry_after = header.and_then(|value| value.to_str().ok()).map(str::to_owned);
        // A success needs no body, and must not wait for one: whatever becomes of it, the event was taken.
        let excerpt = if status.is_success() { String::new() } else { excerpt(wait, response).await };
        Self { status, retry_after, excerpt }
    }

    /// What follows from the answer.
    ///
    /// # Errors
    /// A retry for 408, 425, 429 and 5xx, after the time that the receiver asks for; all else is permanent.
    /// Redirects too: the one who answers must not choose where the events go.
    pub fn verdict(self, now: Timestamp) -> Result<(), HandlerError> {
        if self.status.is_success() {
            return Ok(());
        }
        let delay = self.retry_after.as_deref().and_then(|value| delay(value, now));
        let again = matches!(self.status.as_u16(), 408 | 425 | 429 | 500..=599);
        let refusal = Refusal { status: self.status, excerpt: self.excerpt };
        Err(match delay {
            _ if !again => HandlerError::permanent(refusal),
            Some(delay) => HandlerError::retry_after(delay, refusal),
            None => HandlerError::retry(refusal),
        })
    }
}

/// `Retry-After` in seconds or as a date. None if there is nothing to wait for, so that the retry policy decides.
fn delay(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    let delay = if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than a u64 holds are a long time too.
        Duration::from_secs(value.parse().unwrap_or(u64::MAX))
    } else {
        // actix-web's type reads all three forms of dates that HTTP knows.
        let date: HttpDate = value.parse().ok()?;
        Timestamp::from(DateTime::<Utc>::from(SystemTime::from(date))).since(now)
    };
    (!delay.is_zero()).then(|| delay.min(LONGEST_DELAY))
}

async fn excerpt(wait: Duration, mut response: Response) -> String {
    let mut bytes = Vec::new();
    let read = async {
        // An error here is a body cut short: the status and what came of the body are still the answer.
        while let Ok(Some(chunk)) = response.chunk().await {
            let room = EXCERPT_BYTES - bytes.len();
            bytes.extend_from_slice(&chunk[..chunk.len().min(room)]);
            if bytes.len() == EXCERPT_BYTES {
                break;
            }
        }
    };
    // If the time is over, what came until then will do.
    let _ = tokio::time::timeout(wait, read).await;
    printable(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handle::Kind;

    /// Sun, 06 Nov 1994 08:49:37 GMT
    const NOW: Timestamp = Timestamp(784_111_777_000_000);

    fn verdict(status: u16, retry_after: Option<&str>) -> Result<(), HandlerError> {
        let status = StatusCode::from_u16(status).unwrap();
        Answer { status, retry_after: retry_after.map(str::to_owned), excerpt: String::new() }.verdict(NOW)
    }

    fn kind(status: u16, retry_after: Option<&str>) -> Kind {
        verdict(status, retry_after).unwrap_err().kind()
    }

    #[test]
    fn every_status_has_its_verdict() {
        for status in 100..=999 {
            let expected = match status {
                200..=299 => None,
                408 | 425 | 429 | 500..=599 => Some(Kind::Retry),
                _ => Some(Kind::Permanent),
            };
            assert_eq!(verdict(status, None).err().map(|error| error.kind()), expected, "{status}");
        }
    }

    #[test]
    fn retry_after_is_read_in_seconds_and_in_all_three_forms_of_dates() {
        let minute = Kind::RetryAfter(Duration::from_secs(60));
        assert_eq!(kind(429, Some("60")), minute);
        assert_eq!(kind(503, Some(" 60 ")), minute);
        assert_eq!(kind(503, Some("Sun, 06 Nov 1994 08:50:37 GMT")), minute);
        assert_eq!(kind(503, Some("Sunday, 06-Nov-94 08:50:37 GMT")), minute);
        assert_eq!(kind(503, Some("Sun Nov  6 08:50:37 1994")), minute);
    }

    #[test]
    fn a_receiver_cannot_put_us_off_for_more_than_a_day() {
        let day = Kind::RetryAfter(Duration::from_secs(86_400));
        for value in ["86400", "86401", "99999999999999999999999", "Fri, 31 Dec 9999 23:59:59 GMT"] {
            assert_eq!(kind(503, Some(value)), day, "{value}");
        }
    }

    #[test]
    fn the_retry_policy_decides_when_retry_after_names_no_time_to_come() {
        for value in ["0", "", "soon", "-5", "1.5", "Sun, 06 Nov 1994 08:49:36 GMT"] {
            assert_eq!(kind(429, Some(value)), Kind::Retry, "{value}");
        }
    }

    #[test]
    fn retry_after_does_not_make_a_permanent_answer_a_retry() {
        for status in [301, 400, 404, 413] {
            assert_eq!(kind(status, Some("60")), Kind::Permanent, "{status}");
        }
    }

    #[test]
    fn the_error_names_the_status_and_how_the_body_begins() {
        let refused = Answer { status: StatusCode::NOT_FOUND, retry_after: None, excerpt: "no such hook".into() };
        assert_eq!(refused.verdict(NOW).unwrap_err().to_string(), "answered 404 Not Found: no such hook");
        assert_eq!(verdict(500, None).unwrap_err().to_string(), "answered 500 Internal Server Error");
    }
}
