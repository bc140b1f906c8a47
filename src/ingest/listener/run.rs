//! One listener's life: take a batch, have it accepted, settle it; until a drain.

use std::sync::Arc;
use std::time::Duration;

use super::Reception;
use crate::bus::Link;

/// How long to wait before the number of waiting events is looked at again.
const LOOK: Duration = Duration::from_millis(100);

/// Runs until the engine drains.
pub(super) async fn run(reception: Arc<Reception>, link: Link) {
    let mut listener = (reception.broker.listen)(link);
    loop {
        let deliveries = async {
            room(&reception).await;
            listener.next().await
        };
        let deliveries = tokio::select! {
            biased;
            () = reception.pool.drained() => break,
            deliveries = deliveries => deliveries,
        };
        // In the ledger first, told to the broker then: what happens between the two costs a redelivery.
        if !reception.accept(deliveries).await {
            break;
        }
        listener.settle().await;
    }
    listener.close().await;
}

/// Waits while too many events wait, or nobody can say how many.
async fn room(reception: &Reception) {
    loop {
        match reception.waiting().await {
            Ok(waiting) if waiting < reception.max_pending => return,
            Ok(_) => {}
            Err(error) => tracing::debug!(%error, "the ledger does not say how many events wait"),
        }
        tokio::time::sleep(LOOK).await;
    }
}
