//! One connection: made in bounded time, or not.

use std::time::Duration;

use lapin::protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError};
use lapin::runtime::default_runtime;
use lapin::tcp::OwnedTLSConfig;
use lapin::uri::AMQPUri;
use lapin::{Connection, ConnectionProperties, ErrorKind};

use super::Config;
use super::topology::Fault;

/// How long making a connection may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// Seconds between two signs of life, unless the URL says otherwise. A network that is silently gone is noticed after
/// two of them, and RabbitMQ gives what a frozen process has prefetched to another one no later than its lease is over.
const HEARTBEAT: u16 = 6;

/// Connects once; `purpose` is what people see in RabbitMQ's list of connections.
pub(super) async fn connect(config: &Config, purpose: &str) -> Result<Connection, Fault> {
    let away = |why: String| Fault::Away(why);
    let mut uri: AMQPUri = config.url.parse().map_err(away)?;
    uri.query.heartbeat.get_or_insert(HEARTBEAT);
    let properties = ConnectionProperties::default().with_connection_name(format!("evenkeel {purpose}").into());
    let unread = |error| away(format!("`rabbitmq.ca_file` cannot be read: {error}"));
    let trusted = OwnedTLSConfig { identity: None, cert_chain: config.certificates().map_err(unread)? };
    let runtime = default_runtime().map_err(|error| away(error.to_string()))?;
    let connecting = Connection::connect_uri_with_config(uri, properties, trusted, runtime);
    match tokio::time::timeout(PATIENCE, connecting).await {
        Ok(Ok(connection)) => Ok(connection),
        Ok(Err(error)) if is_shut_out(&error) => Err(Fault::Login(error.to_string())),
        Ok(Err(error)) => Err(away(error.to_string())),
        Err(_) => Err(away(format!("no answer in {} s", PATIENCE.as_secs()))),
    }
}

/// Whether the server has answered, and does not let this user in, or not into this virtual host.
fn is_shut_out(error: &lapin::Error) -> bool {
    let ErrorKind::ProtocolError(error) = error.kind() else { return false };
    matches!(
        error.kind(),
        AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED) | AMQPErrorKind::Hard(AMQPHardError::NOTALLOWED)
    )
}

/// Ends a connection; one that does not answer is dropped.
pub(super) async fn close(connection: Connection) {
    const GOODBYE: Duration = Duration::from_secs(1);
    // The reply code of AMQP for a close without a fault.
    match tokio::time::timeout(GOODBYE, connection.close(200, "OK".into())).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a connection to RabbitMQ was gone before it was closed"),
        Err(_) => tracing::debug!("RabbitMQ did not answer the end of a connection"),
    }
}
