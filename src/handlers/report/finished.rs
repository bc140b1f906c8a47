//! The event that says that a report is there.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;

use super::options::{Format, Options};
use super::request::{Content, Request};
use crate::event::{NewEvent, Payload, TraceContext};
use crate::handle::Deliver;

/// Its type.
pub const FINISHED: &str = "report.finished";

/// What has to be encoded in a part of a URI's path: all but the unreserved characters of RFC 3986.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The event of a report, but for its number of rows.
///
/// Two attempts of one request may both come here. So the source, the id and the data say only what is the same for
/// both: then the second event is a duplicate. What may differ, because the ledger moved on or the configuration was
/// changed between them, stands in extensions, which are no part of an event's content. So does the trace of the
/// request, which goes on with this event.
pub(super) fn event(
    request: &Request,
    delivery: &Deliver<Payload>,
    options: &Options,
    formats: &[Format],
) -> Result<NewEvent, serde_json::Error> {
    let Deliver { event: asked, attempt } = delivery;
    let (since, until) = match &request.content {
        Content::Ledger(question) => (question.filter.since, question.filter.until),
        Content::Rows(_) => (None, None),
    };
    let name = request.name.to_string();
    let data = json!({ "name": &name, "title": &request.title, "since": since, "until": until });
    let formats: Vec<&str> = formats.iter().map(|format| format.extension()).collect();
    let mut event = NewEvent::new(FINISHED, &data)?
        .id(attempt.record_id.to_string())
        .source(format!("/handlers/{}", utf8_percent_encode(&attempt.handler, RESERVED)))
        .subject(name)
        .extension("directory", options.directory.display().to_string())
        .extension("formats", formats.join(","));
    if let Some(trace) = TraceContext::of_event(&asked.extensions) {
        trace.join(&mut event);
    }
    Ok(event)
}
