//! An event for the tests of the built-in handlers.

use std::sync::Arc;

use uuid::Uuid;

use crate::clock::Timestamp;
use crate::event::{Event, Extensions, Payload};
use crate::handle::{Attempt, Deliver};

/// 2026-01-05T08:02:20Z
pub(crate) const NOW: Timestamp = Timestamp(1_767_600_140_000_000);

/// The third attempt of an event with all its attributes and this data.
pub(crate) fn delivery(data: Payload) -> Deliver<Payload> {
    let event = Event {
        id: "e-1".into(),
        source: "/shop".into(),
        event_type: "order.paid".into(),
        subject: Some("order 7".into()),
        time: Some("2026-01-05T08:02:19Z".parse().unwrap()),
        extensions: Extensions::from([("partitionkey".into(), "k".into())]),
        data,
    };
    let attempt = Attempt {
        id: Uuid::from_u128(1),
        record_id: Uuid::from_u128(0x019b_8d3c_0000_7000_8000_0000_0000_0001),
        number: 3,
        handler: Arc::from("hook"),
        deadline: NOW,
    };
    Deliver { event, attempt }
}
