//! The lanes of an engine, made from its handlers' registrations.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::lane::Lane;
use super::{Config, Timeouts};
use crate::handle::{self, BindError, Registration, Routes};
use crate::retry::RetryPolicy;
use crate::telemetry::Metrics;

/// All lanes by name, and which lane a type belongs to.
pub(super) type Lanes = (BTreeMap<Arc<str>, Arc<Lane>>, Routes);

/// Builds them and starts their handlers.
pub(super) fn build(
    pool: &Config,
    timeouts: &Timeouts,
    retry: &RetryPolicy,
    metrics: &Metrics,
    handlers: Vec<Registration>,
) -> Result<Lanes, BindError> {
    let (mut lanes, mut routes) = (BTreeMap::new(), Routes::default());
    for handler in handlers {
        let bind = handler.bind.clone();
        let name: Arc<str> = bind.handler_name().into();
        routes.add(&name, &bind.patterns)?;
        let concurrency = bind.concurrency.unwrap_or(handle::Config::DEFAULT_CONCURRENCY);
        let timeout = bind.timeout.unwrap_or(timeouts.handler);
        if concurrency == 0 {
            return Err(BindError::NoPermit(name.to_string()));
        }
        if timeout > timeouts.processing {
            return Err(BindError::Timeout(name.to_string()));
        }
        if lanes.contains_key(&name) {
            return Err(BindError::SameName(name.to_string()));
        }
        let policy = bind.retry.as_ref().map_or_else(|| retry.clone(), |retry_of| retry_of.apply(retry));
        let capacity = bind.queue_capacity.unwrap_or(pool.queue_capacity);
        let kind = handler.kind.clone();
        // One more than the permits: a suspect may join a full lane.
        let host = handler.host(&name, concurrency + 1, metrics.clone());
        let lane = Lane::new(Arc::clone(&name), kind, bind.patterns, concurrency, capacity, timeout, policy, host);
        lanes.insert(name, Arc::new(lane));
    }
    Ok((lanes, routes))
}
