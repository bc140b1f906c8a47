//! Every question that can be asked has the same answer on both databases.

use std::time::Duration;

use super::*;
use crate::lifecycle::FinalStatus;

/// Five records: one that waits, one that is planned, one in hand, one that nobody handles, one that is wrong.
async fn fill(desk: &Desk) -> Vec<Uuid> {
    let hour = desk.clock.now().after(Duration::from_secs(3_600));
    let entries = [
        Entry::Waiting,
        Entry::Scheduled(hour),
        Entry::Claimed(desk.clock.new_id()),
        Entry::NoHandler,
        Entry::Invalid("it is wrong".to_owned()),
    ];
    let mut records = Vec::new();
    for (n, entry) in entries.into_iter().enumerate() {
        let handled = !matches!(entry, Entry::NoHandler | Entry::Invalid(_));
        let mut record = desk.record(&format!("e-{n}"), entry);
        let mut event = Event::clone(&record.event);
        event.subject = Some(format!("subject {n}"));
        record.event = Arc::new(event);
        record.handler = handled.then(|| "lane".into());
        records.push(record);
    }
    let ids = records.iter().map(|record| record.id).collect();
    desk.accept(records).await.unwrap();
    ids
}

on_each_ledger!(each_filter_finds_its_records_newest_first);
async fn each_filter_finds_its_records_newest_first(place: Place) {
    let desk = desk(place).await;
    let ids = fill(&desk).await;
    let reads = desk.persist.reads();
    let (past, future) = (Timestamp(0), desk.clock.now().after(Duration::from_secs(60)));
    let all = Filter::default();
    for (filter, found) in [
        (all.clone(), &[4, 3, 2, 1, 0][..]),
        (Filter { status: Some(Status::Processing), ..all.clone() }, &[2]),
        (Filter { final_status: Some(FinalStatus::NoHandler), ..all.clone() }, &[3]),
        (Filter { event_type: Some("a".into()), handler: Some("lane".into()), ..all.clone() }, &[2, 1, 0]),
        (Filter { source: Some("/other".into()), ..all.clone() }, &[]),
        (Filter { subject: Some("subject 1".into()), ..all.clone() }, &[1]),
        (Filter { event_id: Some("e-0".into()), ..all.clone() }, &[0]),
        // It holds no key.
        (Filter { event_id: Some("e-4".into()), ..all.clone() }, &[4]),
        (Filter { since: Some(past), until: Some(future), ..all.clone() }, &[4, 3, 2, 1, 0]),
        (Filter { until: Some(past), ..all.clone() }, &[]),
        (Filter { since: Some(future), ..all.clone() }, &[]),
    ] {
        let listed = reads.list(&filter, None, 10).await.unwrap();
        let expected: Vec<Uuid> = found.iter().map(|n| ids[*n]).collect();
        assert_eq!(listed.iter().map(|record| record.id).collect::<Vec<_>>(), expected, "{filter:?}");
        let mut oldest_first: Vec<Uuid> = reads.ids(&filter, 10).await.unwrap().into_iter().map(|(id, _)| id).collect();
        oldest_first.reverse();
        assert_eq!(oldest_first, expected, "{filter:?}");
    }
    let page = reads.list(&all, Some(ids[3]), 2).await.unwrap();
    assert_eq!(page.iter().map(|record| record.id).collect::<Vec<_>>(), [ids[2], ids[1]]);
}

