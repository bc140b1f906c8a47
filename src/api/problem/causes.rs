//! What the other rooms fail with, as problems.

use sea_orm::DbErr;

use super::{Code, Problem};
use crate::dead_letter;
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
            SubmitError::OutcomeUnknown => passing(Code::OutcomeUnknown, 1),
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
        }
    }
}

impl From<dead_letter::Error> for Problem {
    fn from(error: dead_letter::Error) -> Self {
        use dead_letter::Error;
        let code = match error {
            Error::Ledger(error) => return error.into(),
            Error::Read(error) => return error.into(),
            Error::Missing(_) => Code::NotFound,
            Error::Standing { .. } => Code::NotADeadLetter,
            Error::NoHandler(_) => Code::NoHandler,
            Error::Started { .. } => Code::AlreadyStarted,
            Error::TooMany => Code::TooMany,
        };
        Self::new(code, error.to_string())
    }
}
