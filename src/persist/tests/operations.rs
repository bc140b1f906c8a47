//! Groups of dead letters, operations on many of them, and the audit log.

use super::*;
use crate::lifecycle::{FinalStatus, OperationAction, OperationState, OperationVerb};

impl Desk {
    /// A dead letter that failed with this error.
    async fn dead(&self, event_id: &str, error: &str) -> Uuid {
        let (id, claim) = self.in_hand(event_id).await;
        let step = transition(Verb::Finish, Some(Status::Processing), Status::FailedPermanent).unwrap();
        let finish = Finish { step, error: Some(error.to_owned()), ..self.success(id, claim) };
        assert_eq!(self.persist.finish(finish).await, Ok(true));
        id
    }

    async fn groups(&self) -> Vec<Group> {
        self.persist.reads().groups(&GroupFilter::default(), GroupOrder::Count, 10).await.unwrap()
    }

    /// The groups' titles and how many each has.
    async fn sizes(&self) -> Vec<(String, i64)> {
        self.groups().await.into_iter().map(|group| (group.title, group.count)).collect()
    }

    async fn act(&self, action: Action) -> u64 {
        self.act_as(self.clock.new_id(), action).await
    }

    async fn act_as(&self, id: Uuid, action: Action) -> u64 {
        let (at, actor) = (self.clock.now(), "ada".to_owned());
        self.persist.operate(Operation { action, id, at, actor, reason: Some("why".to_owned()) }).await.unwrap()
    }

    /// An operation that this node works on.
    async fn begun(&self, action: OperationAction, matched: u64) -> Uuid {
        let id = self.clock.new_id();
        let begin = Begin {
            action,
            filter: Filter::default(),
            died_by: self.clock.now(),
            matched: Matched { count: matched, is_exact: true },
            rate: None,
        };
        assert_eq!(self.act_as(id, Action::Begin(Box::new(begin))).await, 1);
        assert_eq!(self.act(Action::Adopt { operation: id, owner: self.persist.lease.node() }).await, 1);
        id
    }

    fn step(&self, operation: Uuid, from: Option<Uuid>, to: Uuid, work: Work) -> Action {
        let owner = self.persist.lease.node();
        Action::Step(Box::new(Step { operation, owner, from, to, work, failures: Vec::new() }))
    }

    async fn operation(&self, id: Uuid) -> OperationRecord {
        self.persist.reads().operation(id).await.unwrap().unwrap()
    }
}

fn counts(operation: &OperationRecord) -> (i64, i64, i64) {
    (operation.done, operation.skipped, operation.failed)
}

on_each_ledger!(deaths_of_one_kind_are_one_group_for_as_long_as_they_are_dead);
async fn deaths_of_one_kind_are_one_group_for_as_long_as_they_are_dead(place: Place) {
    let desk = desk(place).await;
    let (first, second) = (desk.dead("1", "order 1 not found").await, desk.dead("2", "order 22 not found").await);
    let other = desk.dead("3", "the bank is closed").await;
    let nobody = NewRecord { handler: None, ..desk.record("4", Entry::NoHandler) };
    desk.accept(vec![nobody]).await.unwrap();
    let groups = desk.groups().await;
    assert_eq!((groups.len(), groups[0].count, groups[0].handler.as_deref()), (3, 2, Some("lane")));
    assert_eq!(groups[0].title, "order <number> not found");
    assert!(["order 1 not found", "order 22 not found"].contains(&groups[0].sample.as_deref().unwrap()));
    let reads = desk.persist.reads();
    let record = async |id| reads.record(id).await.unwrap().unwrap();
    let (one, two) = (record(first).await, record(second).await);
    assert_eq!((&one.group, &two.group), (&Some(groups[0].group.clone()), &one.group));
    assert_eq!((groups[0].first_seen, Some(groups[0].last_seen)), (one.completed_at.unwrap(), two.completed_at));
    let nobodys = groups.iter().find(|group| group.final_status == FinalStatus::NoHandler).unwrap();
    assert_eq!((nobodys.event_type.as_deref(), nobodys.handler.as_deref()), (Some("a"), None));

    assert_eq!(desk.act(Action::Redrive(vec![(first, "lane".to_owned())])).await, 1);
    assert_eq!(desk.act(Action::Discard(vec![second, other])).await, 2);
    assert_eq!(desk.sizes().await, [("no handler is bound to a".to_owned(), 1)]);
    assert_eq!(record(first).await.group, None);
}

