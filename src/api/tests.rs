//! Every route against a running engine, each test with a database of its own.

mod chemicals;
mod contract;
mod document;
mod exporting;
mod operating;
mod operations;
mod overview;
mod reading;
mod refusing;
mod resubmitting;
mod schemas;
mod serving;
mod submitting;
mod trace;
mod wire;

use actix_web::http::{Method, StatusCode};
use actix_web::test::{TestRequest, call_service, init_service, read_body};
use actix_web::web::{Bytes, Data};
use serde_json::{Value, json};
use tempfile::TempDir;
use uuid::Uuid;

use super::{State, app};
use crate::engine::Builder;
use crate::{Config, Engine, Event, HandlerError, NewEvent, Payload};

const EVENTS: &str = "/api/v1/events";

/// An engine, asked as a client asks.
pub(crate) struct Node {
    pub engine: Engine,
    state: Data<State>,
    _folder: TempDir,
}

/// An answer, read.
#[derive(Debug)]
pub(crate) struct Answered {
    pub status: StatusCode,
    pub headers: Vec<(String, String)>,
    pub text: String,
}

impl Answered {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// The status, for an answer that is no refusal; else status and code.
    pub fn said(&self) -> (u16, String) {
        let is_problem = self.header("content-type") == Some("application/problem+json");
        let code = if is_problem { self.json()["code"].as_str().unwrap().to_owned() } else { String::new() };
        (self.status.as_u16(), code)
    }
}

async fn succeed(_: Event<Payload>) -> Result<(), HandlerError> {
    Ok(())
}

async fn give_up(_: Event<Payload>) -> Result<(), HandlerError> {
    Err(HandlerError::permanent("no such account"))
}

impl Node {
    /// Types `ok.*` succeed, `fail` becomes a dead letter, all others have no handler.
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        Self::start_as(change, |builder| builder).await
    }

    /// The same with more handlers.
    pub async fn start_from(bind: impl FnOnce(Builder) -> Builder) -> Self {
        Self::start_as(|_| {}, bind).await
    }

    pub async fn start_as(change: impl FnOnce(&mut Config), bind: impl FnOnce(Builder) -> Builder) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.database.url = format!("sqlite://{}/evenkeel.db", folder.path().display());
        change(&mut config);
        let builder = Engine::builder().config(config);
        let builder = bind(builder.handler_fn("ok.*", succeed).handler_fn("fail", give_up));
        let engine = builder.start().await.unwrap();
        let state = Data::new(State::new(&engine.api()));
        Self { engine, state, _folder: folder }
    }

    /// Asks, and holds the answer against the contract.
    pub async fn ask(&self, request: TestRequest) -> Answered {
        let peer = "192.0.2.7:4000".parse().unwrap();
        let service = init_service(app(self.state.clone())).await;
        let answer = call_service(&service, request.peer_addr(peer).to_request()).await;
        let (method, pattern) = (answer.request().method().clone(), answer.request().match_pattern());
        let status = answer.status();
        let text = |value: &actix_web::http::header::HeaderValue| value.to_str().unwrap().to_owned();
        let headers = answer.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect();
        let text = String::from_utf8_lossy(&read_body(answer).await).into_owned();
        let answered = Answered { status, headers, text };
        contract::hold(&method, pattern.as_deref(), &answered);
        answered
    }

    pub async fn get(&self, uri: &str) -> Answered {
        self.ask(TestRequest::with_uri(uri)).await
    }

    pub async fn head(&self, uri: &str) -> Answered {
        self.ask(TestRequest::with_uri(uri).method(Method::HEAD)).await
    }

    /// Posts JSON; `Null` posts nothing at all.
    pub async fn post(&self, uri: &str, body: Value) -> Answered {
        let request = TestRequest::with_uri(uri).method(Method::POST);
        self.ask(if body.is_null() { request } else { request.set_json(body) }).await
    }

    async fn send(&self, content_type: &str, body: impl Into<Bytes>) -> Answered {
        let request = TestRequest::with_uri(EVENTS).method(Method::POST);
        self.ask(request.insert_header(("content-type", content_type)).set_payload(body)).await
    }

    /// Submits an event and waits for its end.
    pub async fn settle(&self, event: NewEvent) -> Uuid {
        let id = self.engine.submit(event).await.unwrap().id;
        self.engine.settled(id).await.unwrap();
        id
    }

    pub async fn end(self) {
        self.engine.shutdown().await.unwrap();
    }
}

/// An event of this type with no data.
pub(crate) fn event(event_type: &str) -> NewEvent {
    NewEvent::raw(event_type, Payload::default())
}

/// The ids in a list.
fn ids(list: &Answered) -> Vec<String> {
    let items = list.json()["items"].as_array().unwrap_or_else(|| panic!("{list:?}")).clone();
    items.iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
}

fn strings(ids: &[Uuid]) -> Vec<String> {
    ids.iter().map(ToString::to_string).collect()
}

fn told(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}
