//! One attempt from its claim to its recorded outcome: invoke, decide, finish, tell.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;
use uuid::Uuid;

use super::Pool;
use super::hand::Hold;
use super::lane::Lane;
use super::verdict::{Outcome, Verdict, verdict};
use crate::clock::Timestamp;
use crate::handle::{Attempt, Ended, Invocation, Start};
use crate::lifecycle::{FinalStatus, Status, Transition, Verb, transition};
use crate::persist::{self, Claim, Finish};
use crate::retry::Schedule;

/// A handler's own timeout comes first; this much later its thread counts as blocked.
const GRACE: Duration = Duration::from_millis(500);

/// Runs a claimed event to the record of its outcome.
pub(super) async fn run(pool: Pool, claim: Claim, mut hold: Hold) {
    let Some(lane) = pool.lane(&claim.handler) else {
        tracing::error!(record = %claim.record_id, handler = &*claim.handler, "claimed for a handler that is not here");
        return;
    };
    let began = Instant::now();
    let outcome = invoke(&pool, &lane, &claim, &hold).await;
    pool.metrics.handler_seconds.with_label_values(&[&claim.handler]).observe(began.elapsed().as_secs_f64());
    hold.free_permit();
    let at = pool.clock.now();
    let verdict = verdict(&outcome, &lane.policy, claim.retry_count, lane.timeout, at, sample(&claim));
    let Some(finish) = finish(hold.node, &claim, &outcome, &verdict, at) else { return };
    let step = finish.step;
    // The next claim goes out right behind, into the same commit.
    pool.refill(&lane);
    let written = pool.persist.finish(finish.clone()).await;
    drop(hold);
    match written {
        Ok(true) => tell(&pool, &lane, &claim, finish, step),
        Ok(false) => {
            tracing::warn!(
                record = %claim.record_id, attempt = claim.attempt_number, handler = &*claim.handler,
                "this attempt was fenced: somebody else has taken the event over"
            );
            // Wherever it stands now, the ledger knows.
            lane.has_backlog();
        }
        Err(error) => tracing::error!(
            record = %claim.record_id, attempt = claim.attempt_number, handler = &*claim.handler, %error,
            "an outcome could not be recorded; the event will be handed back"
        ),
    }
}

/// A number in `[0, 1)` that differs from attempt to attempt: the random tail of its id.
fn sample(claim: &Claim) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "48 bits fit")]
    let tail = (claim.attempt_id.as_u128() & 0xffff_ffff_ffff) as f64;
    tail / (1u64 << 48) as f64
}

/// Delivers the event to its handler's actor and waits for the end, as long as an attempt may take.
async fn invoke(pool: &Pool, lane: &Arc<Lane>, claim: &Claim, hold: &Hold) -> Outcome {
    let give_up = Instant::now() + pool.processing_timeout;
    loop {
        let (reply, answer) = oneshot::channel();
        let (start, generation) = (Arc::new(Start::when(hold.may_start())), lane.host.generation());
        let attempt = Attempt {
            id: claim.attempt_id,
            record_id: claim.record_id,
            number: claim.attempt_number,
            handler: Arc::clone(&claim.handler),
            deadline: pool.clock.now().after(lane.timeout),
        };
        let event = Arc::clone(&claim.event);
        let invocation = Invocation { event, attempt, timeout: lane.timeout, start: Arc::clone(&start), reply };
        if lane.host.invoke(invocation).is_err() {
            // The seat is being changed this very moment.
            tokio::time::sleep(GRACE / 10).await;
        } else if let Some(outcome) = wait(pool, lane, &start, generation, answer, give_up).await {
            return outcome;
        }
        if Instant::now() >= give_up {
            return Outcome::NeverStarted;
        }
    }
}