on_each_ledger!(groups_are_found_by_what_they_have_in_common);
async fn groups_are_found_by_what_they_have_in_common(place: Place) {
    let desk = desk(place).await;
    let (old, _, new) = (desk.dead("1", "a").await, desk.dead("2", "a").await, desk.dead("3", "b").await);
    let reads = desk.persist.reads();
    let by = async |filter: GroupFilter, order| {
        let groups = reads.groups(&filter, order, 10).await.unwrap();
        groups.into_iter().map(|group| group.title).collect::<Vec<_>>()
    };
    let all = GroupFilter::default;
    assert_eq!(by(all(), GroupOrder::Count).await, ["a", "b"]);
    assert_eq!(by(all(), GroupOrder::LastSeen).await, ["b", "a"]);
    assert_eq!(by(GroupFilter { handler: Some("other".into()), ..all() }, GroupOrder::Count).await, [""; 0]);
    assert_eq!(
        by(GroupFilter { final_status: Some(FinalStatus::NoHandler), ..all() }, GroupOrder::Count).await,
        [""; 0]
    );
    let group = reads.record(new).await.unwrap().unwrap().group;
    assert_eq!(by(GroupFilter { group: group.clone(), ..all() }, GroupOrder::Count).await, ["b"]);
    let listed = reads.list(&Filter { group, ..Filter::default() }, None, 10).await.unwrap();
    assert_eq!(listed.iter().map(|record| record.id).collect::<Vec<_>>(), [new]);
    assert_ne!(old, new);
}

on_each_ledger!(pages_of_groups_do_not_overlap_in_either_order);
async fn pages_of_groups_do_not_overlap_in_either_order(place: Place) {
    let desk = desk(place).await;
    for (id, error) in [("1", "a"), ("2", "b"), ("3", "c"), ("4", "c"), ("5", "d"), ("6", "b")] {
        desk.dead(id, error).await;
    }
    let reads = desk.persist.reads();
    for order in [GroupOrder::Count, GroupOrder::LastSeen] {
        let whole = reads.groups(&GroupFilter::default(), order, 10).await.unwrap();
        assert_eq!(whole.len(), 4);
        let (mut seen, mut after) = (Vec::new(), None);
        while let Some(last) = {
            let page = reads.groups_after(after.as_ref(), &GroupFilter::default(), order, 1).await.unwrap();
            assert!(page.len() <= 1);
            page.into_iter().next()
        } {
            after = Some(order.end(&last));
            seen.push(last);
        }
        assert_eq!(seen, whole, "{order:?}");
    }
}

on_each_ledger!(what_a_node_that_is_gone_had_counted_counts_on);
async fn what_a_node_that_is_gone_had_counted_counts_on(place: Place) {
    let desk = desk(place).await;
    let (first, _) = (desk.dead("1", "a 1").await, desk.dead("2", "a 2").await);
    let before = desk.groups().await;
    // As another node would have left it: it has only raised one of them, and knows nothing of the group.
    let group = &before[0].group;
    let tx = desk.persist.writer.begin().await.unwrap();
    let mut share = counts::Counts::default();
    share.groups.raise(Some(group));
    share.write(&tx, desk.clock.new_id()).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(desk.sizes().await, [("a <number>".to_owned(), 1)]);
    assert_eq!(desk.persist.take_over(desk.clock.now()).await.unwrap().len(), 0);
    let after = desk.groups().await;
    assert_eq!((after.len(), &after[0].title, after[0].count), (1, &before[0].title, 1));
    assert_eq!((after[0].first_seen, after[0].last_seen), (before[0].first_seen, before[0].last_seen));
    assert_eq!(desk.act(Action::Discard(vec![first])).await, 1);
    assert_eq!(desk.sizes().await, []);
}

