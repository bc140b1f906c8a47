//! Whatever the order of the changes, and however often each comes, the tables end the same.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::test_runner::{Config as Cases, TestRunner};
use sea_orm::ConnectionTrait;

use super::*;
use crate::clock::Clock;
use crate::persist::place::{Place, on_each_ledger};
use crate::persist::{Config, Ledger, open};
use crate::telemetry::Metrics;

async fn ledger(place: &Place) -> Ledger {
    let config = Config { url: place.url(), ..Config::default() };
    open(&config, &Clock::default(), Metrics::new().unwrap()).await.unwrap()
}

fn change(cas: &str, changed_at: i64, clock: &Clock) -> ChemicalChange {
    ChemicalChange {
        record_id: clock.new_id(),
        cas: cas.to_owned(),
        status: "REGISTERED".to_owned(),
        previous_status: None,
        changed_at: Timestamp(changed_at),
        sequence: None,
        description: Description::default(),
        at: clock.now(),
    }
}

/// A few compounds and times, so that changes meet each other in every way.
fn changes() -> impl Strategy<Value = Vec<ChemicalChange>> {
    let description = (option::of("[ab]"), option::of(1..3i64), option::of(prop_oneof![Just(1.5), Just(2.5)]));
    let one = ("[XY]", 0..3i64, option::of(0..3i64), "[ABC]", description);
    vec(one, 1..10).prop_map(|all| {
        let clock = Clock::default();
        let with =
            |(cas, changed_at, sequence, status, (name, pubchem_cid, molecular_weight)): (String, _, _, _, _)| {
                let description = Description { name, pubchem_cid, molecular_weight, ..Description::default() };
                ChemicalChange { sequence, status, description, ..change(&cas, changed_at, &clock) }
            };
        all.into_iter().map(with).collect()
    })
}

/// Changes as they come: each once or more often, in any order.
fn arrivals() -> impl Strategy<Value = Vec<ChemicalChange>> {
    changes().prop_flat_map(|all| {
        let again = vec(proptest::sample::select(all.clone()), 0..5);
        again.prop_map(move |again| [all.clone(), again].concat()).prop_shuffle()
    })
}

/// What the tables should say: the changes of each compound in their own order, each over what the ones before said.
fn expected(mut all: Vec<ChemicalChange>) -> BTreeMap<String, (ChemicalChange, Vec<Uuid>)> {
    all.sort_by_key(|change| (change.changed_at, change.sequence, change.record_id));
    all.dedup_by_key(|change| change.record_id);
    let mut table: BTreeMap<String, (ChemicalChange, Vec<Uuid>)> = BTreeMap::new();
    for mut change in all {
        let mut history = Vec::new();
        if let Some((before, past)) = table.remove(&change.cas) {
            let (before, told) = (before.description, &mut change.description);
            told.name = told.name.take().or(before.name);
            told.pubchem_cid = told.pubchem_cid.or(before.pubchem_cid);
            told.molecular_weight = told.molecular_weight.or(before.molecular_weight);
            history = past;
        }
        history.push(change.record_id);
        table.insert(change.cas.clone(), (change, history));
    }
    table
}

/// The compound as the newest change would have to say it.
fn as_change(chemical: Chemical) -> ChemicalChange {
    let Chemical { name, formula, inchikey, pubchem_cid, molecular_weight, .. } = chemical;
    ChemicalChange {
        record_id: chemical.record_id,
        cas: chemical.cas,
        status: chemical.status,
        previous_status: chemical.previous_status,
        changed_at: chemical.changed_at,
        sequence: chemical.sequence,
        description: Description { name, formula, inchikey, pubchem_cid, molecular_weight },
        at: chemical.updated_at,
    }
}

#[test]
fn any_order_and_any_repetition_of_changes_ends_in_the_same_tables_on_sqlite() {
    any_order_and_any_repetition(&Place::new());
}

#[test]
fn any_order_and_any_repetition_of_changes_ends_in_the_same_tables_on_postgres() {
    if let Some(place) = Place::on_postgres() {
        any_order_and_any_repetition(&place);
    }
}

fn any_order_and_any_repetition(place: &Place) {
    let system = actix::System::new();
    let ledger = system.block_on(ledger(place));
    let mut runner = TestRunner::new(Cases { cases: 64, failure_persistence: None, ..Cases::default() });
    let ran = runner.run(&(arrivals(), 1..6usize), |(mut arrivals, together)| {
        // Each case has compounds of its own; the ledger serves them all.
        let case = Clock::default().new_id();
        arrivals.iter_mut().for_each(|change| change.cas = format!("{} of {case}", change.cas));
        system.block_on(async {
            for part in arrivals.chunks(together) {
                let kept = join_all(part.iter().map(|change| ledger.persist.keep(change.clone()))).await;
                prop_assert!(kept.iter().all(Result::is_ok));
            }
            let reads = ledger.persist.reads();
            for (cas, (newest, history)) in expected(arrivals) {
                prop_assert_eq!(as_change(reads.chemical(&cas).await.unwrap().unwrap()), newest);
                let kept = reads.chemical_history(&cas, 100).await.unwrap();
                prop_assert_eq!(kept.iter().map(|past| past.record_id).collect::<Vec<_>>(), history);
            }
            Ok(())
        })
    });
    ran.unwrap();
}

on_each_ledger!(of_a_long_history_the_newest_changes_are_read);
async fn of_a_long_history_the_newest_changes_are_read(place: Place) {
    let clock = Clock::default();
    let ledger = ledger(&place).await;
    let kept = join_all((0..20).map(|n| ledger.persist.keep(change("58-08-2", n, &clock)))).await;
    assert!(kept.iter().all(Result::is_ok));
    let history = ledger.persist.reads().chemical_history("58-08-2", 5).await.unwrap();
    let read: Vec<i64> = history.iter().map(|past| past.changed_at.0).collect();
    assert_eq!(read, [15, 16, 17, 18, 19]);
}

#[actix::test]
async fn a_change_that_the_database_refuses_fails_alone() {
    let (place, clock) = (Place::new(), Clock::default());
    let ledger = ledger(&place).await;
    let trigger = "CREATE TRIGGER refuse BEFORE INSERT ON chemical_status_change WHEN new.cas = '50-00-0' \
                   BEGIN SELECT RAISE(ABORT, 'not this one'); END";
    ledger.persist.write(async |tx| tx.execute_unprepared(trigger).await.map(drop)).await.unwrap();
    let all = ["58-08-2", "50-00-0", "107-07-3"].map(|cas| change(cas, 0, &clock));
    let kept = join_all(all.into_iter().map(|change| ledger.persist.keep(change))).await;
    assert_eq!((&kept[0], &kept[2]), (&Ok(()), &Ok(())));
    assert!(matches!(&kept[1], Err(crate::persist::Error::Refused(why)) if why.contains("not this one")), "{kept:?}");
    assert!(ledger.persist.reads().chemical("50-00-0").await.unwrap().is_none());
}