on_each_ledger!(a_period_has_what_waited_in_its_broker_for_longer_than_the_margin_of_its_id);
async fn a_period_has_what_waited_in_its_broker_for_longer_than_the_margin_of_its_id(place: Place) {
    let desk = desk(place).await;
    let (day, now) = (Duration::from_secs(86_400), desk.clock.now());
    let days = |n: u32| Clock::manual(now.before(day * n)).new_id();
    // Accepted now, but for the last one; their ids are from so many days ago.
    let mut records: Vec<NewRecord> = (0..5).map(|n| desk.record(&format!("e-{n}"), Entry::Waiting)).collect();
    for (record, n) in records.iter_mut().zip([3, 2, 1]) {
        record.id = days(n);
    }
    records[4].id = days(2);
    records[4].created_at = now.before(day * 2);
    records[1].event = Arc::new(Event { event_type: "b".to_owned(), ..Event::clone(&records[1].event) });
    let ids: Vec<Uuid> = records.iter().map(|record| record.id).collect();
    desk.accept(records).await.unwrap();
    let (reads, minute) = (desk.persist.reads(), Duration::from_secs(60));
    let today = Filter { since: Some(now.before(minute)), until: Some(now.after(minute)), ..Filter::default() };
    for (filter, found) in [
        (today.clone(), &[3, 2, 1, 0][..]),
        (Filter { event_type: Some("a".into()), ..today.clone() }, &[3, 2, 0]),
        (Filter { until: None, ..today.clone() }, &[3, 2, 1, 0]),
        (Filter { since: Some(now.after(minute)), until: None, ..today.clone() }, &[]),
        (Filter { since: Some(now.before(day * 3)), until: Some(now.before(day)), ..today.clone() }, &[4]),
    ] {
        let expected: Vec<Uuid> = found.iter().map(|n| ids[*n]).collect();
        let (mut page_by_page, mut before) = (Vec::new(), None);
        while let Some(record) = reads.list(&filter, before, 1).await.unwrap().first() {
            page_by_page.push(record.id);
            before = Some(record.id);
        }
        assert_eq!(page_by_page, expected, "{filter:?}");
        let listed = reads.list(&filter, None, 10).await.unwrap();
        assert_eq!(listed.iter().map(|record| record.id).collect::<Vec<_>>(), expected, "{filter:?}");
        let rising: Vec<Uuid> = expected.iter().rev().copied().collect();
        let listed = reads.oldest_first(&filter, None, Uuid::max(), 10).await.unwrap();
        assert_eq!(listed.iter().map(|record| record.id).collect::<Vec<_>>(), rising, "{filter:?}");
        let listed = reads.ids(&filter, 10).await.unwrap();
        assert_eq!(listed.into_iter().map(|(id, _)| id).collect::<Vec<_>>(), rising, "{filter:?}");
    }
}

on_each_ledger!(what_waits_what_is_due_and_what_nobody_handles_can_be_asked);
async fn what_waits_what_is_due_and_what_nobody_handles_can_be_asked(place: Place) {
    let desk = desk(place).await;
    let ids = fill(&desk).await;
    let reads = desk.persist.reads();
    let now = desk.clock.now();
    let waits = reads.record(ids[0]).await.unwrap().unwrap();
    assert_eq!(reads.oldest_due("lane", now).await.unwrap(), waits.next_attempt_at);
    assert_eq!(
        reads.next_due("lane", now).await.unwrap(),
        reads.record(ids[1]).await.unwrap().unwrap().next_attempt_at
    );
    assert_eq!(reads.next_due("other", now).await.unwrap(), None);
    assert_eq!(reads.retries_due(&["lane".to_owned()], now).await.unwrap(), 0);
    assert!(!reads.has_suspects().await.unwrap());
    assert_eq!(reads.waiting_types().await.unwrap(), [("lane".to_owned(), "a".to_owned())]);
    assert_eq!(reads.unhandled_types().await.unwrap(), [("a".to_owned(), 1)]);
    assert_eq!(reads.holders("e-0", None).await.unwrap(), [("/test".to_owned(), ids[0])]);
    assert!(reads.holders("e-4", Some("/test")).await.unwrap().is_empty());
    let counts = reads.counts().await.unwrap();
    assert_eq!((counts.len(), counts.values().sum::<i64>()), (5, 5));
    let whole = reads.whole(ids[2]).await.unwrap().unwrap();
    assert_eq!((whole.payload, whole.attempts[0].status), (Payload::json("1"), AttemptStatus::Running));
    assert_eq!(desk.persist.own_claims().await.unwrap().len(), 1);
}

on_each_ledger!(what_operators_did_to_a_record_and_made_from_it_is_told_of_that_record_alone);
async fn what_operators_did_to_a_record_and_made_from_it_is_told_of_that_record_alone(place: Place) {
    let desk = desk(place).await;
    let ids = fill(&desk).await;
    let operation = |action| Operation {
        action,
        id: desk.clock.new_id(),
        at: desk.clock.now(),
        actor: "ada".to_owned(),
        reason: Some("a typo".to_owned()),
    };
    let resubmit = Action::Resubmit { original: ids[4], record: ids[0] };
    assert_eq!(desk.persist.operate(operation(resubmit.clone())).await, Ok(1));
    // As after an unknown commit: what is kept is kept once.
    assert_eq!(desk.persist.operate(operation(resubmit)).await, Ok(0));
    assert_eq!(desk.persist.operate(operation(Action::Cancel(ids[1]))).await, Ok(1));
    let reads = desk.persist.reads();
    let acts = reads.acts(ids[4]).await.unwrap();
    assert_eq!((acts.len(), acts[0].action.as_str(), acts[0].actor.as_str()), (1, "resubmit", "ada"));
    assert_eq!(acts[0].reason.as_deref(), Some("a typo"));
    let made: Vec<Uuid> = reads.resubmissions(ids[4]).await.unwrap().iter().map(|made| made.record).collect();
    assert_eq!((made, reads.resubmissions(ids[0]).await.unwrap().len()), (vec![ids[0]], 0));
    assert_eq!(reads.acts(ids[1]).await.unwrap()[0].action, "cancel");
}

