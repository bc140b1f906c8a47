//! Several nodes write to one ledger on PostgreSQL: what one of them does between two statements of another, or at the
//! same time, makes nothing happen twice and leaves no count wrong.

use std::collections::{BTreeSet, HashMap};

use futures_util::future::join_all;
use sea_orm::sqlx::{Connection, PgConnection, query, query_as, query_scalar};

use super::*;

/// Another node on the same ledger.
async fn beside(desk: &Desk) -> Desk {
    desk_at(Arc::clone(&desk._place), Clock::default()).await
}

/// Another node's transaction, held open by the test.
async fn transaction(url: &str) -> PgConnection {
    let mut other = PgConnection::connect(url).await.unwrap();
    query("BEGIN").execute(&mut other).await.unwrap();
    other
}

async fn commit(other: &mut PgConnection) {
    query("COMMIT").execute(other).await.unwrap();
}

/// Returns when somebody waits for this transaction.
async fn until_waited_for(other: &mut PgConnection) {
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE pg_backend_pid() = ANY (pg_blocking_pids(pid))";
    while query_scalar::<_, i64>(waits).fetch_one(&mut *other).await.unwrap() == 0 {
        tokio::task::yield_now().await;
    }
}

async fn set_status(other: &mut PgConnection, id: Uuid, status: &str) {
    let sql = "UPDATE event_record SET status = $2, final_status = NULL WHERE id = $1";
    query(sql).bind(id).bind(status).execute(other).await.unwrap();
}

/// The kept counts are the counted rows, lane by lane.
async fn assert_counts(desk: &Desk, url: &str) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let sql = "SELECT coalesce(handler_name, ''), status, count(*) FROM event_record GROUP BY 1, 2";
    let rows: Vec<(String, String, i64)> = query_as(sql).fetch_all(&mut connection).await.unwrap();
    let counted: HashMap<_, _> = rows.into_iter().map(|(lane, status, n)| ((lane, status), n)).collect();
    let kept = desk.persist.reads().counts().await.unwrap().into_iter().filter(|(_, n)| *n != 0);
    let kept: HashMap<_, _> = kept.map(|((lane, status), n)| ((lane, status.to_string()), n)).collect();
    assert_eq!(kept, counted);
}

impl Desk {
    /// Records that wait, and the claims that a lane would make of them from its memory.
    async fn waiting(&self, count: usize) -> Vec<Claim> {
        let records: Vec<NewRecord> =
            (0..count).map(|_| self.record(&self.clock.new_id().to_string(), Entry::Waiting)).collect();
        let claims = records.iter().map(|record| self.in_memory(record)).collect();
        self.accept(records).await.unwrap();
        claims
    }

    fn in_memory(&self, record: &NewRecord) -> Claim {
        Claim {
            record_id: record.id,
            attempt_id: self.clock.new_id(),
            attempt_number: 1,
            handler: "lane".into(),
            event: Arc::clone(&record.event),
            origin: record.origin.clone(),
            retry_count: 0,
            crash_count: 0,
            round: 1,
            created_at: record.created_at,
            claimed_at: record.created_at,
            from: Status::Pending,
        }
    }

    fn again(&self, claim: &Claim) -> Claim {
        Claim { attempt_id: self.clock.new_id(), ..claim.clone() }
    }

    fn due(&self, count: usize) -> Due {
        let attempt_ids = (0..count).map(|_| self.clock.new_id()).collect();
        Due { handlers: vec!["lane".to_owned()], suspects: false, attempt_ids, now: self.clock.now() }
    }

    /// How the attempt of a claim ended.
    fn ended(&self, claim: &Claim, to: Status) -> Finish {
        let mut finish = self.success(claim.record_id, claim.attempt_id);
        finish.step = transition(Verb::Finish, Some(Status::Processing), to).unwrap();
        finish.attempt_count = claim.attempt_number;
        finish.round = claim.round;
        finish.next_attempt_at = (!to.is_final()).then(|| self.clock.now());
        if let Some(attempt) = &mut finish.attempt {
            attempt.number = claim.attempt_number;
            attempt.status = if to == Status::Success { AttemptStatus::Success } else { AttemptStatus::Failed };
        }
        finish
    }

