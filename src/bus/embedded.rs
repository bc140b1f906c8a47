//! The embedded bus: an event is taken straight into the ledger, so that there is nothing to publish or to listen to.

use super::Capabilities;

pub(super) const CAPABILITIES: Capabilities = Capabilities { broker: false, positions: false, dead_letters: false };