on_each_ledger!(a_step_is_made_once_however_often_it_is_told);
async fn a_step_is_made_once_however_often_it_is_told(place: Place) {
    let desk = desk(place).await;
    let (first, second) = (desk.dead("1", "a").await, desk.dead("2", "a").await);
    let operation = desk.begun(OperationAction::Redrive, 3).await;
    let redrive = |id: Uuid| Work::Redrive(vec![(id, "lane".to_owned())]);
    assert_eq!(desk.act(desk.step(operation, None, first, redrive(first))).await, 1);
    assert_eq!(desk.act(desk.step(operation, None, first, redrive(first))).await, 0);
    assert_eq!(counts(&desk.operation(operation).await), (1, 0, 0));
    // Somebody else was faster with the second.
    assert_eq!(desk.act(Action::Discard(vec![second])).await, 1);
    assert_eq!(desk.act(desk.step(operation, Some(first), second, redrive(second))).await, 0);
    assert_eq!(counts(&desk.operation(operation).await), (1, 1, 0));
    let complete = Action::Turn { operation, verb: OperationVerb::Complete, error: None };
    assert_eq!(desk.act(complete.clone()).await, 1);
    assert_eq!(desk.act(complete).await, 0);
    let ended = desk.operation(operation).await;
    // The third was gone before its turn came.
    assert_eq!((ended.state, counts(&ended), ended.progress), (OperationState::Done, (1, 2, 0), Some(1.0)));
    let what: Vec<String> = actions(&desk, None).await;
    assert_eq!(what, ["complete_operation 1", "discard 1", "begin_redrive 0"]);
    assert_eq!(actions(&desk, Some(first)).await, ["begin_redrive 0"]);
    assert_eq!(actions(&desk, Some(second)).await, ["discard 1"]);
}

/// What the audit log says, of one record or newest first.
async fn actions(desk: &Desk, of: Option<Uuid>) -> Vec<String> {
    let reads = desk.persist.reads();
    let lines = match of {
        Some(record) => reads.actions_on(record, 10).await,
        None => reads.audit(&AuditFilter::default(), None, 10).await,
    };
    lines.unwrap().into_iter().map(|line| format!("{} {}", line.action, line.affected)).collect()
}

on_each_ledger!(an_operation_that_is_paused_or_of_another_node_takes_no_step);
async fn an_operation_that_is_paused_or_of_another_node_takes_no_step(place: Place) {
    let desk = desk(place).await;
    let dead = desk.dead("1", "a").await;
    let operation = desk.begun(OperationAction::Discard, 1).await;
    let step = || desk.step(operation, None, dead, Work::Discard(vec![dead]));
    let turn = |verb| Action::Turn { operation, verb, error: None };
    assert_eq!(desk.act(turn(OperationVerb::Pause)).await, 1);
    assert_eq!((desk.act(turn(OperationVerb::Pause)).await, desk.act(step()).await), (0, 0));
    assert_eq!(desk.persist.reads().running_operations(9).await.unwrap(), []);
    assert_eq!(desk.act(turn(OperationVerb::Resume)).await, 1);
    // This node lives, so nobody takes it away.
    let (me, stranger) = (desk.persist.lease.node(), desk.clock.new_id());
    assert_eq!(desk.act(Action::Adopt { operation, owner: stranger }).await, 0);
    desk.persist.draining().await.unwrap();
    assert_eq!(desk.act(Action::Adopt { operation, owner: stranger }).await, 1);
    assert_eq!((desk.act(step()).await, desk.status(dead).await), (0, Status::FailedPermanent));
    // The other is not in the list of the living.
    assert_eq!(desk.act(Action::Adopt { operation, owner: me }).await, 1);
    assert_eq!((desk.act(step()).await, desk.status(dead).await), (1, Status::Discarded));
    assert_eq!(desk.act(turn(OperationVerb::Cancel)).await, 1);
    assert_eq!(desk.act(turn(OperationVerb::Resume)).await, 0);
    assert_eq!(desk.operation(operation).await.state, OperationState::Cancelled);
}

