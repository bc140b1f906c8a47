//! Listening: a thread that polls, and the hatch to it.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;

use super::hatch::Hatch;
use super::{Config, consume};
use crate::bus::link::Cause;
use crate::bus::{Delivery, Link, Listen};

/// How long the thread may take to leave the group when the listener ends.
const GOODBYE: Duration = Duration::from_secs(4);

/// How long to wait before a thread that has died is replaced.
const AGAIN: Duration = Duration::from_secs(1);

/// See [`Listen`].
pub(super) struct Listener {
    config: Arc<Config>,
    link: Link,
    hatch: Option<Arc<Hatch>>,
}

impl Listener {
    pub(super) const fn new(config: Arc<Config>, link: Link) -> Self {
        Self { config, link, hatch: None }
    }

    /// The hatch to the thread, in the end.
    async fn hatch(&mut self) -> Arc<Hatch> {
        loop {
            match &self.hatch {
                Some(hatch) if !hatch.has_ended() => return Arc::clone(hatch),
                Some(_) => {
                    self.lose("its thread has died");
                    tokio::time::sleep(AGAIN).await;
                }
                None => {}
            }
            if let Err(error) = self.start() {
                self.lose(&error.to_string());
                tokio::time::sleep(AGAIN).await;
            }
        }
    }

    fn start(&mut self) -> std::io::Result<()> {
        let hatch = Arc::<Hatch>::default();
        let (config, link, theirs) = (Arc::clone(&self.config), self.link.clone(), Arc::clone(&hatch));
        let thread = std::thread::Builder::new().name("kafka listener".to_owned());
        thread.spawn(move || consume::run(&config, &theirs, &link))?;
        self.hatch = Some(hatch);
        Ok(())
    }

    fn lose(&mut self, why: &str) {
        tracing::error!(why, "a listener of Kafka was lost");
        self.link.down(Cause::Away, why.to_owned());
        self.hatch = None;
    }
}

impl Listen for Listener {
    fn next(&mut self) -> LocalBoxFuture<'_, Vec<Delivery>> {
        async move {
            loop {
                let hatch = self.hatch().await;
                // What came while nobody waited any more still lies there.
                if let Some(batch) = hatch.ask() {
                    return batch;
                }
                hatch.arrived().await;
            }
        }
        .boxed_local()
    }

    fn settle(&mut self) -> LocalBoxFuture<'_, ()> {
        if let Some(hatch) = &self.hatch {
            hatch.settle();
        }
        std::future::ready(()).boxed_local()
    }

    fn close(&mut self) -> LocalBoxFuture<'_, ()> {
        async move {
            let Some(hatch) = self.hatch.take() else { return };
            hatch.close();
            let ended = async {
                while !hatch.has_ended() {
                    hatch.arrived().await;
                }
            };
            if tokio::time::timeout(GOODBYE, ended).await.is_err() {
                tracing::warn!("a listener does not leave its group; Kafka gives its partitions to others in time");
            }
        }
        .boxed_local()
    }
}

/// One that is not closed leaves all the same.
impl Drop for Listener {
    fn drop(&mut self) {
        if let Some(hatch) = &self.hatch {
            hatch.close();
        }
    }
}
