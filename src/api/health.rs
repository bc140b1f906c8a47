//! Health: whether the process lives, and whether it can take events.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::web::Data;
use serde::Serialize;
use utoipa::ToSchema;

use super::State;
use crate::persist::Loss;

/// How long the ledger may think before it counts as away.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whether it can take events, and what says so.
#[derive(Serialize, ToSchema)]
pub(crate) struct Readiness {
    status: ReadyOrNot,
    checks: Checks,
    /// Why they cannot be taken, for people; empty if they can.
    pub(crate) reasons: Vec<String>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum ReadyOrNot {
    Ready,
    NotReady,
}

#[derive(Serialize, ToSchema)]
struct Checks {
    ledger: LedgerCheck,
    /// Whether this node may start handlers. On SQLite it always may.
    lease: LeaseCheck,
    persistence: Check,
    intake: Check,
    /// Whether any of them lives.
    processors: Check,
    /// Whether Kafka takes events, if it is the bus.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    kafka: Option<Check>,
    /// Whether RabbitMQ takes events, if it is the bus.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    rabbitmq: Option<Check>,
    draining: Draining,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Check {
    Ok,
    Down,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
enum LedgerCheck {
    #[serde(rename = "ok")]
    Ok,
    #[serde(rename = "cannot be written")]
    Unwritable,
    #[serde(rename = "cannot be read")]
    Unreadable,
    #[serde(rename = "does not answer")]
    Silent,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
enum LeaseCheck {
    #[serde(rename = "ok")]
    Ok,
    #[serde(rename = "lost: the database did not let it be renewed in time")]
    Unrenewed,
    #[serde(rename = "lost: this node was fenced and has no new id yet")]
    Fenced,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Draining {
    Yes,
    No,
}

/// The process lives.
#[derive(Serialize, ToSchema)]
struct Liveness {
    #[schema(example = "live")]
    status: &'static str,
}

/// Says that the process lives.
///
/// It asks nothing but the process: a database that is away is no reason to kill it.
#[utoipa::path(
    get,
    path = "/livez",
    operation_id = "get_liveness",
    tag = "state",
    responses((status = 200, description = "It lives", body = Liveness)),
)]
pub(crate) async fn live() -> HttpResponse {
    HttpResponse::Ok().json(Liveness { status: "live" })
}

/// Says whether events can be taken, check by check.
#[utoipa::path(
    get,
    path = "/readyz",
    operation_id = "get_readiness",
    tag = "state",
    responses(
        (status = 200, description = "They can", body = Readiness),
        (status = 503, description = "They cannot: a check says why, or it is stopping", body = Readiness),
    ),
)]
pub(crate) async fn ready(state: Data<State>) -> HttpResponse {
    let readiness = Readiness::of(&state).await;
    match readiness.status {
        ReadyOrNot::Ready => HttpResponse::Ok().json(readiness),
        ReadyOrNot::NotReady => HttpResponse::ServiceUnavailable().json(readiness),
    }
}

impl Readiness {
    /// Looks at all of it.
    pub async fn of(state: &State) -> Self {
        let pool = &state.pool;
        let word = |is_alive| if is_alive { Check::Ok } else { Check::Down };
        let broker = broker(state).await;
        let of_broker = |name| {
            let (_, answer) = broker.as_ref().filter(|(broker, _)| *broker == name)?;
            Some(word(answer.is_ok()))
        };
        let checks = Checks {
            ledger: ledger(state).await,
            lease: lease(state),
            persistence: word(pool.persist.is_alive()),
            intake: word(state.intake.is_alive()),
            processors: word((0..pool.processors.len()).any(|slot| pool.processors.is_alive(slot))),
            kafka: of_broker("kafka"),
            rabbitmq: of_broker("rabbitmq"),
            draining: if pool.is_draining() { Draining::Yes } else { Draining::No },
        };
        let silence = broker.as_ref().and_then(|(_, answer)| answer.as_ref().err());
        let reasons = checks.reasons(silence.map_or("", String::as_str));
        let status = if reasons.is_empty() { ReadyOrNot::Ready } else { ReadyOrNot::NotReady };
        Self { status, checks, reasons }
    }
}

impl Checks {
    /// In words; `silence` is why the broker takes nothing, if it does not.
    fn reasons(&self, silence: &str) -> Vec<String> {
        let mut reasons: Vec<&str> = Vec::new();
        match self.ledger {
            LedgerCheck::Ok => {}
            LedgerCheck::Unwritable => reasons.push("The ledger cannot be written: nothing is accepted until it can."),
            LedgerCheck::Unreadable => reasons.push("The ledger cannot be read."),
            LedgerCheck::Silent => reasons.push("The ledger does not answer."),
        }
        if self.lease != LeaseCheck::Ok {
            reasons.push("Its lease in the ledger has lapsed: it starts nothing until it is renewed.");
        }
        let [kafka, rabbitmq] = ["Kafka", "RabbitMQ"].map(|name| format!("{name} takes no events: {silence}."));
        let parts = [
            (self.persistence, "Persistence, which writes the ledger, is down."),
            (self.intake, "The Intake, which takes events in, is down."),
            (self.processors, "No Processor is alive: nothing is handled."),
            (self.kafka.unwrap_or(Check::Ok), kafka.as_str()),
            (self.rabbitmq.unwrap_or(Check::Ok), rabbitmq.as_str()),
        ];
        reasons.extend(parts.into_iter().filter(|(check, _)| *check == Check::Down).map(|(_, reason)| reason));
        if self.draining == Draining::Yes {
            reasons.push("It is stopping: what runs ends, and nothing new is taken.");
        }
        reasons.into_iter().map(str::to_owned).collect()
    }
}

/// Which broker it is, if it is one, and why it does not answer, if it does not.
async fn broker(state: &State) -> Option<(&'static str, Result<(), String>)> {
    let broker = state.intake.broker()?;
    let answer = match tokio::time::timeout(PATIENCE, broker.events.ping()).await {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer in {} s", PATIENCE.as_secs())),
    };
    Some((broker.name, answer))
}

fn lease(state: &State) -> LeaseCheck {
    match state.pool.persist.lease().loss() {
        None => LeaseCheck::Ok,
        Some(Loss::Unrenewed) => LeaseCheck::Unrenewed,
        Some(Loss::Fenced) => LeaseCheck::Fenced,
    }
}

async fn ledger(state: &State) -> LedgerCheck {
    match tokio::time::timeout(PATIENCE, state.reads().ping()).await {
        Ok(Ok(())) if state.pool.metrics.ledger_unavailable.get() == 0 => LedgerCheck::Ok,
        Ok(Ok(())) => LedgerCheck::Unwritable,
        Ok(Err(_)) => LedgerCheck::Unreadable,
        Err(_) => LedgerCheck::Silent,
    }
}
