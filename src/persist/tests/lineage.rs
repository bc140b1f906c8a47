//! Records that operators make from others: with the commit that accepts them it is known who did it.

use super::*;

fn remade(desk: &Desk, original: Uuid, record: NewRecord) -> NewRecord {
    let remade = Remade { id: desk.clock.new_id(), original, actor: "ada".to_owned(), reason: Some("typo".to_owned()) };
    NewRecord { remade: Some(Box::new(remade)), ..record }
}

on_each_ledger!(a_record_that_is_made_from_another_is_accepted_with_its_line_in_the_audit_log);
async fn a_record_that_is_made_from_another_is_accepted_with_its_line_in_the_audit_log(place: Place) {
    let desk = desk(place).await;
    let original = desk.clock.new_id();
    let record = remade(&desk, original, desk.record("1", Entry::Waiting));
    let id = record.id;
    desk.accept(vec![record, desk.record("2", Entry::Waiting)]).await.unwrap();
    let reads = desk.persist.reads();
    let made: Vec<Uuid> = reads.resubmissions(original).await.unwrap().iter().map(|made| made.record).collect();
    assert_eq!(made, [id]);
    let lines = reads.audit(&AuditFilter::default(), None, 10).await.unwrap();
    let told: Vec<_> = lines.iter().map(|line| (line.action.as_str(), line.target.clone(), line.affected)).collect();
    assert_eq!(told, [("resubmit", original.to_string(), 1)]);
    assert_eq!((lines[0].actor.as_str(), lines[0].reason.as_deref()), ("ada", Some("typo")));
}

on_each_ledger!(what_does_not_become_a_new_event_was_not_made_from_another);
async fn what_does_not_become_a_new_event_was_not_made_from_another(place: Place) {
    let desk = desk(place).await;
    desk.accept(vec![desk.record("1", Entry::Waiting)]).await.unwrap();
    let original = desk.clock.new_id();
    let duplicate = remade(&desk, original, desk.record("1", Entry::Waiting));
    let invalid = remade(&desk, original, desk.record("2", Entry::Invalid("no".to_owned())));
    let taken = desk.accept(vec![duplicate, invalid]).await.unwrap();
    assert!(matches!(taken[..], [Taken::Duplicate { .. }, Taken::New(Status::Invalid)]), "{taken:?}");
    let reads = desk.persist.reads();
    assert_eq!(reads.resubmissions(original).await.unwrap(), []);
    assert_eq!(reads.audit(&AuditFilter::default(), None, 10).await.unwrap(), []);
}
