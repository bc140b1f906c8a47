//! Searches: they find what a list finds, look at no more than they may, and say how far they came.

use sea_orm::{DbBackend, QueryTrait, Statement};

use super::*;
use crate::lifecycle::FinalStatus;
use crate::persist::reads::parts;
use crate::persist::search::Way;

/// So many records with ids of neighbouring milliseconds, straight into the table: every 1,000th has failed, the others
/// have succeeded.
async fn fill(desk: &Desk, records: u32) {
    let (numbers, id) = match desk.persist.reads().db.get_database_backend() {
        DbBackend::Postgres => (
            format!("SELECT n FROM generate_series(1, {records}) AS n"),
            "(lpad(to_hex(1767600000000 + n), 12, '0') || '70008000000000000000')::uuid",
        ),
        _ => (
            format!(
                "WITH RECURSIVE counted(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counted WHERE n < {records}) \
                 SELECT n FROM counted"
            ),
            "unhex(printf('%012x', 1767600000000 + n) || '70008000000000000000')",
        ),
    };
    let fails = |yes: &str, no: &str| format!("CASE WHEN n % 1000 = 0 THEN {yes} ELSE {no} END");
    let (status, end) = (fails("'POISON'", "'SUCCESS'"), fails("'DEAD_LETTER'", "'COMPLETED'"));
    let error = fails("'no such account: ' || n", "NULL");
    let fill = format!(
        "INSERT INTO event_record (id, event_id, source, event_type, bus, status, final_status, error, retry_count, \
         attempt_count, crash_count, round, created_at, updated_at) \
         SELECT {id}, 'e-' || n, '/s', 'a', 'embedded', {status}, {end}, {error}, 0, 1, 0, 1, n, n FROM ({numbers}) AS v"
    );
    let analyze = "ANALYZE";
    desk.persist.write(async |tx| tx.execute_unprepared(&fill).await.map(drop)).await.unwrap();
    desk.persist.write(async |tx| tx.execute_unprepared(analyze).await.map(drop)).await.unwrap();
}

/// How the database would carry it out.
pub(super) async fn plan(desk: &Desk, statement: Statement) -> String {
    let db = &desk.persist.reads().db;
    let (explain, column) = match db.get_database_backend() {
        DbBackend::Postgres => ("EXPLAIN", "QUERY PLAN"),
        _ => ("EXPLAIN QUERY PLAN", "detail"),
    };
    let statement = Statement { sql: format!("{explain} {}", statement.sql), ..statement };
    let rows = db.query_all_raw(statement).await.unwrap();
    rows.iter().map(|row| row.try_get::<String>("", column).unwrap() + "\n").collect()
}

fn error(text: &str) -> Filter {
    Filter { error: Some(text.to_owned()), ..Filter::default() }
}

on_each_ledger!(a_rare_record_is_found_page_by_page_and_each_says_how_far_it_has_looked);
async fn a_rare_record_is_found_page_by_page_and_each_says_how_far_it_has_looked(place: Place) {
    let desk = desk(place).await;
    fill(&desk, 60_000).await;
    let reads = desk.persist.reads();
    let one = Filter { source: Some("/s".into()), subject: Some("none".into()), ..Filter::default() };
    let first = reads.search(&one, None, 10).await.unwrap();
    assert_eq!((first.records.len(), first.searched_until), (0, Some(Timestamp(35_001))));
    let second = reads.search(&one, first.next, 10).await.unwrap();
    assert_eq!((second.records.len(), second.searched_until), (0, Some(Timestamp(10_001))));
    let third = reads.search(&one, second.next, 10).await.unwrap();
    assert_eq!((third.records.len(), third.next, third.searched_until), (0, None, None));
    // What is frequent ends in the first slice, and what has an index is not looked for among the others.
    let frequent = reads.search(&Filter { source: Some("/s".into()), ..Filter::default() }, None, 10).await.unwrap();
    assert_eq!((frequent.records.len(), frequent.searched_until), (10, None));
    assert_eq!(frequent.next, frequent.records.last().map(|last| last.id));
    let indexed = reads.search(&error("account: 60000"), None, 10).await.unwrap();
    assert_eq!((indexed.records.len(), indexed.next), (1, None));
}

