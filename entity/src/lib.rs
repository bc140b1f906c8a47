//! The tables of the ledger, as sea-orm entities.
//!
//! Times are microseconds since the Unix epoch, UTC. Statuses are the words of the engine's `lifecycle`.

pub mod chemical_status;
pub mod chemical_status_change;
pub mod dead_letter;
pub mod dead_letter_group;
pub mod event_attempt;
pub mod event_record;
pub mod handler_state;
pub mod idempotency_key;
pub mod late_record;
pub mod node;
pub mod operation;
pub mod operation_failure;
pub mod operator_action;
pub mod record_action;
pub mod resubmission;
pub mod status_count;