    async fn operate(&self, action: Action) -> u64 {
        let (id, at) = (self.clock.new_id(), self.clock.now());
        self.persist.operate(Operation { action, id, at, actor: "test".to_owned(), reason: None }).await.unwrap()
    }

    fn moved(&self) -> u64 {
        self.metrics.commit_failures.with_label_values(&["moved"]).get()
    }
}

#[actix::test]
async fn what_another_node_is_about_to_take_is_passed_over_and_nobody_waits_for_it() {
    let Some(place) = Place::on_postgres() else { return };
    let (url, desk) = (place.url(), desk(place).await);
    let claims = desk.waiting(3).await;
    let mut other = transaction(&url).await;
    set_status(&mut other, claims[1].record_id, "PROCESSING").await;
    let claimed = desk.persist.claim(claims.iter().map(|claim| desk.again(claim)).collect()).await;
    assert_eq!(claimed, Ok(vec![true, false, true]));
    let found = desk.persist.claim_due(desk.due(3)).await.unwrap();
    assert!(found.is_empty(), "{found:?}");
    query("ROLLBACK").execute(&mut other).await.unwrap();
    assert_eq!(desk.persist.claim_due(desk.due(3)).await.unwrap()[0].record_id, claims[1].record_id);
    assert_eq!(desk.moved(), 0, "no commit was done again");
    assert_counts(&desk, &url).await;
}

#[actix::test]
async fn of_two_nodes_that_claim_the_same_events_each_event_has_one() {
    let Some(place) = Place::on_postgres() else { return };
    let (url, one) = (place.url(), desk(place).await);
    let two = beside(&one).await;
    let claims = one.waiting(400).await;
    let by_id = async |desk: &Desk| {
        let mut taken = Vec::new();
        for claims in claims.chunks(20) {
            let claims: Vec<Claim> = claims.iter().map(|claim| desk.again(claim)).collect();
            let mine = desk.persist.claim(claims.clone()).await.unwrap();
            taken.extend(claims.into_iter().zip(mine).filter_map(|(claim, mine)| mine.then_some(claim.record_id)));
        }
        taken
    };
    let due = async |desk: &Desk| {
        let mut taken = Vec::new();
        for _ in 0..20 {
            taken.extend(desk.persist.claim_due(desk.due(20)).await.unwrap().iter().map(|claim| claim.record_id));
        }
        taken
    };
    let (mut taken, b, c, d) = tokio::join!(by_id(&one), by_id(&two), due(&one), due(&two));
    taken.extend(b.into_iter().chain(c).chain(d));
    assert_eq!((taken.len(), taken.iter().collect::<BTreeSet<_>>().len()), (400, 400));
    assert_eq!((one.moved(), two.moved()), (0, 0), "no commit was done again");
    assert_counts(&one, &url).await;
}

#[actix::test]
async fn an_operation_waits_for_what_another_node_is_doing_to_its_records_and_then_goes_by_that() {
    let Some(place) = Place::on_postgres() else { return };
    let (url, desk) = (place.url(), desk(place).await);
    for (action, stands, becomes) in [
        (Action::Discard as fn(Vec<Uuid>) -> Action, Status::FailedPermanent, Status::Pending),
        (|ids| Action::Redrive(vec![(ids[0], "lane".to_owned())]), Status::FailedPermanent, Status::Pending),
        (|ids| Action::Cancel(ids[0]), Status::RetryScheduled, Status::Processing),
    ] {
        let claim = desk.waiting(1).await.remove(0);
        assert_eq!(desk.persist.claim(vec![claim.clone()]).await, Ok(vec![true]));
        assert_eq!(desk.persist.finish(desk.ended(&claim, stands)).await, Ok(true));
        let mut other = transaction(&url).await;
        set_status(&mut other, claim.record_id, becomes.as_str()).await;
        let commits = async {
            until_waited_for(&mut other).await;
            commit(&mut other).await;
        };
        let (changed, ()) = tokio::join!(desk.operate(action(vec![claim.record_id])), commits);
        assert_eq!((changed, desk.status(claim.record_id).await), (0, becomes));
    }
}

