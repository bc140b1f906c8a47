//! The two queues: looked for first, and made only if they are not there.

use lapin::options::QueueDeclareOptions;
use lapin::protocol::{AMQPErrorKind, AMQPSoftError};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Connection, ErrorKind};

use super::connect::{close, connect};
use super::{Config, QueueType};

/// Why the queues cannot be used.
pub(super) enum Fault {
    /// RabbitMQ cannot be reached.
    Away(String),
    /// It can, and does not let this user in.
    Login(String),
    /// It can, and refuses a queue.
    Unusable { queue: String, why: String },
}

/// Sees to it that both queues are there.
pub(super) async fn prepare(config: &Config) -> Result<(), Fault> {
    let connection = connect(config, "queues").await?;
    let prepared = prepare_on(&connection, config).await;
    close(connection).await;
    prepared
}

/// The same over a connection that is there.
pub(super) async fn prepare_on(connection: &Connection, config: &Config) -> Result<(), Fault> {
    for queue in [&config.queue, &config.dlq] {
        declare(connection, queue, config.queue_type).await?;
    }
    Ok(())
}

async fn declare(connection: &Connection, queue: &str, queue_type: QueueType) -> Result<(), Fault> {
    // A queue that is there is used as it is, whatever it was made with, and needs no right to make one.
    match attempt(connection, queue, QueueDeclareOptions::durable().passive(), FieldTable::default()).await {
        Err(error) if soft(&error) == Some(AMQPSoftError::NOTFOUND) => {}
        declared => return declared.map_err(|error| fault(queue, &error)),
    }
    for arguments in arguments(queue_type) {
        match attempt(connection, queue, QueueDeclareOptions::durable(), arguments).await {
            Err(error) if soft(&error) == Some(AMQPSoftError::PRECONDITIONFAILED) => {}
            declared => return declared.map_err(|error| fault(queue, &error)),
        }
    }
    Err(Fault::Unusable { queue: queue.to_owned(), why: "RabbitMQ makes no such queue; make it by hand".to_owned() })
}

/// On a channel of its own: a refusal closes it.
async fn attempt(
    connection: &Connection,
    queue: &str,
    options: QueueDeclareOptions,
    arguments: FieldTable,
) -> lapin::Result<()> {
    let channel = connection.create_channel().await?;
    channel.queue_declare(queue.into(), options, arguments).await?;
    channel.close(200, "OK".into()).await
}

/// What a queue is made with, best first.
fn arguments(queue_type: QueueType) -> Vec<FieldTable> {
    let with = |entries: &[(&str, AMQPValue)]| {
        let mut table = FieldTable::default();
        for (name, value) in entries {
            table.insert((*name).into(), value.clone());
        }
        table
    };
    let of_type = |word: &str| ("x-queue-type", AMQPValue::LongString(word.into()));
    match queue_type {
        QueueType::Classic => vec![with(&[of_type("classic")])],
        // RabbitMQ 4 drops a message after 20 deliveries unless told otherwise, which an outage of the ledger could
        // reach. Not -1, its word for no limit: version 3 takes that as well, and drops what is delivered again at all.
        QueueType::Quorum => {
            vec![
                with(&[of_type("quorum"), ("x-delivery-limit", AMQPValue::LongInt(i32::MAX))]),
                with(&[of_type("quorum")]),
            ]
        }
    }
}

/// The error that closed a channel and left the connection as it was.
pub(super) fn soft(error: &lapin::Error) -> Option<AMQPSoftError> {
    let ErrorKind::ProtocolError(error) = error.kind() else { return None };
    match error.kind() {
        AMQPErrorKind::Soft(soft) => Some(soft.clone()),
        AMQPErrorKind::Hard(_) => None,
    }
}

fn fault(queue: &str, error: &lapin::Error) -> Fault {
    let why = match soft(error) {
        Some(AMQPSoftError::ACCESSREFUSED) => {
            format!("{error}; make it by hand, durable, or let the user of `rabbitmq.url` configure it")
        }
        Some(_) => error.to_string(),
        None => return Fault::Away(error.to_string()),
    };
    Fault::Unusable { queue: queue.to_owned(), why }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Away(why) => f.write_str(why),
            Self::Login(why) => write!(f, "it does not let us in: {why}"),
            Self::Unusable { queue, why } => write!(f, "the queue `{queue}` cannot be used: {why}"),
        }
    }
}
