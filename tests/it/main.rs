//! One integration binary: the engine as a library, over HTTP, and as a process.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails there")]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a test's output is shown when it fails")]

mod bad_input;
mod bad_start;
mod bounded;
mod chemicals;
mod command_line;
mod contract;
mod crash;
mod dead_network;
mod docs;
mod drain;
mod email;
mod email_failures;
mod emit;
mod events_page;
mod examples;
mod fresh_project;
mod harness;
mod isolation;
mod line;
mod mail_server;
mod path;
mod place;
mod poison;
mod postgres;
mod process;
mod rabbit;
mod rabbitmq;
mod rabbitmq_failures;
mod readme;
mod receiver;
mod recovery;
mod reports;
mod scenario_a;
mod scenario_b;
mod scenario_c;
mod scenario_d;
mod sdk;
mod send;
mod server;
mod starting_points;
mod target;
mod tools;
mod wire;