#[actix::test]
async fn a_commit_that_was_undone_for_a_deadlock_is_done_again() {
    let Some(place) = Place::on_postgres() else { return };
    let (url, desk) = (place.url(), desk(place).await);
    // The server chooses whom it undoes: whoever has waited for a second when it looks.
    while desk.moved() == 0 {
        let mut ids: Vec<Uuid> = Vec::new();
        for claim in desk.waiting(2).await {
            ids.push(claim.record_id);
            assert_eq!(desk.persist.claim(vec![claim.clone()]).await, Ok(vec![true]));
            assert_eq!(desk.persist.finish(desk.ended(&claim, Status::FailedPermanent)).await, Ok(true));
        }
        ids.sort_unstable();
        let mut other = transaction(&url).await;
        let touch = |id: Uuid| query("UPDATE event_record SET updated_at = updated_at WHERE id = $1").bind(id);
        // The other way round than every node does.
        touch(ids[1]).execute(&mut other).await.unwrap();
        let crosses = async {
            until_waited_for(&mut other).await;
            drop(touch(ids[0]).execute(&mut other).await);
            query("ROLLBACK").execute(&mut other).await.unwrap();
        };
        let (discarded, ()) = tokio::join!(desk.operate(Action::Discard(ids.clone())), crosses);
        assert_eq!((discarded, desk.status(ids[0]).await), (2, Status::Discarded));
    }
    assert_counts(&desk, &url).await;
}

#[actix::test]
async fn of_a_finish_and_a_takeover_at_the_same_time_one_is_written() {
    let Some(place) = Place::on_postgres() else { return };
    let (url, one) = (place.url(), desk(place).await);
    let two = beside(&one).await;
    let claims = one.waiting(100).await;
    assert!(one.persist.claim(claims.clone()).await.unwrap().into_iter().all(|mine| mine));
    let orphans = one.persist.own_claims().await.unwrap();
    let recovered = join_all(orphans.into_iter().map(|orphan| {
        let (id, finish) = (orphan.record_id, orphan.recovered(two.clock.now()).unwrap());
        let two = &two;
        async move { (id, two.persist.finish(finish).await.unwrap()) }
    }));
    let finished = join_all(claims.iter().map(|claim| one.persist.finish(one.ended(claim, Status::Success))));
    let (recovered, finished) = tokio::join!(recovered, finished);
    let recovered: HashMap<Uuid, bool> = recovered.into_iter().collect();
    for (claim, finished) in claims.iter().zip(finished) {
        let whole = one.persist.reads().whole(claim.record_id).await.unwrap().unwrap();
        let (status, attempt) = match finished.unwrap() {
            true => (Status::Success, AttemptStatus::Success),
            false => (Status::Pending, AttemptStatus::Abandoned),
        };
        assert_eq!((whole.record.status, whole.attempts.len()), (status, 1));
        assert_eq!(whole.attempts[0].status, attempt);
        assert_eq!(recovered[&claim.record_id], attempt == AttemptStatus::Abandoned);
    }
    assert_counts(&one, &url).await;
}

#[actix::test]
async fn a_claim_in_memory_leaves_what_has_begun_a_new_round_or_goes_to_another_lane_since() {
    let Some(place) = Place::on_postgres() else { return };
    let (url, one) = (place.url(), desk(place).await);
    let two = beside(&one).await;
    let claims = one.waiting(2).await;
    let rebind = |from: &str, to: Option<&str>| Action::Rebind {
        from: from.to_owned(),
        event_type: "a".to_owned(),
        to: to.map(str::to_owned),
    };
    assert_eq!(two.operate(rebind("lane", None)).await, 2);
    assert_eq!(two.operate(Action::Redrive(vec![(claims[0].record_id, "lane".to_owned())])).await, 1);
    assert_eq!(two.operate(Action::Redrive(vec![(claims[1].record_id, "other".to_owned())])).await, 1);
    assert_eq!(one.persist.claim(claims.clone()).await, Ok(vec![false, false]));
    assert_eq!(one.persist.claim_due(one.due(2)).await.unwrap()[0].round, 2);
    assert_counts(&one, &url).await;
}

