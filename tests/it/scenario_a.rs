//! Scenario A: 1,000 changes of the status of chemicals come in any order, and some fail at first. In the end all are
//! `COMPLETED`, and the table of chemicals says what the changes say.

use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use std::time::Duration;

use actix::prelude::*;
use evenkeel::clock::{Clock, Timestamp};
use evenkeel::handle::Registration;
use evenkeel::handlers::Means;
use evenkeel::handlers::chemical_status::{ChemicalStatus, Options};
use evenkeel::lifecycle::{AttemptStatus, FinalStatus, Status};
use evenkeel::persist::{Chemical, Filter, PastChange};
use evenkeel::{Deliver, Engine, HandlerError, NewEvent, Payload};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Place, attempts, eventually, on_each_ledger, settled, stop};

const CHEMICALS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/chemical-status.ndjson.gz");

/// The lines of the file, in the order in which the registry made the changes.
fn changes() -> Vec<Value> {
    let file = std::fs::File::open(CHEMICALS).unwrap();
    let mut text = String::new();
    flate2::read::GzDecoder::new(file).read_to_string(&mut text).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The same changes in another order.
fn out_of_order(changes: &[Value]) -> Vec<Value> {
    // 1,000 and 387 have no common divisor: every change comes once.
    (0..changes.len()).map(|n| changes[n * 387 % changes.len()].clone()).collect()
}

/// How many of them come later than a younger change of their compound.
fn late(arrivals: &[Value]) -> usize {
    let mut newest: HashMap<&str, &str> = HashMap::new();
    let mut late = 0;
    for data in arrivals.iter().map(|change| &change["data"]) {
        let at = data["changed_at"].as_str().unwrap();
        let known = newest.entry(data["cas"].as_str().unwrap()).or_insert(at);
        late += usize::from(at < *known);
        *known = (*known).max(at);
    }
    late
}

fn event(change: &Value) -> NewEvent {
    let text = |name: &str| change[name].as_str().unwrap();
    NewEvent::new(text("type"), &change["data"])
        .unwrap()
        .id(text("id"))
        .source(text("source"))
        .subject(text("subject"))
        .extension("sequence", text("sequence"))
}

/// How a change fares in the trouble of this test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    /// It succeeds at once.
    None,
    /// Its first attempts fail before anything is kept.
    Before { attempts: u32 },
    /// Its first attempt keeps the change and fails then, so that the second does all of it again.
    After,
}

/// Every seventh fails at first, a few of them twice, and as many fail after their work is done.
fn trouble(event_id: &str) -> Trouble {
    let number: u32 = event_id.strip_prefix("chem-").unwrap().parse().unwrap();
    match (number % 7, number % 5) {
        (0, 0) => Trouble::Before { attempts: 2 },
        (0, _) => Trouble::Before { attempts: 1 },
        (3, _) => Trouble::After,
        _ => Trouble::None,
    }
}

/// The built-in handler, with trouble on the way to it and back.
struct Troubled {
    handler: Addr<ChemicalStatus>,
}

impl Troubled {
    fn registration(means: &Means) -> Registration {
        let handler = ChemicalStatus::new(Options::default(), means);
        Registration::actor("chemical.*", "test", move || Self { handler: handler.clone().start() })
    }
}

impl Actor for Troubled {
    type Context = Context<Self>;
}

impl Handler<Deliver<Payload>> for Troubled {
    type Result = ResponseFuture<Result<(), HandlerError>>;

    fn handle(&mut self, delivery: Deliver<Payload>, _: &mut Context<Self>) -> Self::Result {
        let (number, trouble) = (delivery.attempt.number, trouble(&delivery.event.id));
        if matches!(trouble, Trouble::Before { attempts } if number <= attempts) {
            return Box::pin(async { Err(HandlerError::retry("the registry is not to be reached")) });
        }
        let kept = self.handler.send(delivery);
        Box::pin(async move {
            kept.await??;
            match trouble {
                Trouble::After if number == 1 => Err(HandlerError::retry("the answer was lost")),
                _ => Ok(()),
            }
        })
    }
}

/// What a row of the table has to say.
#[derive(Debug, PartialEq)]
struct Row {
    data: Value,
    record_id: Uuid,
    statuses: Vec<String>,
}

/// The table by hand: the changes in the order in which the registry made them, each over the one before.
fn expected(changes: &[Value], records: &HashMap<String, Uuid>) -> BTreeMap<String, Row> {
    let mut table: BTreeMap<String, Row> = BTreeMap::new();
    for change in changes {
        let data = change["data"].clone();
        let cas = data["cas"].as_str().unwrap().to_owned();
        let record_id = records[change["id"].as_str().unwrap()];
        let mut statuses = table.remove(&cas).map_or_else(Vec::new, |row| row.statuses);
        statuses.push(data["status"].as_str().unwrap().to_owned());
        table.insert(cas, Row { data, record_id, statuses });
    }
    table
}