/// Waits for the end of one delivery; nothing if it was recalled from a thread that was walled off.
async fn wait(
    pool: &Pool,
    lane: &Lane,
    start: &Start,
    generation: usize,
    mut answer: oneshot::Receiver<Ended>,
    give_up: Instant,
) -> Option<Outcome> {
    let mut cut = pool.cut.subscribe();
    let mut look = give_up.min(Instant::now() + lane.timeout + GRACE);
    loop {
        tokio::select! {
            biased;
            ended = &mut answer => return Some(match ended {
                Ok(ended) => Outcome::Ended(ended),
                Err(_) if start.recall().is_ok() => Outcome::NeverStarted,
                Err(_) => Outcome::Ended(Ended::Panicked("the handler's thread has ended".to_owned())),
            }),
            _ = cut.wait_for(|cut| *cut) => {
                return Some(if start.recall().is_ok() { Outcome::NeverStarted } else { Outcome::Cut });
            }
            () = tokio::time::sleep_until(look) => {
                let now = Instant::now();
                if let Some(began) = start.at() {
                    let end = give_up.min(began + lane.timeout + GRACE);
                    if now >= end {
                        return Some(Outcome::Silent(now - began));
                    }
                    look = end;
                } else if now >= give_up || lane.host.generation() != generation {
                    match start.recall() {
                        Ok(()) if now >= give_up => return Some(Outcome::NeverStarted),
                        Ok(()) => return None,
                        Err(_) => {}
                    }
                } else {
                    look = give_up.min(now + GRACE);
                }
            }
        }
    }
}

/// What is to be written.
fn finish(node: Uuid, claim: &Claim, outcome: &Outcome, verdict: &Verdict, at: Timestamp) -> Option<Finish> {
    let ended_by_itself = matches!(outcome, Outcome::Ended(_) | Outcome::Silent(_));
    let verb = if ended_by_itself { Verb::Finish } else { Verb::HandBack };
    let step = match transition(verb, Some(Status::Processing), verdict.to) {
        Ok(step) => step,
        Err(illegal) => {
            tracing::error!(record = %claim.record_id, %illegal, "a verdict that the lifecycle does not have");
            return None;
        }
    };
    let attempt = verdict.attempt.map(|status| persist::Attempt {
        number: claim.attempt_number,
        status,
        started_at: claim.claimed_at,
        completed_at: at,
        node,
    });
    Some(Finish {
        record_id: claim.record_id,
        attempt_id: claim.attempt_id,
        handler: claim.handler.to_string(),
        step,
        attempt_count: claim.attempt_number - u32::from(attempt.is_none()),
        attempt,
        retry_count: verdict.retry_count,
        // An attempt that ends by itself clears the event of suspicion.
        crash_count: if ended_by_itself { 0 } else { claim.crash_count },
        round: claim.round,
        next_attempt_at: verdict.next_attempt_at,
        error: verdict.error.clone(),
        bus: claim.origin.bus.clone(),
        at,
    })
}

/// Tells everybody whom it concerns.
fn tell(pool: &Pool, lane: &Arc<Lane>, claim: &Claim, finish: Finish, step: Transition) {
    let (metrics, handler, status) = (&pool.metrics, &*claim.handler, step.to());
    metrics.events.with_label_values(&[status.as_str()]).inc();
    if let Some(attempt) = &finish.attempt {
        metrics.attempts.with_label_values(&[handler, attempt.status.as_str()]).inc();
        log(claim, attempt.status.as_str(), &finish, status);
    }
    if let Some(at) = finish.next_attempt_at {
        if status == Status::RetryScheduled {
            metrics.retries.with_label_values(&[handler]).inc();
            metrics.pulse.retried(handler);
            pool.schedule(Schedule { at, lane: Arc::clone(&lane.name) });
        } else {
            lane.has_backlog();
        }
    }
    let Some(end) = status.final_status() else { return };
    let took = finish.at.since(claim.created_at);
    metrics.end_to_end_seconds.with_label_values(&[handler]).observe(took.as_secs_f64());
    metrics.pulse.finished(handler, end.is_failure(), Some(took));
    let error = finish.error.as_deref();
    match end {
        FinalStatus::DeadLetter => {
            pool.alerts.dead_letter(claim.record_id, handler, status, error);
            pool.deaths.notify_one();
        }
        FinalStatus::Failed => pool.alerts.invalid(claim.record_id, &claim.event.event_type, error),
        _ => {}
    }
    if pool.settled.is_awaited(claim.record_id) {
        pool.settled.tell(&claim.settled(&finish));
    }
}

fn log(claim: &Claim, outcome: &str, finish: &Finish, status: Status) {
    let (record, event_id, handler) = (claim.record_id, claim.event.id.as_str(), &*claim.handler);
    let (attempt, status) = (claim.attempt_number, status.as_str());
    match &finish.error {
        Some(error) => tracing::info!(%record, event_id, handler, attempt, outcome, status, error, "attempt ended"),
        None => tracing::debug!(%record, event_id, handler, attempt, outcome, status, "attempt ended"),
    }
}
