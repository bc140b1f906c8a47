//! What goes over a bus, whichever it is: attributes, headers and a body. No type of a broker's client may be named here.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::Value;

use crate::event::{Event, NewEvent, Payload, TraceContext};

/// The extension that carries the id of an event's record over a broker.
pub(crate) const RECORD_ID: &str = "evenkeelid";

/// Which of the two places a message is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// Where the listeners read.
    Events,
    /// Where dead letters go.
    DeadLetters,
}

/// A message that is to be published: a CloudEvent in binary mode.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Where it goes.
    pub to: Destination,
    /// Its CloudEvents attributes by their own names; the bus gives them the prefix of its protocol.
    pub attributes: BTreeMap<String, Value>,
    /// Other headers, as they are.
    pub headers: BTreeMap<String, Value>,
    /// `datacontenttype`.
    pub content_type: Option<String>,
    /// The data; none is an event without data.
    pub body: Option<Bytes>,
}

impl Message {
    /// An event for the listeners. Its id and source are filled in by now.
    pub(crate) fn event(event: &NewEvent, record_id: uuid::Uuid) -> Self {
        let mut attributes: BTreeMap<String, Value> = event.extensions.clone().into_iter().collect();
        let texts = [("id", &event.id), ("source", &event.source), ("subject", &event.subject)];
        attributes.extend(texts.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text.clone()?.into()))));
        attributes.insert("type".to_owned(), event.event_type.clone().into());
        let times = [("time", event.time), ("deliverat", event.deliver_at)];
        attributes
            .extend(times.into_iter().filter_map(|(name, time)| Some((name.to_owned(), time?.to_rfc3339().into()))));
        attributes.insert(RECORD_ID.to_owned(), record_id.to_string().into());
        Self::new(Destination::Events, attributes, &event.payload)
    }

    /// What an event was, for the dead-letter queue, without anything about its death.
    pub(crate) fn dead_letter(event: &Event<Payload>) -> Self {
        let mut attributes: BTreeMap<String, Value> = event.extensions.clone().into_iter().collect();
        let texts = [("id", &event.id), ("source", &event.source), ("type", &event.event_type)];
        attributes.extend(texts.map(|(name, text)| (name.to_owned(), text.clone().into())));
        attributes.extend(event.subject.clone().map(|subject| ("subject".to_owned(), subject.into())));
        attributes.extend(event.time.map(|time| ("time".to_owned(), time.to_rfc3339().into())));
        Self::new(Destination::DeadLetters, attributes, &event.data)
    }

    fn new(to: Destination, mut attributes: BTreeMap<String, Value>, payload: &Payload) -> Self {
        attributes.insert("specversion".to_owned(), "1.0".into());
        // Who reads messages without reading CloudEvents finds the trace where such headers usually are.
        let trace = TraceContext::of_event(&attributes);
        let headers = trace.iter().flat_map(TraceContext::headers).map(|(name, value)| (name.to_owned(), value.into()));
        Self {
            to,
            headers: headers.collect(),
            attributes,
            content_type: payload.content_type.clone(),
            body: payload.bytes.clone(),
        }
    }
}

/// A message that a broker has delivered, and wants to be told about.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery {
    /// Its headers as they came. A value that is no text, number or boolean is some other JSON.
    pub headers: Vec<(String, Value)>,
    /// What the body is.
    pub content_type: Option<String>,
    /// The id that the sender gave the message, if the protocol has such a thing.
    pub message_id: Option<String>,
    /// The body as it came.
    pub body: Bytes,
    /// Topic or queue.
    pub topic: String,
    /// Partition and offset, if it has a position.
    pub position: Option<(i32, i64)>,
    /// The broker has delivered it before, or may have.
    pub redelivered: bool,
}