/// A compound with its history, in the form of a change's data.
fn row((chemical, history): &(Chemical, Vec<PastChange>)) -> Row {
    let mut data = serde_json::to_value(chemical).unwrap();
    for more in ["record_id", "sequence", "updated_at"] {
        data.as_object_mut().unwrap().remove(more);
    }
    // The file has no fractions of a second, and the API always has them.
    data["changed_at"] = json!(data["changed_at"].as_str().unwrap().replace(".000000Z", "Z"));
    let statuses = history.iter().map(|change| change.status.clone()).collect();
    Row { data, record_id: chemical.record_id, statuses }
}

async fn table(engine: &Engine, changes: &[Value]) -> BTreeMap<String, (Chemical, Vec<PastChange>)> {
    let mut table = BTreeMap::new();
    for change in changes {
        let cas = change["data"]["cas"].as_str().unwrap();
        if !table.contains_key(cas) {
            let chemical = engine.reads().chemical(cas).await.unwrap().unwrap();
            table.insert(cas.to_owned(), (chemical, engine.reads().chemical_history(cas, 100).await.unwrap()));
        }
    }
    table
}

/// Sends all in batches; gives the record of each, and how many of them were new.
async fn send(engine: &Engine, changes: &[Value]) -> (HashMap<String, Uuid>, usize) {
    let (mut records, mut new) = (HashMap::new(), 0);
    for batch in changes.chunks(100) {
        let taken = engine.submit_all(batch.iter().map(event).collect()).await.unwrap();
        for (change, taken) in batch.iter().zip(taken) {
            let taken = taken.unwrap();
            new += usize::from(!taken.duplicate);
            records.insert(change["id"].as_str().unwrap().to_owned(), taken.id);
        }
    }
    (records, new)
}

/// Lets time pass, a second at a time, until everything has come to its end.
async fn until_all_have_ended(engine: &Engine, clock: &Clock) {
    loop {
        let waiting = eventually("nothing is under way", async || {
            let counts = engine.reads().counts().await.unwrap();
            let of = |status| counts.iter().filter(|((_, of), _)| *of == status).map(|(_, n)| n).sum::<i64>();
            (of(Status::Pending) + of(Status::Processing) == 0).then(|| of(Status::RetryScheduled))
        })
        .await;
        if waiting == 0 {
            return;
        }
        clock.advance(Duration::from_secs(1));
    }
}

on_each_ledger!(scenario_a_a_thousand_chemical_changes_all_complete_and_the_table_is_right);
async fn scenario_a_a_thousand_chemical_changes_all_complete_and_the_table_is_right(place: Place) {
    // 2026-02-01, a month after the changes.
    let clock = Clock::manual(Timestamp(1_769_904_000_000_000));
    let engine = place.engine().clock(clock.clone()).handler_with(Troubled::registration).start().await.unwrap();
    let changes = changes();
    let arrivals = out_of_order(&changes);
    let (records, new) = send(&engine, &arrivals).await;
    assert_eq!((arrivals.len(), new, late(&arrivals)), (1_000, 1_000, 388));
    until_all_have_ended(&engine, &clock).await;

    let mut troubled = 0;
    for (event_id, id) in &records {
        let record = settled(&engine, *id).await;
        assert_eq!((record.status, record.final_status), (Status::Success, Some(FinalStatus::Completed)));
        let failures = match trouble(event_id) {
            Trouble::None => 0,
            Trouble::Before { attempts } => attempts as usize,
            Trouble::After => 1,
        };
        let mut expected = vec![AttemptStatus::Failed; failures];
        expected.push(AttemptStatus::Success);
        assert_eq!(attempts(&engine, *id).await, expected, "{event_id}");
        troubled += usize::from(failures > 0);
    }
    assert_eq!(troubled, 285);

    let kept = table(&engine, &changes).await;
    let rows: BTreeMap<String, Row> = kept.iter().map(|(cas, chemical)| (cas.clone(), row(chemical))).collect();
    assert_eq!(rows, expected(&changes, &records));
    let history: usize = kept.values().map(|(_, history)| history.len()).sum();
    assert_eq!((kept.len(), history), (366, 1_000));

    let (_, new) = send(&engine, &changes).await;
    let duplicates = Filter { status: Some(Status::Duplicate), ..Filter::default() };
    assert_eq!((new, engine.reads().ids(&duplicates, 2_000).await.unwrap().len()), (0, 1_000));
    assert_eq!(table(&engine, &changes).await, kept);
    stop(engine).await;
}
