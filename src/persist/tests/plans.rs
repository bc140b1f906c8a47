//! No statement of the hot path reads a whole table, on either database.

use evenkeel_entity::event_record;
use sea_orm::{ConnectionTrait, DbBackend, QueryOrder, QuerySelect, QueryTrait, Statement};

use super::*;
use crate::lifecycle::FinalStatus;
use crate::persist::reads::parts;
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
fn windows(backend: DbBackend) -> Vec<([&'static str; 2], Statement)> {
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
        let edge = operation::edge(&filter, after).build(backend);
        let found = operation::within(&filter, Timestamp(0), after, upto);
        let found = found.order_by_asc(event_record::Column::Id).limit(500).build(backend);
        [(indexes, edge), (indexes, found)]
    };
    filters.into_iter().flat_map(statements).collect()
}

/// A day of charts of three nodes, late records among others, and dead letters of a few groups.
const FILL: [&str; 4] = [
    "INSERT INTO rollup SELECT 1767600000000000 + n::bigint / 3 * 10000000, \
     lpad(to_hex(n % 3), 32, '0')::uuid, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1 \
     FROM generate_series(1, 26000) AS n",
    "INSERT INTO event_record (id, event_id, source, event_type, bus, status, final_status, fingerprint, retry_count, \
     attempt_count, crash_count, round, created_at, updated_at, completed_at) \
     SELECT (lpad(to_hex(1767600000000 + n), 12, '0') || '70008000000000000000')::uuid, 'e-' || n, '/s', 'a', 'embedded', \
     CASE WHEN n % 20 = 0 THEN 'POISON' ELSE 'SUCCESS' END, CASE WHEN n % 20 = 0 THEN 'DEAD_LETTER' ELSE 'COMPLETED' END, \
     CASE WHEN n % 20 = 0 THEN 'group ' || n % 7 END, 0, 1, 0, 1, n, n, n FROM generate_series(1, 60000) AS n",
    "INSERT INTO late_record SELECT created_at + 90000000000, id FROM event_record WHERE created_at % 3 = 0",
    "ANALYZE",
];

#[actix::test]
async fn charts_windows_and_what_was_late_are_read_by_their_keys_on_postgres() {
    let Some(place) = Place::on_postgres() else { return };
    let desk = desk(place).await;
    for fill in FILL {
        desk.persist.write(async |tx| tx.execute_unprepared(fill).await.map(drop)).await.unwrap();
    }
    let backend = DbBackend::Postgres;
    let quarter = [10_000_000_i64, 1_767_600_000_000_000, 1_767_600_900_000_000].map(sea_orm::Value::from);
    let mut statements = vec![
        (["rollup_pkey"; 2], dialect::statement(backend, &rollup::buckets(), quarter)),
        (["late_record_id"; 2], dialect::statement(backend, &late::floor(2_500), [Uuid::max().into()])),
    ];
    let period = Filter { since: Some(Timestamp(1)), until: Some(Timestamp(i64::MAX)), ..Filter::default() };
    for part in parts(&period) {
        let page = part.between(Some(Uuid::nil()), Some(Uuid::max())).order_by_desc(event_record::Column::Id).limit(51);
        statements.push((["event_record_pkey"; 2], page.build(backend)));
    }
    statements.extend(windows(backend));
    for (indexes, statement) in statements {
        let plan = searching::plan(&desk, statement.clone()).await;
        assert!(indexes.iter().any(|index| plan.contains(index)) && plan.contains("Index Cond"), "{statement}\n{plan}");
        for whole in ["Seq Scan", "Hash Join", "Merge Join", "Gather"] {
            assert!(!plan.contains(whole), "{statement}\n{plan}");
        }
    }
}

#[actix::test]
async fn an_operation_reads_no_more_than_the_dead_letters_that_are_next_on_sqlite() {
    let desk = desk(Place::new()).await;
    for (indexes, Statement { sql, .. }) in windows(DbBackend::Sqlite) {
        let plan = plan(&desk, &sql).await;
        let fits = indexes.iter().any(|index| plan.contains(&format!("INDEX {index}")));
        assert!(fits && !plan.contains("TEMP B-TREE"), "{sql}\n{plan}");
    }
}
