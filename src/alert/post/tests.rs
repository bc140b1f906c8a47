//! What is to be posted: whatever a receiver does, it hears of each beginning and end once, and nothing piles up.

use uuid::Uuid;

use proptest::prelude::*;

use super::*;
use crate::alert::incident::Key;
use crate::alert::kind::Kind;

const START: Timestamp = Timestamp(1_767_600_140_000_000);

fn notice(word: Word, n: u128, count: u64) -> Notice {
    let key = Key { kind: Kind::DeadLetter, subject: None, fingerprint: Some(n.to_string()) };
    let incident = Incident {
        id: Uuid::from_u128(n),
        key,
        title: String::new(),
        error: None,
        record: None,
        count,
        first_seen: START,
        last_seen: START,
        resolved_at: (word == Word::Resolved).then_some(START),
        told: (START, count),
    };
    Notice { word, incident }
}

/// What the next letters say, until nothing may go out any more.
fn posted(post: &mut Post, now: Timestamp) -> Vec<(Word, u64)> {
    let mut said = Vec::new();
    while let Ok(letter) = post.next(now, false) {
        let Letter::One(Notice { word, incident }) = letter else { panic!("{letter:?}") };
        said.push((word, incident.count));
    }
    said
}

#[test]
fn what_changes_while_the_receiver_is_away_is_said_once_as_it_stands() {
    let mut post = Post::default();
    post.add(notice(Word::Raised, 1, 1));
    for count in 2..50 {
        post.add(notice(Word::Reminder, 1, count));
    }
    assert_eq!(posted(&mut post, START), [(Word::Raised, 49)]);
    for count in 50..60 {
        post.add(notice(Word::Reminder, 1, count));
    }
    assert_eq!(post.len(), 1);
    assert_eq!(posted(&mut post, START), [(Word::Reminder, 59)]);
    post.add(notice(Word::Reminder, 1, 60));
    post.add(notice(Word::Resolved, 1, 61));
    assert_eq!(posted(&mut post, START), [(Word::Resolved, 61)]);
}

#[test]
fn what_began_and_ended_unsaid_is_said_in_both_words() {
    let mut post = Post::default();
    post.add(notice(Word::Raised, 1, 1));
    post.add(notice(Word::Resolved, 1, 7));
    assert_eq!(posted(&mut post, START), [(Word::Raised, 7), (Word::Resolved, 7)]);
    assert_eq!(post.next(START, false), Err(None));
}

#[test]
fn a_flood_is_so_many_posts_and_a_summary_a_minute() {
    let mut post = Post::default();
    (0..100).for_each(|n| post.add(notice(Word::Raised, n, 1)));
    for _ in 1..MOST_A_MINUTE {
        assert!(matches!(post.next(START, false), Ok(Letter::One(_))));
    }
    let Ok(Letter::Summary(summary)) = post.next(START, false) else { panic!("this should sum up the rest") };
    assert_eq!((summary.raised, summary.resolved, summary.incidents.len()), (81, 0, 81));
    post.add(notice(Word::Resolved, 1, 1));
    let next = START.after(MINUTE);
    assert_eq!(post.next(START, false), Err(Some(next)));
    assert!(matches!(post.next(next, false), Ok(Letter::One(_))));
}

#[test]
fn at_the_end_nothing_waits_for_the_next_minute() {
    let mut post = Post::default();
    (0..100).for_each(|n| post.add(notice(Word::Raised, n, 1)));
    let Ok(Letter::Summary(summary)) = post.next(START, true) else { panic!("this should sum up all") };
    assert_eq!((summary.raised, post.next(START, true)), (100, Err(None)));
}

#[test]
fn incidents_that_came_and_went_make_room_and_are_counted() {
    let mut post = Post::default();
    for n in 0..10_000 {
        post.add(notice(Word::Raised, n, 1));
        post.add(notice(Word::Resolved, n, 1));
    }
    assert_eq!(post.len(), MOST_WAITING);
    let Ok(Letter::Summary(summary)) = post.next(START, false) else { panic!("this should sum up all") };
    assert_eq!((summary.raised, summary.resolved), (10_000, 10_000));
}

proptest! {
    /// Incidents begin, go on and end; the receiver is there now and then.
    #[test]
    fn every_beginning_and_every_end_is_said_once(steps in proptest::collection::vec((0u128..30, any::<bool>(), 0u64..40), 0..300)) {
        let (mut post, mut now, mut open) = (Post::default(), START, std::collections::BTreeMap::new());
        let (mut begun, mut ended, mut next_id) = (0, 0, 1_000);
        let (mut said_begun, mut said_ended) = (0, 0);
        let mut hear = |letter: Letter| match letter {
            Letter::One(Notice { word: Word::Raised, .. }) => said_begun += 1,
            Letter::One(Notice { word: Word::Resolved, .. }) => said_ended += 1,
            Letter::One(_) => {}
            Letter::Summary(summary) => {
                said_begun += summary.raised;
                said_ended += summary.resolved;
            }
        };
        for (which, is_there, seconds) in steps {
            now = now.after(Duration::from_secs(seconds));
            if let Some(id) = open.remove(&which) {
                ended += 1;
                post.add(notice(Word::Resolved, id, 1));
            } else {
                next_id += 1;
                begun += 1;
                open.insert(which, next_id);
                post.add(notice(Word::Raised, next_id, 1));
            }
            if is_there && let Ok(letter) = post.next(now, false) {
                hear(letter);
            }
        }
        while let Ok(letter) = post.next(now, true) {
            hear(letter);
        }
        prop_assert_eq!((said_begun, said_ended), (begun, ended));
    }
}