#[actix::test]
async fn an_accept_whose_answer_was_lost_does_not_start_what_another_node_has_taken_on() {
    let Some(place) = Place::on_postgres() else { return };
    let (url, one) = (place.url(), desk(place).await);
    let two = beside(&one).await;
    let writer = commit::Writer {
        db: Arc::clone(&one.persist.writer),
        lease: one.persist.lease.clone(),
        metrics: Metrics::new().unwrap(),
        trouble: Trouble::default(),
    };
    let (claimed, waits) = (one.record("1", Entry::Claimed(one.clock.new_id())), one.record("2", Entry::Waiting));
    let (_interest, wanted) = Interest::new();
    let room = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
    let records = vec![claimed, waits];
    let accept = vec![command::Command::Accept { records, wanted, _room: room, reply: oneshot::channel().0 }];
    writer.write(&accept, false).await.unwrap();
    for orphan in one.persist.own_claims().await.unwrap() {
        assert_eq!(two.persist.finish(orphan.recovered(two.clock.now()).unwrap()).await, Ok(true));
    }
    // Both wait now, and the other node takes them.
    assert_eq!(two.persist.claim_due(two.due(2)).await.unwrap().len(), 2);
    let answers = writer.write(&accept, true).await.unwrap();
    let [command::Answer::Accepted(taken)] = &answers[..] else { panic!("one answer") };
    assert_eq!(taken[..], [Taken::MovedOn(Status::Processing), Taken::MovedOn(Status::Processing)]);
    assert_counts(&one, &url).await;
}

/// One node's share of the turmoil: it claims, fails, succeeds and operates on whatever there is.
async fn turmoil(desk: &Desk, ids: &[Uuid], turns: usize) {
    for turn in 0..turns {
        let claims = desk.persist.claim_due(desk.due(7)).await.unwrap();
        let ends = [Status::Success, Status::RetryScheduled, Status::FailedPermanent];
        let finishes = claims.iter().enumerate().map(|(n, claim)| desk.ended(claim, ends[(turn + n) % 3]));
        let finished = join_all(finishes.map(|finish| desk.persist.finish(finish)));
        let some: Vec<Uuid> = ids.iter().rev().skip(turn % 5).step_by(3).copied().collect();
        let redrives = some.iter().map(|id| (*id, ["lane", "other"][turn % 2].to_owned())).collect();
        let action = match turn % 4 {
            0 | 1 => Action::Redrive(redrives),
            2 => Action::Discard(some),
            _ => Action::Rebind { from: "other".into(), event_type: "a".into(), to: Some("lane".into()) },
        };
        let cancel = Action::Cancel(ids[turn % ids.len()]);
        let (finished, _, _, _) =
            tokio::join!(finished, desk.operate(action), desk.operate(cancel), desk.waiting(1 + turn % 2));
        assert!(finished.into_iter().all(|finished| finished == Ok(true)), "nobody took it away");
    }
}

#[actix::test]
async fn whatever_two_nodes_do_at_the_same_time_counts_are_exact_and_attempts_have_no_gap() {
    let Some(place) = Place::on_postgres() else { return };
    let (url, one) = (place.url(), desk(place).await);
    let two = beside(&one).await;
    let ids: Vec<Uuid> = one.waiting(60).await.into_iter().map(|claim| claim.record_id).collect();
    tokio::join!(turmoil(&one, &ids, 40), turmoil(&two, &ids, 40));
    assert_counts(&one, &url).await;
    for record in one.persist.reads().list(&Filter::default(), None, 1_000).await.unwrap() {
        let whole = one.persist.reads().whole(record.id).await.unwrap().unwrap();
        let numbers: Vec<u32> = whole.attempts.iter().map(|attempt| attempt.attempt_number).collect();
        assert_eq!(numbers, (1..=record.attempt_count).collect::<Vec<_>>(), "{record:?}");
    }
}