on_each_ledger!(what_waits_moves_to_another_lane_or_to_nobody);
async fn what_waits_moves_to_another_lane_or_to_nobody(place: Place) {
    let desk = desk(place).await;
    let ids = fill(&desk).await;
    let rebind = |from: &str, to: Option<&str>| Operation {
        action: Action::Rebind { from: from.to_owned(), event_type: "a".to_owned(), to: to.map(str::to_owned) },
        id: desk.clock.new_id(),
        at: desk.clock.now(),
        actor: "test".to_owned(),
        reason: None,
    };
    assert_eq!(desk.persist.operate(rebind("lane", Some("new"))).await, Ok(2));
    assert_eq!(desk.persist.operate(rebind("new", None)).await, Ok(2));
    assert_eq!((desk.status(ids[0]).await, desk.status(ids[2]).await), (Status::NoHandler, Status::Processing));
    let counts = desk.persist.reads().counts().await.unwrap();
    let counted: Vec<_> =
        counts.into_iter().filter(|(_, n)| *n != 0).map(|((lane, status), n)| (lane, status, n)).collect();
    let expected = [
        (String::new(), Status::Invalid, 1),
        (String::new(), Status::NoHandler, 1),
        ("lane".to_owned(), Status::Processing, 1),
        ("new".to_owned(), Status::NoHandler, 2),
    ];
    assert_eq!(counted.len(), expected.len(), "{counted:?}");
    assert!(expected.iter().all(|count| counted.contains(count)), "{counted:?}");
}

on_each_ledger!(the_head_of_each_lane_and_the_ends_of_records_are_found_together);
async fn the_head_of_each_lane_and_the_ends_of_records_are_found_together(place: Place) {
    let desk = desk(place).await;
    let ids = fill(&desk).await;
    let reads = desk.persist.reads();
    let waits = reads.record(ids[0]).await.unwrap().unwrap();
    let heads = reads.heads(&["lane", "other"]).await.unwrap();
    assert_eq!(heads.into_iter().collect::<Vec<_>>(), [("lane".to_owned(), waits.next_attempt_at.unwrap())]);
    assert!(reads.heads(&[]).await.unwrap().is_empty());
    let mut ended = reads.ended(&ids).await.unwrap();
    ended.sort_unstable();
    assert_eq!(ended, ids[3..]);
}

on_each_ledger!(a_node_is_listed_with_its_handlers_until_it_is_long_gone);
async fn a_node_is_listed_with_its_handlers_until_it_is_long_gone(place: Place) {
    let (place, clock) = (Arc::new(place), Clock::default());
    let first = desk_at(Arc::clone(&place), clock.clone()).await;
    first.in_hand("1").await;
    let gone = first.persist.lease().node();
    first.persist.draining().await.unwrap();
    first.persist.close().await.unwrap();
    drop(first);
    let desk = desk_at(place, clock).await;
    let (reads, mine) = (desk.persist.reads(), desk.persist.lease().node());
    let states = async || {
        let nodes = reads.nodes(desk.clock.now()).await.unwrap();
        nodes.into_iter().map(|node| (node.id, node.state, node.draining)).collect::<Vec<_>>()
    };
    assert_eq!(states().await, [(mine, NodeState::Live, false), (gone, NodeState::Gone, true)]);
    assert_eq!(reads.in_hand().await.unwrap().into_iter().collect::<Vec<_>>(), [(gone, 1)]);
    desk.persist.forget_nodes(desk.clock.now().before(Duration::from_secs(60))).await.unwrap();
    assert_eq!(states().await.len(), 2);
    desk.persist.forget_nodes(desk.clock.now().after(Duration::from_secs(60))).await.unwrap();
    assert_eq!(states().await, [(mine, NodeState::Live, false)]);
}
