//! What the other rooms fail with, as problems.

use sea_orm::DbErr;

use super::{Code, Problem};
use crate::dead_letter;
use crate::ingest::decode::{DecodeError, Refusal};
use crate::ingest::{Rejected, SubmitError};
use crate::persist;

impl From<DbErr> for Problem {
    fn from(error: DbErr) -> Self {
        Self::new(Code::LedgerUnavailable, "the ledger cannot be read at present").retry_after(2).caused_by(error)
    }
}

impl From<persist::Error> for Problem {
    fn from(error: persist::Error) -> Self {
        SubmitError::from(error).into()
    }
}

impl From<SubmitError> for Problem {
    fn from(error: SubmitError) -> Self {
        let passing = |code, seconds| Self::new(code, error.to_string()).retry_after(seconds);
        match error {
            SubmitError::Rejected(rejected) => rejected.into(),
            SubmitError::Full => passing(Code::QueueFull, 1),
            SubmitError::Unavailable => passing(Code::LedgerUnavailable, 2),
            SubmitError::OutcomeUnknown | SubmitError::Unconfirmed(_) => passing(Code::OutcomeUnknown, 1),
            SubmitError::BusUnavailable(_) => passing(Code::BusUnavailable, 2),
            SubmitError::Draining => passing(Code::Draining, 5),
            SubmitError::Refused(why) => {
                Self::new(Code::LedgerRefused, "the ledger refused the write; nothing was changed").caused_by(why)
            }
        }
    }
}

impl From<Rejected> for Problem {
    fn from(rejected: Rejected) -> Self {
        let detail = rejected.to_string();
        match rejected {
            Rejected::Invalid(violations) => Self::new(Code::InvalidEvent, detail).errors(violations),
            Rejected::Conflict { original, record, .. } => Self::new(Code::IdReused, detail)
                .with("original", original.to_string())
                .with("record", record.to_string()),
            Rejected::Schema { record, breach } => {
                Self::new(Code::SchemaViolation, detail).errors(breach.violations).with("record", record.to_string())
            }
        }
    }
}

impl From<DecodeError> for Problem {
    fn from(error: DecodeError) -> Self {
        let code = Code::from_word(error.code).unwrap_or(match error.status() {
            Refusal::Malformed => Code::InvalidEvent,
            Refusal::Unsupported => Code::UnsupportedContentType,
            Refusal::TooLarge => Code::BatchTooLarge,
        });
        Self::new(code, error.detail).errors(error.violations)
    }
}

impl From<dead_letter::Error> for Problem {
    fn from(error: dead_letter::Error) -> Self {
        use dead_letter::Error;
        let code = match error {
            Error::Ledger(error) => return error.into(),
            Error::Read(error) => return error.into(),
            Error::Edited(error) => return error.into(),
            Error::Submit(error) => return error.into(),
            Error::Missing(_) => Code::NotFound,
            Error::Standing { .. } => Code::NotADeadLetter,
            Error::NoHandler(_) => Code::NoHandler,
            Error::Started { .. } => Code::AlreadyStarted,
            Error::TooMany => Code::TooMany,
            Error::NoSuchOperation(_) => Code::NotFound,
            Error::Over { .. } => Code::OperationOver,
        };
        Self::new(code, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::decode::{Limits, decode};

    #[test]
    fn the_codes_of_the_decoder_are_in_the_table_with_their_status() {
        let bodies = ["", "{", "7", "[]", "[0,0]", "{}", r#"{"type":"t","x":1}"#, r#"{"type":"t","type":"t"}"#];
        for (content_type, body) in
            bodies.map(|body| ("application/json", body)).into_iter().chain([("text/plain", "")])
        {
            let error = decode(Some(content_type), [], body.into(), Limits { batch: 1 }).unwrap_err();
            let code = Code::from_word(error.code).unwrap();
            let status = match error.status() {
                Refusal::Malformed => 400,
                Refusal::Unsupported => 415,
                Refusal::TooLarge => 413,
            };
            assert_eq!(code.status(), status, "{body}");
        }
    }
}
