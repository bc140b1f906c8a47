//! An event as a command: what a person pastes into a shell to send it.

use actix_web::HttpRequest;

use crate::event::{Event, Payload, to_structured};

/// The longest event that is shown as a command, in bytes.
const LONGEST: usize = 16 * 1_024;

/// The command that sends it, for a POSIX shell; the same id is recognised there.
pub(super) fn curl(request: &HttpRequest, event: &Event<Payload>) -> Option<String> {
    let quoted = |text: &str| format!("'{}'", text.replace('\'', r"'\''"));
    let document = String::from_utf8(to_structured(event)).ok()?;
    if document.len() > LONGEST {
        return None;
    }
    let info = request.connection_info();
    let url = quoted(&format!("{}://{}/api/v1/events", info.scheme(), info.host()));
    Some(format!("curl -i {url} -H 'content-type: application/cloudevents+json' \\\n     -d {}", quoted(&document)))
}