on_each_ledger!(the_first_hundred_failures_are_kept_and_all_are_counted);
async fn the_first_hundred_failures_are_kept_and_all_are_counted(place: Place) {
    let desk = desk(place).await;
    let operation = desk.begun(OperationAction::Redrive, 140).await;
    let mut from = None;
    for _ in 0..2 {
        let failures: Vec<(Uuid, String)> = (0..70).map(|_| (desk.clock.new_id(), "nobody".to_owned())).collect();
        let (owner, to) = (desk.persist.lease.node(), desk.clock.new_id());
        let step = Step { operation, owner, from, to, work: Work::Redrive(Vec::new()), failures };
        desk.act(Action::Step(Box::new(step))).await;
        from = Some(to);
    }
    let kept = desk.persist.reads().operation_failures(operation).await.unwrap();
    assert_eq!((kept.len(), kept[0].reason.as_str()), (100, "nobody"));
    assert_eq!(counts(&desk.operation(operation).await), (0, 0, 140));
}

on_each_ledger!(windows_go_on_where_the_one_before_ended_and_leave_out_what_died_later);
async fn windows_go_on_where_the_one_before_ended_and_leave_out_what_died_later(place: Place) {
    let desk = desk(place).await;
    let (one, two, three) = (desk.dead("1", "a").await, desk.dead("2", "a").await, desk.dead("3", "b").await);
    let died_by = desk.clock.now();
    let later = desk.dead("4", "a").await;
    let reads = desk.persist.reads();
    let found = async |filter: &Filter, after| {
        let window = reads.window(filter, died_by, after, 2).await.unwrap();
        let ids: Vec<Uuid> = window.records.into_iter().map(|(id, _)| id).collect();
        (ids, window.upto, window.is_last)
    };
    let all = Filter { final_status: Some(FinalStatus::DeadLetter), ..Filter::default() };
    assert_eq!(found(&all, None).await, (vec![one, two], Some(two), false));
    assert_eq!(found(&all, Some(two)).await, (vec![three], Some(three), true));
    assert_eq!(found(&all, Some(later)).await, (vec![], None, true));
    let b = Filter { group: reads.record(three).await.unwrap().unwrap().group, ..all.clone() };
    assert_eq!(found(&b, None).await, (vec![three], Some(three), true));
    let matching = async |filter: &Filter| reads.matching(filter, died_by, 100).await.unwrap();
    let exact = |count| Matched { count, is_exact: true };
    // Kept counts know what is dead now; what is looked at had died by then.
    assert_eq!((matching(&all).await, matching(&b).await), (exact(4), exact(1)));
    assert_eq!(matching(&Filter { event_type: Some("a".to_owned()), ..all.clone() }).await, exact(3));
    assert_eq!(matching(&Filter { handler: Some("nobody".to_owned()), ..all }).await, exact(0));
}

on_each_ledger!(the_audit_log_is_read_by_who_what_and_when_page_by_page);
async fn the_audit_log_is_read_by_who_what_and_when_page_by_page(place: Place) {
    let desk = desk(place).await;
    let (one, two) = (desk.dead("1", "a").await, desk.dead("2", "a").await);
    let begin = desk.clock.now();
    desk.act(Action::Discard(vec![one])).await;
    let middle = desk.clock.now();
    desk.act(Action::Redrive(vec![(two, "lane".to_owned())])).await;
    let reads = desk.persist.reads();
    let lines = async |filter: AuditFilter| {
        let lines = reads.audit(&filter, None, 10).await.unwrap();
        lines.into_iter().map(|line| line.action).collect::<Vec<_>>()
    };
    let all = AuditFilter::default;
    assert_eq!(lines(all()).await, ["redrive", "discard"]);
    assert_eq!(lines(AuditFilter { actor: Some("bob".into()), ..all() }).await, [""; 0]);
    assert_eq!(
        lines(AuditFilter { action: Some("discard".into()), actor: Some("ada".into()), ..all() }).await,
        ["discard"]
    );
    assert_eq!(lines(AuditFilter { target: Some(two.to_string()), ..all() }).await, ["redrive"]);
    assert_eq!(lines(AuditFilter { since: Some(begin), until: Some(middle), ..all() }).await, ["discard"]);
    let newest = reads.audit(&all(), None, 1).await.unwrap().remove(0);
    assert_eq!((newest.actor.as_str(), newest.affected, newest.reason.as_deref()), ("ada", 1, Some("why")));
    let next = reads.audit(&all(), Some(newest.id), 1).await.unwrap();
    assert_eq!(next[0].action, "discard");
}
