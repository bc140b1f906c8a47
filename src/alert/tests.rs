//! The Teller as an actor: a fault of its own ends no alert.

use super::*;
use crate::handlers::webhook::sample::NOW;

/// Ends the Teller, as a fault of our own would.
#[derive(Message)]
#[rtype(result = "()")]
struct Die;

impl Handler<Die> for Teller {
    type Result = ();

    fn handle(&mut self, _: Die, ctx: &mut Self::Context) {
        ctx.terminate();
    }
}

fn alerts(config: &Config) -> (Alerts, Clock) {
    let clock = Clock::manual(NOW);
    let metrics = Metrics::new().unwrap();
    (Alerts::start(config, clock.clone(), metrics, "web/1".to_owned()).unwrap(), clock)
}

/// Waits until the Teller has heard all that was said before.
async fn heard(alerts: &Alerts) {
    let teller = alerts.teller().clone();
    teller.send(Finish).await.unwrap();
}

fn known(alerts: &Alerts) -> Vec<(String, u64, bool)> {
    let all = alerts.0.shared.book().all();
    all.iter().map(|incident| (incident.key.to_string(), incident.count, incident.is_open())).collect()
}

#[actix::test]
async fn a_teller_that_dies_is_started_again_and_nothing_that_was_said_is_lost() {
    let (alerts, _) = alerts(&Config::default());
    alerts.dead_letter(Uuid::nil(), "billing", Status::FailedPermanent, Some("order 1 not found"));
    heard(&alerts).await;
    let before = known(&alerts);
    let teller = alerts.teller().clone();
    teller.send(Die).await.unwrap();
    let died = async {
        while alerts.vitals().0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LAST_POSTS, died).await.unwrap();
    alerts.dead_letter(Uuid::nil(), "billing", Status::FailedPermanent, Some("order 2 not found"));
    alerts.look_after();
    heard(&alerts).await;
    assert_eq!((alerts.vitals(), before.len()), ((true, 1), 1));
    let others = ("dead_letter/others".to_owned(), 1, true);
    assert!(known(&alerts).contains(&before[0]) && known(&alerts).contains(&others), "{:?}", known(&alerts));
    assert_eq!(alerts.0.shared.metrics.dead_letters.with_label_values(&["billing", "FAILED_PERMANENT"]).get(), 2);
    alerts.end().await;
}

#[actix::test]
async fn what_the_clock_brings_is_told_and_counted() {
    let (alerts, clock) = alerts(&Config::default());
    for n in 0..3 {
        alerts.invalid(Uuid::nil(), "order.paid", Some(&format!("`total` is {n}")));
    }
    heard(&alerts).await;
    let open = || alerts.0.shared.metrics.alerts_open.with_label_values(&["invalid"]).get();
    assert_eq!(open(), 1);
    clock.advance(Config::default().resolve_after);
    heard(&alerts).await;
    assert_eq!((open(), known(&alerts)[0].1, known(&alerts)[0].2), (0, 3, false));
    assert_eq!(alerts.0.shared.metrics.alerts.with_label_values(&["invalid"]).get(), 1);
    alerts.end().await;
}

#[test]
fn of_an_error_no_more_is_kept_than_is_compared() {
    assert_eq!(shortened("\n\n no"), "no");
    assert_eq!(shortened(&"ü".repeat(LONGEST_ERROR)).len(), LONGEST_ERROR);
}
