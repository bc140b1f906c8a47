//! Messages with a position that come again: none of them has a second row, whatever its first one is.

use super::*;

fn at(offset: i64, record: NewRecord) -> NewRecord {
    let origin = Origin { bus: "kafka".into(), topic: Some("t".into()), partition: Some(3), offset: Some(offset) };
    NewRecord { origin, ..record }
}

fn invalid() -> Entry {
    Entry::Invalid("poison".to_owned())
}

fn with_data(data: &str, mut record: NewRecord) -> NewRecord {
    let event = Arc::make_mut(&mut record.event);
    event.data = Payload::json(data.to_owned());
    record.checksum = checksum("a", &event.data);
    record
}

on_each_ledger!(a_message_that_comes_again_has_no_second_row_and_a_second_send_has);
async fn a_message_that_comes_again_has_no_second_row_and_a_second_send_has(place: Place) {
    let desk = desk(place).await;
    let messages = || {
        vec![
            at(1, desk.record("1", Entry::Waiting)),
            at(2, desk.record("1", Entry::Waiting)),
            at(3, with_data("2", desk.record("1", Entry::Waiting))),
            at(4, desk.record("x", invalid())),
            at(5, desk.record("y", invalid())),
        ]
    };
    let first = messages();
    let of = first[0].id;
    let duplicate = Taken::Duplicate { of, status: Status::Pending };
    let kept = [Taken::New(Status::Pending), duplicate, Taken::Conflict { of }, Taken::New(Status::Invalid)];
    let taken = desk.accept(first).await.unwrap();
    assert_eq!((&taken[..4], &taken[4]), (&kept[..], &Taken::New(Status::Invalid)));
    assert_eq!(desk.accept(messages()).await.unwrap(), [const { Taken::Redelivered }; 5]);
    let mut later = messages();
    later.truncate(2);
    let later = later.into_iter().zip([6, 7]).map(|(record, offset)| at(offset, record)).collect();
    assert!(desk.accept(later).await.unwrap().iter().all(|taken| matches!(taken, Taken::Duplicate { .. })));
}

on_each_ledger!(the_same_message_twice_in_one_commit_has_one_row);
async fn the_same_message_twice_in_one_commit_has_one_row(place: Place) {
    let desk = desk(place).await;
    let twice = |record: &dyn Fn() -> NewRecord| vec![record(), record()];
    let good = desk.accept(twice(&|| at(1, desk.record("1", Entry::Waiting)))).await.unwrap();
    assert_eq!(good, [Taken::New(Status::Pending), Taken::Redelivered]);
    let bad = desk.accept(twice(&|| at(2, desk.record("2", invalid())))).await.unwrap();
    assert_eq!(bad, [Taken::New(Status::Invalid), Taken::Redelivered]);
}

on_each_ledger!(in_a_topic_that_was_made_anew_an_old_position_is_another_message);
async fn in_a_topic_that_was_made_anew_an_old_position_is_another_message(place: Place) {
    let desk = desk(place).await;
    desk.accept(vec![at(1, desk.record("1", invalid())), at(2, desk.record("2", Entry::Waiting))]).await.unwrap();
    let other = vec![
        at(1, with_data("2", desk.record("1", invalid()))),
        at(2, desk.record("3", Entry::Waiting)),
        NewRecord { redelivered: true, ..at(3, desk.record("2", Entry::Waiting)) },
    ];
    let taken = desk.accept(other).await.unwrap();
    assert_eq!(taken[..2], [Taken::New(Status::Invalid), Taken::New(Status::Pending)]);
    assert!(matches!(taken[2], Taken::Duplicate { .. }), "its position tells, and nobody else");
}
