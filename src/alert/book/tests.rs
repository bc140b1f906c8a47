//! The book of incidents: whatever is noted, at whatever times, each is raised and resolved once, and the book is bounded.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const START: Timestamp = Timestamp(1_767_600_140_000_000);

const MINUTE: Duration = Duration::from_secs(60);

const TIMES: Times = Times { cooldown: MINUTE, resolve_after: MINUTE, grace: Duration::from_secs(10) };

fn at(now: Timestamp) -> Moment {
    Moment { now, id: id() }
}

fn id() -> Uuid {
    Uuid::now_v7()
}

fn died(fingerprint: impl ToString) -> Happened {
    let fingerprint = Some(fingerprint.to_string());
    let key = Key { kind: Kind::DeadLetter, subject: Some("billing".to_owned()), fingerprint };
    Happened { key, title: "no".to_owned(), error: None, record: None, count: 1 }
}

fn held(handlers: &[&str]) -> Vec<Condition> {
    let held = |handler: &&str| Condition { subject: Some((*handler).to_owned()), why: "no".to_owned() };
    handlers.iter().map(held).collect()
}

fn told(notices: &[Notice]) -> Vec<(Word, u64)> {
    notices.iter().map(|notice| (notice.word, notice.incident.count)).collect()
}

#[test]
fn a_thousand_events_of_one_kind_are_raised_once_and_resolved_with_their_count() {
    let mut book = Book::new(TIMES);
    assert_eq!(book.happened(died("a"), at(START)).unwrap().word, Word::Raised);
    for _ in 1..1_000 {
        assert_eq!(book.happened(died("a"), at(START)), None);
    }
    assert_eq!(book.tick(START.after(MINUTE / 2)), []);
    let over = book.tick(START.after(MINUTE));
    assert_eq!(told(&over), [(Word::Resolved, 1_000)]);
    assert_eq!(over[0].incident.resolved_at, Some(START.after(MINUTE)));
    assert_eq!((book.open.values().count(), book.all().len()), (0, 1));
    // What comes later is another incident.
    assert_eq!(book.happened(died("a"), at(START.after(MINUTE))).unwrap().incident.count, 1);
}

#[test]
fn what_goes_on_is_told_of_again_after_the_cooldown_with_what_has_come_since() {
    let mut book = Book::new(Times { resolve_after: 10 * MINUTE, ..TIMES });
    book.happened(died("a"), at(START));
    assert_eq!(book.tick(START.after(MINUTE)), [], "nothing has come since");
    book.happened(died("a"), at(START.after(MINUTE)));
    assert_eq!(told(&book.tick(START.after(MINUTE))), [(Word::Reminder, 2)]);
    book.happened(died("a"), at(START.after(MINUTE)));
    assert_eq!(book.tick(START.after(MINUTE * 2 - Duration::from_secs(1))), []);
    assert_eq!(told(&book.tick(START.after(MINUTE * 2))), [(Word::Reminder, 3)]);
}

#[test]
fn a_state_is_raised_at_once_reminded_of_while_it_lasts_and_over_when_it_ends() {
    let mut book = Book::new(TIMES);
    let raised = book.looked(Kind::HandlerDown, held(&["a", "b"]), START, id);
    assert_eq!(told(&raised), [(Word::Raised, 1), (Word::Raised, 1)]);
    assert_eq!(book.looked(Kind::HandlerDown, held(&["a", "b"]), START.after(MINUTE), id), []);
    assert_eq!(book.tick(START.after(MINUTE)).len(), 2, "both are reminded of");
    let over = book.looked(Kind::HandlerDown, held(&["b"]), START.after(MINUTE), id);
    assert_eq!((told(&over), &over[0].incident.key.subject), (vec![(Word::Resolved, 1)], &Some("a".to_owned())));
    // Another kind says nothing of this one.
    assert_eq!(book.looked(Kind::HandlerFailing, Vec::new(), START.after(MINUTE), id), []);
    assert_eq!(book.count(Kind::HandlerDown), 1);
}