on_each_ledger!(no_page_reads_the_whole_ledger);
async fn no_page_reads_the_whole_ledger(place: Place) {
    let desk = desk(place).await;
    fill(&desk, 60_000).await;
    let backend = desk.persist.reads().db.get_database_backend();
    let all = Filter::default();
    let (before, floor) = (Some(Uuid::max()), Some(Uuid::nil()));
    for (filter, index) in [
        (Filter { source: Some("/s".into()), ..all.clone() }, "event_record"),
        (Filter { status: Some(Status::Poison), ..all.clone() }, "event_record_ended"),
        (Filter { final_status: Some(FinalStatus::Failed), ..all.clone() }, "event_record_ended"),
        (Filter { final_status: Some(FinalStatus::DeadLetter), ..error("x") }, "event_record_ended"),
        (error("x"), "event_record_error"),
        (Filter { status: Some(Status::Processing), ..all.clone() }, "event_record_owner"),
        (Filter { status: Some(Status::RetryScheduled), ..all.clone() }, "event_record_status"),
        (Filter { status: Some(Status::Pending), ..error("x") }, "event_record_status"),
        (Filter { group: Some("g".into()), event_type: Some("a".into()), ..all.clone() }, "event_record_group"),
        (Filter { event_id: Some("e-1".into()), ..all.clone() }, "idempotency_key"),
    ] {
        let way = Way::of(&filter);
        let page = way.page(backend, &parts(&filter)[0], before, floor);
        let (sql, values) = way.floor(Uuid::max(), Uuid::nil(), 1_000);
        let mut plans = plan(&desk, page.build(backend)).await;
        if way.is_sliced() {
            plans += &plan(&desk, dialect::statement(backend, &sql, values)).await;
        }
        // PostgreSQL chooses among those that fit by their sizes.
        let plans = plans.replace("event_record_dead", "event_record_ended");
        assert!(plans.contains(index), "{filter:?}:\n{plans}");
        assert!(!plans.contains("Seq Scan on event_record"), "{filter:?}:\n{plans}");
        let scanned = plans.lines().filter(|line| line.starts_with("SCAN event_record"));
        // What is in hand is read as a whole: it is little.
        assert!(scanned.clone().all(|line| line.contains("event_record_owner")), "{filter:?}:\n{plans}");
    }
}

on_each_ledger!(slices_leave_nothing_out_and_show_nothing_twice);
async fn slices_leave_nothing_out_and_show_nothing_twice(place: Place) {
    let desk = desk(place).await;
    fill(&desk, 5_000).await;
    let reads = desk.persist.reads();
    let all = Filter::default();
    for filter in [
        all.clone(),
        Filter { final_status: Some(FinalStatus::DeadLetter), ..all.clone() },
        Filter { since: Some(Timestamp(1_500)), until: Some(Timestamp(4_000)), status: Some(Status::Poison), ..all },
        error("SUCH ACCOUNT"),
    ] {
        let expected: Vec<Uuid> = reads.list(&filter, None, 10_000).await.unwrap().iter().map(|it| it.id).collect();
        let (mut seen, mut before, mut pages) = (Vec::new(), None, 0);
        loop {
            let page = reads.search_within(&[3, 700], &filter, before, 40).await.unwrap();
            seen.extend(page.records.iter().map(|record| record.id));
            (before, pages) = (page.next, pages + 1);
            if before.is_none() {
                break;
            }
        }
        assert_eq!(seen, expected, "{filter:?}");
        assert!(pages < 200, "{pages} pages for {filter:?}");
    }
}

on_each_ledger!(each_status_is_found_by_a_search_as_by_a_list);
async fn each_status_is_found_by_a_search_as_by_a_list(place: Place) {
    let desk = desk(place).await;
    let entries = [
        Entry::Waiting,
        Entry::Scheduled(Timestamp(i64::MAX)),
        Entry::Claimed(desk.clock.new_id()),
        Entry::NoHandler,
        Entry::Invalid("it is WRONG by 5%".to_owned()),
    ];
    for (n, entry) in entries.into_iter().enumerate() {
        desk.accept(vec![desk.record(&n.to_string(), entry)]).await.unwrap();
    }
    let reads = desk.persist.reads();
    for status in [Status::Pending, Status::Scheduled, Status::Processing, Status::NoHandler, Status::Invalid] {
        let found = reads.search(&Filter { status: Some(status), ..Filter::default() }, None, 10).await.unwrap();
        assert_eq!(found.records.iter().map(|record| record.status).collect::<Vec<_>>(), [status]);
        assert_eq!((found.next, found.searched_until), (None, None));
    }
    let contradiction =
        Filter { final_status: Some(FinalStatus::Completed), status: Some(Status::Invalid), ..error("x") };
    assert_eq!(reads.search(&contradiction, None, 10).await.unwrap().records.len(), 0);
    for (text, number) in [("is wrong", 1), ("5%", 1), ("5_", 0), ("%", 1), ("right", 0), ("!", 0), ("it", 1)] {
        let found = reads.search(&error(text), None, 10).await.unwrap();
        assert_eq!(found.records.len(), number, "{text}");
    }
}
