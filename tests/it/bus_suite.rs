//! One suite for every bus on every ledger: what holds of one of them holds of all.
//!
//! A test knows its bus by the trait and by its capabilities, never by its name. What is said of one broker alone is in
//! that broker's own files.

mod bus;
mod embedded;
mod kafka;
mod load;
mod messages;
mod rabbitmq;
mod settlement;

use embedded::Embedded;
use kafka::Topics;
