//! Writes a line to the log for each event, and always succeeds.
//!
//! The line never holds the data itself: what people send does not belong in a log.

use std::future::ready;

use actix::{Actor, Context, Handler, ResponseFuture};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::event::{Event, Payload};
use crate::handle::{Deliver, HandlerError};

/// Writes a line to the log for each event, without its data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// The level of the lines.
    pub level: Level,
}

/// The level of a line, as `RUST_LOG` knows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// `error`
    Error,
    /// `warn`
    Warn,
    /// `info`
    #[default]
    Info,
    /// `debug`
    Debug,
    /// `trace`
    Trace,
}

/// The handler of kind `log`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Log {
    level: Level,
}

impl Log {
    /// A handler with these options.
    #[must_use]
    pub const fn new(options: Options) -> Self {
        Self { level: options.level }
    }
}

impl Actor for Log {
    type Context = Context<Self>;
}

impl Handler<Deliver<Payload>> for Log {
    type Result = ResponseFuture<Result<(), HandlerError>>;

    fn handle(&mut self, delivery: Deliver<Payload>, _: &mut Context<Self>) -> Self::Result {
        write(self.level, &delivery.event);
        Box::pin(ready(Ok(())))
    }
}

/// One line at a level that tracing wants to know when it is compiled. The strings are fields and no part of the
/// text, so that a subject with a line break in it cannot forge a line.
macro_rules! line {
    ($level:ident, $event:expr) => {
        tracing::event!(
            tracing::Level::$level,
            event_id = $event.id.as_str(),
            source = $event.source.as_str(),
            "type" = $event.event_type.as_str(),
            subject = $event.subject.as_deref(),
            data_bytes = $event.data.bytes.as_ref().map_or(0, bytes::Bytes::len),
            "event"
        )
    };
}

fn write(level: Level, event: &Event<Payload>) {
    match level {
        Level::Error => line!(ERROR, event),
        Level::Warn => line!(WARN, event),
        Level::Info => line!(INFO, event),
        Level::Debug => line!(DEBUG, event),
        Level::Trace => line!(TRACE, event),
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::handlers::webhook::sample;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[actix::test]
    async fn an_event_becomes_one_line_with_its_attributes_and_without_its_data() {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt().json().with_writer(move || writer.clone()).finish();
        let guard = tracing::subscriber::set_default(subscriber);

        let log = Log::new(Options::default()).start();
        log.send(sample::delivery(Payload::json(r#"{"card":"4111"}"#))).await.unwrap().unwrap();
        drop(guard);

        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["level"], "INFO");
        let fields = serde_json::json!({
            "message": "event", "event_id": "e-1", "source": "/shop", "type": "order.paid", "subject": "order 7",
            "data_bytes": 15,
        });
        assert_eq!(line["fields"], fields);
    }

    #[test]
    fn a_level_may_be_chosen_and_other_keys_are_refused() {
        let options: Options = toml::from_str(r#"level = "debug""#).unwrap();
        assert_eq!(options.level, Level::Debug);
        assert!(toml::from_str::<Options>(r#"lvl = "debug""#).is_err());
    }
}
