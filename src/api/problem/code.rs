//! The one table of everything that a request can be refused with.
//!
//! A code never changes its meaning: programs decide by it. `/problems/{code}` shows what stands here.

use actix_web::http::StatusCode;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $word:literal, $status:literal, $title:literal, $advice:literal;)+) => {
        /// What a request was refused with.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Code { $($name,)+ }

        impl Code {
            /// All of them, in the order of their status.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The word for programs.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)+ }
            }

            const fn number(self) -> u16 {
                match self { $(Self::$name => $status,)+ }
            }

            /// What it is, in a few words.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)+ }
            }

            /// What to do about it.
            pub const fn advice(self) -> &'static str {
                match self { $(Self::$name => $advice,)+ }
            }
        }
    };
}

codes! {
    BadRequest = "bad_request", 400, "Bad request", "Read what `detail` says and mend the request.";
    MalformedJson = "malformed_json", 400, "The body is not JSON", "Send well-formed JSON in UTF-8.";
    NotAnObject = "not_an_object", 400, "The body is no JSON object", "Send a JSON object: an event, or a filter.";
    NotAnArray = "not_an_array", 400, "The batch is no JSON array", "A batch is a JSON array of events.";
    InvalidEvent = "invalid_event", 400, "The event is not valid", "Mend the members that `errors` names.";
    UnknownMember = "unknown_member", 400, "Unknown member",
        "Remove the members that `errors` names; data of your own belongs into `data`.";
    DuplicateMember = "duplicate_member", 400, "A member stands twice", "Send every member once.";
    MalformedHeader = "malformed_header", 400, "A header cannot be read",
        "Attributes in `ce-` headers are UTF-8, percent-encoded as the CloudEvents HTTP binding says.";
    TooDeep = "too_deep", 400, "The data is nested too deeply", "Send it flatter, or as a string.";
    EmptyBatch = "empty_batch", 400, "The batch is empty", "Send at least one event.";
    MissingBody = "missing_body", 400, "There is no body",
        "Send a JSON object of filters; `{}` means all dead letters, so it has to be said.";
    BadBody = "bad_body", 400, "The body cannot be used", "Mend what `errors` names.";
    IncompleteBody = "incomplete_body", 400, "The body broke off", "Send the request again.";
    UnknownParameter = "unknown_parameter", 400, "Unknown query parameter", "Remove it, or write it as `detail` says.";
    BadParameter = "bad_parameter", 400, "A query parameter cannot be read", "Mend the parameter that `errors` names.";
    BadCursor = "bad_cursor", 400, "The cursor is none of this API's",
        "Use `next_cursor` of the page before as it is, or leave `cursor` out to start at the newest.";
    BadPath = "bad_path", 400, "The path cannot be read", "Percent-encode ids in paths as UTF-8.";
    ForeignOrigin = "foreign_origin", 403, "A page of another origin may not do this",
        "Use this server's own pages, or a program, which sends neither `Origin` nor `Sec-Fetch-Site`. Where a proxy \
         changes the host, add the name that people type to `server.allowed_hosts`.";
    UnknownHost = "unknown_host", 403, "The server is not known by this name",
        "Use `localhost` or the server's address, or add what the `Host` header says to `server.allowed_hosts`.";
    NotFound = "not_found", 404, "Not found", "Check the id or the name.";
    UnknownPath = "unknown_path", 404, "There is nothing at this path", "See `/` for the paths of this server.";
    MethodNotAllowed = "method_not_allowed", 405, "This path does not take this method",
        "The header `Allow` lists the methods that it takes.";
    RequestTimeout = "request_timeout", 408, "The body took too long", "Send the whole body without a pause.";
    Ambiguous = "ambiguous", 409, "Several sources used this event id",
        "Name one of `sources` with `?source=`, or use the id of the record.";
    IdReused = "id_reused", 409, "The id was used for another event",
        "Source and id together name one event for good: give another event another id.";
    NotADeadLetter = "not_a_dead_letter", 409, "The event is no dead letter",
        "Only dead letters and events without a handler can be redriven or discarded.";
    NoHandler = "no_handler", 409, "No handler is bound to this type", "Bind a handler to the type, then redrive.";
    AlreadyStarted = "already_started", 409, "The event has started or is over",
        "Only events that are SCHEDULED, PENDING or RETRY_SCHEDULED can be cancelled.";
    OperationOver = "operation_over", 409, "The operation is over or does not run",
        "Only an operation that runs can be paused, and only one that is not over can be resumed or cancelled.";
    BodyTooLarge = "body_too_large", 413, "The body is too large", "Send less at once, or raise `server.body_limit`.";
    BatchTooLarge = "batch_too_large", 413, "The batch has too many events",
        "Send several batches, or raise `server.batch_limit`.";
    UnsupportedContentType = "unsupported_content_type", 415, "This content type is not read here",
        "Send `application/json`, or a CloudEvent in one of its HTTP forms.";
    UnsupportedContentEncoding = "unsupported_content_encoding", 415, "Compressed bodies are not read here",
        "Send the body as it is, without a `content-encoding`.";
    SchemaViolation = "schema_violation", 422, "The data breaks the schema of its type",
        "Mend what `errors` names and send it again, with the same id if you like. `GET /api/v1/schemas` has the schema.";
    NoEventAccepted = "no_event_accepted", 422, "No event of the batch was accepted",
        "`results` says what is wrong with each.";
    TooMany = "too_many", 422, "Too many records match", "Narrow the filter, for instance by `until`, and repeat the call.";
    Internal = "internal", 500, "Something is wrong inside the server",
        "The server's log has the reason, under the `request_id` of the answer.";
    LedgerRefused = "ledger_refused", 500, "The ledger refused the write",
        "Nothing was changed. The server's log has the reason, under the `request_id` of the answer.";
    QueueFull = "queue_full", 503, "The ledger's queue is full", "Nothing was taken. Send it again after `Retry-After`.";
    LedgerUnavailable = "ledger_unavailable", 503, "The ledger does not answer",
        "Nothing was changed. Send it again after `Retry-After`.";
    BusUnavailable = "bus_unavailable", 503, "The broker does not take events",
        "Nothing was taken. Send it again after `Retry-After`.";
    OutcomeUnknown = "outcome_unknown", 503, "The ledger's or the broker's answer is missing",
        "It may have been taken. Send it again with the same id and source: twice is recognised.";
    Draining = "draining", 503, "The server is stopping", "Nothing was changed. Send it again after `Retry-After`.";
}

impl Code {
    /// The code of a word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.as_str() == word)
    }

    /// The status that it is answered with.
    pub fn status(self) -> StatusCode {
        StatusCode::from_u16(self.number()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// Where it is explained.
    pub fn url(self) -> String {
        format!("/problems/{}", self.as_str())
    }
}

impl PartialSchema for Code {
    fn schema() -> RefOr<Schema> {
        let words = Self::ALL.iter().map(|code| code.as_str());
        let meaning = "What it was refused with, for programs; a code never changes its meaning.";
        ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words)).description(Some(meaning)).into()
    }
}

impl ToSchema for Code {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_word_of_its_own_and_a_status_of_an_error() {
        for code in Code::ALL {
            assert_eq!(Code::from_word(code.as_str()), Some(*code));
            assert!(code.status().is_client_error() || code.status().is_server_error(), "{code:?}");
        }
    }
}
