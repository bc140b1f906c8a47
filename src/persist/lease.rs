//! The node's lease: who this process is in the ledger, and whether it may start anything.
//!
//! SQLite has one process, kept alone by its lock: its lease has no end. On PostgreSQL a row says until when a node
//! counts as alive, by the database's clock; its keeper renews it on a thread of its own, and nothing here waits for it.
//! The node itself goes by its monotonic clock, from before a renewal was sent: it stops starting handlers no later than
//! others may take its events over.

mod keeper;
mod row;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::time::Instant;
use uuid::Uuid;

pub(super) use keeper::Keeper;
pub use row::Peer;
pub(super) use row::{Myself, now};

/// How long the keeper may take to let go of what it is doing.
const LETTING_GO: Duration = Duration::from_secs(1);

/// So many ids of this process are remembered; what the ones before them left is found by whoever takes over.
const REMEMBERED: usize = 8;

/// The lease of this process; cheap to clone.
#[derive(Clone, Debug)]
pub struct Lease(Arc<Held>);

#[derive(Debug)]
struct Held {
    standing: watch::Sender<Standing>,
    /// Tells the keeper to stop; it also stops when this is gone.
    end: watch::Sender<bool>,
}

#[derive(Debug)]
struct Standing {
    node: Uuid,
    /// Until when handlers may start; none if there is no end to it.
    until: Option<Instant>,
    earlier: Vec<Uuid>,
    others: Arc<[Peer]>,
    loss: Option<Loss>,
    draining: bool,
}

/// Why a lease was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// The database did not answer in time.
    Unrenewed,
    /// Others have taken over what it had in hand.
    Fenced,
}

impl Lease {
    /// A lease without an end, for the only process of its ledger.
    pub(super) fn endless(node: Uuid) -> Self {
        Self::of(node, None)
    }

    /// A lease that its keeper has to get first.
    pub(super) fn to_be_had(node: Uuid) -> Self {
        Self::of(node, Some(Instant::now()))
    }

    fn of(node: Uuid, until: Option<Instant>) -> Self {
        let standing =
            Standing { node, until, earlier: Vec::new(), others: Arc::default(), loss: None, draining: false };
        Self(Arc::new(Held { standing: watch::Sender::new(standing), end: watch::Sender::new(false) }))
    }

    /// The id of this process in the ledger at present: new at each boot, and after each time it was fenced.
    #[must_use]
    pub fn node(&self) -> Uuid {
        self.0.standing.borrow().node
    }

    /// Every id of this process whose claims may still be held here, the present one first.
    #[must_use]
    pub fn nodes(&self) -> Vec<Uuid> {
        let standing = self.0.standing.borrow();
        std::iter::once(standing.node).chain(standing.earlier.iter().copied()).collect()
    }

    /// Whether a handler may start now.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.0.standing.borrow().holds()
    }

    /// Whether what this id has claimed may start now: it is still the present one, and its lease holds.
    #[must_use]
    pub fn holds_as(&self, node: Uuid) -> bool {
        let standing = self.0.standing.borrow();
        standing.node == node && standing.holds()
    }

    /// Why the lease does not hold; none while it does.
    #[must_use]
    pub fn loss(&self) -> Option<Loss> {
        let standing = self.0.standing.borrow();
        if standing.holds() { None } else { Some(standing.loss.unwrap_or(Loss::Unrenewed)) }
    }

    /// The other live nodes, as they were at the last renewal.
    #[must_use]
    pub fn others(&self) -> Arc<[Peer]> {
        Arc::clone(&self.0.standing.borrow().others)
    }

    /// Whether no live node is older: for what only one of them should do. Two may think so for a short time.
    #[must_use]
    pub fn is_eldest(&self) -> bool {
        let standing = self.0.standing.borrow();
        standing.others.iter().all(|other| standing.node < other.id)
    }

    /// Tells of renewals, of fenced nodes, and of a new id, from now on. Never of anything without an end.
    #[must_use]
    pub fn changes(&self) -> Changes {
        Changes(self.0.standing.subscribe())
    }

    /// Says that this process stops on purpose, whatever id it has.
    pub(super) fn drains(&self) {
        self.0.standing.send_if_modified(|standing| {
            standing.draining = true;
            false
        });
    }

    /// Nothing starts from now on, and nothing is renewed; returns when the keeper has let go.
    pub(super) async fn end(&self) {
        self.0.end.send_replace(true);
        // The keeper's receiver is the only one.
        if tokio::time::timeout(LETTING_GO, self.0.end.closed()).await.is_err() {
            tracing::warn!("the lease's keeper does not let go");
        }
        self.0.standing.send_if_modified(|standing| {
            standing.until = standing.until.map(|until| until.min(Instant::now()));
            false
        });
    }

    fn is_draining(&self) -> bool {
        self.0.standing.borrow().draining
    }

    /// Renewed; says whether it had run out before.
    fn renewed(&self, until: Instant) -> bool {
        let mut lapsed = false;
        self.0.standing.send_if_modified(|standing| {
            lapsed = !standing.holds();
            (standing.until, standing.loss) = (Some(until), None);
            false
        });
        lapsed
    }

    /// Not renewed this time.
    fn unrenewed(&self) {
        self.0.standing.send_if_modified(|standing| {
            standing.loss.get_or_insert(Loss::Unrenewed);
            false
        });
    }

    /// Fenced: what this id has claimed is others' now. False if that was known.
    fn fenced(&self) -> bool {
        self.0.standing.send_if_modified(|standing| {
            standing.until = Some(Instant::now());
            standing.loss.replace(Loss::Fenced) != Some(Loss::Fenced)
        })
    }

    /// Goes on under this id.
    fn goes_on_as(&self, node: Uuid, until: Instant) {
        self.0.standing.send_if_modified(|standing| {
            if standing.node != node {
                standing.earlier.insert(0, standing.node);
                standing.earlier.truncate(REMEMBERED);
            }
            (standing.node, standing.until, standing.loss) = (node, Some(until), None);
            false
        });
    }

    /// All of a renewal is done, fencing others included: whoever waits for it looks around now.
    fn knows(&self, others: Vec<Peer>) {
        self.0.standing.send_modify(|standing| standing.others = others.into());
    }
}

impl Standing {
    fn holds(&self) -> bool {
        self.until.is_none_or(|until| Instant::now() < until)
    }
}

/// See [`Lease::changes`].
#[derive(Debug)]
pub struct Changes(watch::Receiver<Standing>);

impl Changes {
    /// Waits for the next change; false if there will be none.
    pub async fn next(&mut self) -> bool {
        self.0.changed().await.is_ok()
    }
}

/// How the first round of a keeper ended.
type Begun = oneshot::Sender<Result<(), sea_orm::DbErr>>;
