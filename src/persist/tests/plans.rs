//! No statement of the hot path reads a whole table, on either database.

use evenkeel_entity::event_record;
use sea_orm::{ConnectionTrait, DbBackend, QueryOrder, QuerySelect, QueryTrait, Statement};

use super::*;
use crate::lifecycle::FinalStatus;
use crate::persist::rows::Bulk;

/// How the connection that writes would carry it out.
async fn plan(desk: &Desk, sql: &str) -> String {
    let tx = desk.persist.writer.begin().await.unwrap();
    let (backend, marks) = (tx.get_database_backend(), sql.bytes().filter(|byte| *byte == b'?').count());
    let rows = if backend == DbBackend::Postgres {
        // A plan for any values, as the connection has it in its cache; it takes none to show it.
        tx.execute_unprepared(&format!("PREPARE shown AS {sql}")).await.unwrap();
        tx.execute_unprepared("SET LOCAL plan_cache_mode = force_generic_plan").await.unwrap();
        let nulls = vec!["NULL"; sql.matches('$').count()].join(", ");
        let nulls = if nulls.is_empty() { nulls } else { format!("({nulls})") };
        let rows = tx.query_all_raw(Statement::from_string(backend, format!("EXPLAIN EXECUTE shown {nulls}"))).await;
        tx.execute_unprepared("DEALLOCATE shown").await.unwrap();
        rows.unwrap()
    } else {
        let values = vec![sea_orm::Value::from(1i64); marks];
        tx.query_all_raw(Statement::from_sql_and_values(backend, format!("EXPLAIN QUERY PLAN {sql}"), values))
            .await
            .unwrap()
    };
    tx.rollback().await.unwrap();
    let column = if backend == DbBackend::Postgres { "QUERY PLAN" } else { "detail" };
    rows.iter().map(|row| row.try_get::<String>("", column).unwrap() + "\n").collect()
}

const HOT: [(&str, Bulk); 13] = [
    ("free keys", finish::FREE_KEYS),
    ("marks of groups", groups::MARK),
    ("redrive", operate::REDRIVE),
    ("discard", operate::DISCARD),
    ("finish", finish::RECORDS),
    ("notes", finish::NOTES),
    ("claim", claim::CLAIMS),
    ("standing", claim::STANDING),
    ("written", finish::WRITTEN),
    ("holders", accept::HOLDERS),
    ("present", accept::PRESENT),
    ("keyless", accept::KEYLESS),
    ("descriptions", chemical::DESCRIPTIONS),
];

fn heads(desk: &Desk, backend: DbBackend) -> [(bool, String); 2] {
    [true, false].map(|suspects| {
        let due = Due { handlers: vec![String::new()], suspects, attempt_ids: vec![], now: desk.clock.now() };
        (suspects, claim::due_sql(backend, &due))
    })
}

#[actix::test]
async fn charts_read_their_span_of_slots_and_no_more() {
    let desk = desk(Place::new()).await;
    for (sql, span) in [(rollup::buckets(), "(at>? AND at<?)"), (rollup::OLD.to_owned(), "(at<?)")] {
        let plan = plan(&desk, &sql).await;
        assert!(plan.contains(&format!("SEARCH rollup USING PRIMARY KEY {span}")), "{plan}");
    }
}

#[actix::test]
async fn no_statement_of_the_hot_path_reads_a_whole_table_on_sqlite() {
    let desk = desk(Place::new()).await;
    for (name, bulk) in HOT {
        for rows in [1, 512] {
            let plan = plan(&desk, &bulk.listing(rows)).await;
            for table in
                ["event_record", "event_attempt", "idempotency_key", "chemical_status", "h", "r", "k", "a", "o"]
            {
                assert!(!plan.contains(&format!("SCAN {table}")), "{name} of {rows}:\n{plan}");
            }
        }
    }
    for (suspects, sql) in heads(&desk, DbBackend::Sqlite) {
        let plan = plan(&desk, &sql).await;
        assert!(plan.contains("USING INDEX event_record_"), "{plan}");
        assert!(suspects || !plan.contains("TEMP B-TREE"), "the head of a lane needs no sort:\n{plan}");
    }
    let plan = plan(&desk, &recover::gone_sql(DbBackend::Sqlite)).await;
    assert!(plan.contains("USING INDEX event_record_owner"), "{plan}");
}

/// The tables are empty here, when a plan that reads them whole would be the cheapest: that none does shows what the
/// connection is set to, and that the indexes fit. What a server with statistics would choose is not shown.
#[actix::test]
async fn no_statement_of_the_hot_path_reads_a_whole_table_on_postgres() {
    let Some(place) = Place::on_postgres() else { return };
    let desk = desk(place).await;
    let among_others = [
        ("claim among others", claim::CLAIMS_AMONG_OTHERS),
        ("standing among others", claim::STANDING_AMONG_OTHERS),
        ("redrive", operate::REDRIVE),
        ("discard", operate::DISCARD),
    ];
    for (name, bulk) in HOT.into_iter().chain(among_others) {
        let plan = plan(&desk, &bulk.over_arrays()).await;
        assert!(plan.contains("Index Cond"), "{name}:\n{plan}");
        for whole in ["Seq Scan", "Hash Join", "Merge Join"] {
            assert!(!plan.contains(whole), "{name}:\n{plan}");
        }
    }
    for (suspects, sql) in heads(&desk, DbBackend::Postgres) {
        let plan = plan(&desk, &dialect::for_postgres(&sql)).await;
        let index = if suspects { "event_record_suspect" } else { "event_record_waiting" };
        assert!(plan.contains(&format!("using {index}")) && !plan.contains("Sort"), "{plan}");
    }
    let plan = plan(&desk, &dialect::for_postgres(&recover::gone_sql(DbBackend::Postgres))).await;
    assert!(plan.contains("event_record_owner") && !plan.contains("Seq Scan"), "{plan}");
}

/// The statements by which an operation finds its records, whatever it is about.
fn windows(backend: DbBackend) -> Vec<([&'static str; 2], String)> {
    let text = || Some("x".to_owned());
    let end = Some(FinalStatus::DeadLetter);
    let filters = [
        (["event_record_dead", "event_record_ended"], Filter { final_status: end, ..Filter::default() }),
        (
            ["event_record_dead", "event_record_ended"],
            Filter { final_status: end, source: text(), ..Filter::default() },
        ),
        (["event_record_group"; 2], Filter { final_status: end, group: text(), ..Filter::default() }),
    ];
    let (after, upto) = (Some(Uuid::nil()), Some(Uuid::max()));
    let statements = |(indexes, filter): ([&'static str; 2], Filter)| {
        let edge = operation::edge(&filter, after).build(backend).sql;
        let found = operation::within(&filter, Timestamp(0), after, upto);
        let found = found.order_by_asc(event_record::Column::Id).limit(500).build(backend).sql;
        [(indexes, edge), (indexes, found)]
    };
    filters.into_iter().flat_map(statements).collect()
}

#[actix::test]
async fn an_operation_reads_no_more_than_the_dead_letters_that_are_next_on_sqlite() {
    let desk = desk(Place::new()).await;
    for (indexes, sql) in windows(DbBackend::Sqlite) {
        let plan = plan(&desk, &sql).await;
        let fits = indexes.iter().any(|index| plan.contains(&format!("INDEX {index}")));
        assert!(fits && !plan.contains("TEMP B-TREE"), "{sql}\n{plan}");
    }
}
