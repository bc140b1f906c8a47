//! Transactions on PostgreSQL: what an error leaves behind, and what another transaction is doing at the same time.

use sea_orm::ConnectionTrait;
use sea_orm::sqlx::{Connection, PgConnection, query, query_scalar};

use super::*;

#[actix::test]
async fn a_transaction_on_postgres_that_met_an_error_is_never_called_committed() {
    let Some(place) = Place::on_postgres() else { return };
    let desk = desk(place).await;
    let pause = |name: &str| format!("INSERT INTO handler_state VALUES ('{name}', true, 0)");
    let tx = desk.persist.writer.begin().await.unwrap();
    tx.execute_unprepared(&pause("aborted")).await.unwrap();
    tx.execute_unprepared("SELECT 1 / 0").await.unwrap_err();
    tx.commit().await.unwrap_err();
    // Dropped, as by a panic: the connection goes, and with it what it has written.
    let tx = desk.persist.writer.begin().await.unwrap();
    tx.execute_unprepared(&pause("dropped")).await.unwrap();
    drop(tx);
    let tx = desk.persist.writer.begin().await.unwrap();
    tx.execute_unprepared(&pause("committed")).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(desk.persist.reads().paused().await.unwrap(), ["committed"]);
}

#[actix::test]
async fn on_postgres_a_key_that_another_transaction_is_inserting_is_waited_for_and_then_known() {
    let Some(place) = Place::on_postgres() else { return };
    let url = place.url();
    let desk = desk(place).await;
    let (original, again) = (desk.record("1", Entry::Waiting), desk.record("1", Entry::Waiting));
    let mut other = PgConnection::connect(&url).await.unwrap();
    query("BEGIN").execute(&mut other).await.unwrap();
    query("INSERT INTO idempotency_key VALUES ('1', '/test', $1, $2, 0)")
        .bind(original.id)
        .bind(original.checksum.to_vec())
        .execute(&mut other)
        .await
        .unwrap();
    let commits = async {
        let waits = "SELECT count(*) FROM pg_stat_activity WHERE pg_backend_pid() = ANY (pg_blocking_pids(pid))";
        while query_scalar::<_, i64>(waits).fetch_one(&mut other).await.unwrap() == 0 {
            tokio::task::yield_now().await;
        }
        query("COMMIT").execute(&mut other).await.unwrap();
    };
    let (taken, ()) = tokio::join!(desk.accept(vec![again]), commits);
    assert!(matches!(taken.unwrap()[..], [Taken::Duplicate { of, .. }] if of == original.id));
}