#[test]
fn what_passes_within_its_grace_is_never_told() {
    let mut book = Book::new(TIMES);
    let away = || vec![Condition { subject: None, why: "refused".to_owned() }];
    let mut look = |holds: Vec<Condition>, seconds| {
        told(&book.looked(Kind::BrokerAway, holds, START.after(Duration::from_secs(seconds)), id))
    };
    assert_eq!(look(away(), 0), []);
    assert_eq!(look(away(), 9), []);
    assert_eq!(look(Vec::new(), 9), []);
    assert_eq!(look(away(), 10), []);
    assert_eq!(look(away(), 20), [(Word::Raised, 1)]);
    assert_eq!(look(Vec::new(), 21), [(Word::Resolved, 1)]);
}

#[test]
fn what_there_is_no_room_for_is_one_incident() {
    let mut book = Book::new(TIMES);
    let raised = (0..1_000).filter_map(|n| book.happened(died(n), at(START))).count();
    assert_eq!((raised, book.open.values().count()), (MOST_OPEN + 1, MOST_OPEN + 1));
    let others = book.open.values().find(|incident| incident.key.is_others()).unwrap();
    assert_eq!((others.count, others.key.to_string()), (900, "dead_letter/others".to_owned()));
    let holds = book.looked(Kind::HandlerDown, held(&["a", "b"]), START, id);
    assert_eq!(told(&holds), [(Word::Raised, 1)]);
    assert_eq!(told(&book.looked(Kind::HandlerDown, Vec::new(), START, id)), [(Word::Resolved, 1)]);
}

#[derive(Clone, Debug)]
enum Step {
    Died(u8, u64),
    Down(Vec<bool>),
    Pass(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (any::<u8>(), 1u64..5).prop_map(|(which, count)| Step::Died(which, count)),
        2 => proptest::collection::vec(any::<bool>(), 3).prop_map(Step::Down),
        3 => (0u64..100).prop_map(Step::Pass),
    ];
    proptest::collection::vec(step, 0..300)
}

proptest! {
    #[test]
    fn nothing_is_raised_twice_without_an_end_between_and_every_event_is_counted_once(steps in steps()) {
        let (mut book, mut now, mut came) = (Book::new(TIMES), START, 0);
        let (mut open, mut over, mut reminded) = (BTreeMap::new(), 0, BTreeMap::new());
        for step in steps {
            let mut notices = match step {
                Step::Died(which, count) => {
                    came += count;
                    book.happened(Happened { count, ..died(which) }, at(now)).into_iter().collect()
                }
                Step::Down(which) => {
                    let names = ["a", "b", "c"].into_iter().zip(which).filter_map(|(name, is_down)| is_down.then_some(name));
                    book.looked(Kind::HandlerDown, held(&names.collect::<Vec<_>>()), now, id)
                }
                Step::Pass(seconds) => {
                    now = now.after(Duration::from_secs(seconds));
                    Vec::new()
                }
            };
            notices.extend(book.tick(now));
            for Notice { word, incident } in notices {
                match word {
                    Word::Raised => prop_assert_eq!(open.insert(incident.key.clone(), incident.id), None),
                    Word::Reminder => {
                        prop_assert_eq!(open.get(&incident.key), Some(&incident.id));
                        let last: Timestamp = reminded.insert(incident.id, now).unwrap_or(incident.first_seen);
                        prop_assert!(now.since(last) >= TIMES.cooldown);
                    }
                    Word::Resolved => {
                        prop_assert_eq!(open.remove(&incident.key), Some(incident.id));
                        over += if incident.key.kind == Kind::DeadLetter { incident.count } else { 0 };
                    }
                }
            }
            prop_assert_eq!(book.open.values().count(), open.len());
            prop_assert!(open.len() <= MOST_OPEN + Kind::ALL.len() && book.past.len() <= MOST_PAST);
        }
        let still: u64 =
            book.open.values().filter(|incident| incident.key.kind == Kind::DeadLetter).map(|incident| incident.count).sum();
        prop_assert_eq!(over + still, came);
    }
}
