//! What nodes that are gone have left: found whenever it was written, taken once, counted once.

use std::collections::HashSet;
use std::time::Duration;

use sea_orm::{ConnectionTrait, Statement};

use super::*;
use crate::clock::Timestamp;

const HOUR: Duration = Duration::from_secs(3_600);

impl Desk {
    /// Says in the ledger that this desk is gone; it does not hear of it.
    async fn fence(&self, draining: bool) {
        let (tx, node) = (self.persist.writer.begin().await.unwrap(), self.persist.lease.node());
        let backend = tx.get_database_backend();
        let sql = format!("UPDATE node SET fenced_at = 1, draining = {draining} WHERE id = ?");
        tx.execute_raw(dialect::statement(backend, &sql, [node.into()])).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// Claims that nobody has taken over yet are all taken, a commit at a time.
    async fn take_all(&self) -> Vec<Finish> {
        let mut all = Vec::new();
        loop {
            let taken = self.persist.take_over(self.clock.now()).await.unwrap();
            if taken.is_empty() && !self.persist.is_anything_left().await.unwrap() {
                return all;
            }
            all.extend(taken);
        }
    }

    /// The counts as they are kept, and whose shares they are.
    async fn counted(&self) -> (Vec<(Status, i64)>, usize) {
        let counts = self.persist.reads().counts().await.unwrap();
        let of = |status: &Status| counts.iter().filter(|((_, of), _)| of == status).map(|(_, n)| n).sum();
        let kept = Status::ALL.iter().map(|status| (*status, of(status))).filter(|(_, n)| *n != 0).collect();
        let sql = "SELECT DISTINCT node FROM status_count";
        let db = &self.persist.reads().db;
        let shares = db.query_all_raw(Statement::from_string(db.get_database_backend(), sql)).await.unwrap();
        (kept, shares.len())
    }
}

#[actix::test]
async fn what_a_node_had_in_hand_is_abandoned_and_a_stop_on_purpose_is_no_crash() {
    let Some(place) = Place::on_postgres() else { return };
    let place = Arc::new(place);
    let taker = desk_at(Arc::clone(&place), Clock::default()).await;
    for (draining, crashes) in [(false, 1), (true, 0)] {
        let gone = desk_at(Arc::clone(&place), Clock::default()).await;
        let (id, claim) = gone.in_hand(&draining.to_string()).await;
        assert!(taker.take_all().await.is_empty(), "it lives");
        gone.fence(draining).await;
        assert_eq!(taker.take_all().await.len(), 1);
        let whole = taker.persist.reads().whole(id).await.unwrap().unwrap();
        assert_eq!((whole.record.status, whole.record.crash_count), (Status::Pending, crashes));
        assert_eq!((whole.attempts.len(), whole.attempts[0].status), (1, AttemptStatus::Abandoned));
        assert_eq!(whole.attempts[0].node, gone.persist.lease.node());
        // Its late end changes nothing but the note.
        assert_eq!(gone.persist.finish(gone.success(id, claim)).await, Ok(false));
        let late = taker.persist.reads().whole(id).await.unwrap().unwrap();
        assert_eq!((late.record.status, late.record.updated_at), (Status::Pending, whole.record.updated_at));
        assert_eq!(late.attempts[0].error_message.as_deref(), Some("abandoned; it then ended as SUCCESS: -"));
    }
    let (kept, shares) = taker.counted().await;
    assert_eq!((kept, shares), (vec![(Status::Pending, 2)], 1));
}

#[actix::test]
async fn a_claim_of_a_node_that_did_not_know_that_it_was_fenced_is_found() {
    let Some(place) = Place::on_postgres() else { return };
    let place = Arc::new(place);
    let (taker, gone) = (desk_at(Arc::clone(&place), Clock::default()).await, desk_at(place, Clock::default()).await);
    gone.fence(false).await;
    assert!(taker.take_all().await.is_empty());
    let (id, _) = gone.in_hand("late").await;
    assert!(taker.persist.is_anything_left().await.unwrap());
    assert_eq!(taker.take_all().await.len(), 1);
    assert_eq!(taker.status(id).await, Status::Pending);
    assert_eq!(taker.counted().await, (vec![(Status::Pending, 1)], 1));
}

#[actix::test]
async fn of_several_takers_at_once_one_takes_each_claim() {
    const CLAIMS: usize = 2_000;
    let Some(place) = Place::on_postgres() else { return };
    let place = Arc::new(place);
    let gone = desk_at(Arc::clone(&place), Clock::default()).await;
    let claimed = (0..CLAIMS).map(|n| gone.record(&n.to_string(), Entry::Claimed(gone.clock.new_id()))).collect();
    gone.accept(claimed).await.unwrap();
    gone.fence(false).await;
    let mut takers = Vec::new();
    for _ in 0..3 {
        takers.push(desk_at(Arc::clone(&place), Clock::default()).await);
    }
    let taken = futures_util::future::join_all(takers.iter().map(Desk::take_all)).await;
    let records: Vec<Uuid> = taken.iter().flatten().map(|finish| finish.record_id).collect();
    assert_eq!((records.len(), records.iter().collect::<HashSet<_>>().len()), (CLAIMS, CLAIMS));
    let (kept, _) = gone.counted().await;
    assert_eq!(kept, [(Status::Pending, CLAIMS as i64)]);
}

fn an_hour_ahead() -> Timestamp {
    Clock::default().now().after(HOUR)
}

fn an_hour_behind() -> Timestamp {
    Clock::default().now().before(HOUR)
}

#[actix::test]
async fn nodes_whose_wall_clocks_are_wrong_agree_on_the_time_of_their_database() {
    let Some(place) = Place::on_postgres() else { return };
    let place = Arc::new(place);
    for (name, wall) in [("ahead", an_hour_ahead as fn() -> Timestamp), ("behind", an_hour_behind)] {
        let desk = desk_at(Arc::clone(&place), Clock::ticking(wall)).await;
        let record = desk.record(name, Entry::Waiting);
        let id = record.id;
        desk.accept(vec![record]).await.unwrap();
        let sql = "SELECT (extract(epoch FROM now()) * 1000000)::int8 - created_at AS age, \
                   (SELECT bool_and(abs(started_at - created_at) < 60000000) FROM node) AS near \
                   FROM event_record WHERE event_id = $1";
        let db = &desk.persist.reads().db;
        let row = Statement::from_sql_and_values(db.get_database_backend(), sql, [name.into()]);
        let row = db.query_one_raw(row).await.unwrap().unwrap();
        let age: i64 = row.try_get("", "age").unwrap();
        assert!((-1_000_000..60_000_000).contains(&age), "{name}: {age}");
        assert!(row.try_get::<bool>("", "near").unwrap(), "nodes started at the same time");
        // Ids are in the order of this time too.
        let made = id.get_timestamp().unwrap().to_unix().0 as i64;
        assert!((desk.clock.now().0 / 1_000_000 - made).abs() < 60, "{name}");
    }
}
