//! A test event: chosen by its type, filled in by the fields of its schema, sent like every other.
//!
//! What breaks its schema is told beside its field and never sent: nobody wants an INVALID record, and an alert, for
//! every slip in a form.

mod asked;
mod filled;
mod shape;
mod words;

use actix_web::http::StatusCode;
use actix_web::http::header::LOCATION;
use actix_web::web::{Data, Payload as Body};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

use super::curl::curl;
use super::events::encoded;
use super::{Frame, html_answer};
use crate::api::problem::{Code, Problem};
use crate::api::query::Parameters;
use crate::api::{Answer, State};
use crate::ingest::Accepted;
use asked::{Asked, schema};
use shape::{Field, Label, Part, Takes};

#[derive(Template)]
#[template(path = "admin/send.html")]
struct SendPage {
    frame: Frame,
    /// The types that handlers take or schemas are for.
    known: Vec<Known>,
    has_schemas: bool,
    typed: String,
    filling: Option<Filling>,
}

/// A type that can be sent.
struct Known {
    event_type: String,
    handler: Option<String>,
    schema: Option<String>,
}

/// The form of one type.
struct Filling {
    asked: Asked,
    handler: Option<String>,
    schema: Option<String>,
    problem: Option<Problem>,
    /// What is wrong, each with the part of the form that it is shown beside.
    wrong: Vec<(String, String)>,
    curl: Option<String>,
}

/// What the template goes through: groups as they begin and end, and the fields in them.
enum Row<'a> {
    Begin(&'a Label),
    Field(&'a Field),
    End,
}

/// Shows the types; and the form of one, if it is named.
pub(super) async fn page(state: Data<State>, request: HttpRequest) -> Answer {
    let frame = Frame::of(&state, &request, "Send a test event").await;
    let parameters = Parameters::parse(&frame.query, &["type", "form"])?;
    let is_whole = parameters.get("form") == Some("json");
    let filling = parameters.get("type").map(|event_type| {
        let asked = Asked::first(&state, event_type, is_whole);
        let event = asked.event().ok();
        Filling::of(&state, asked, None, event.and_then(|event| curl(&request, &event)))
    });
    answer(&state, frame, filling)
}

/// Sends what was filled in and goes to its event; or shows it as JSON, or as a command. What is refused comes back in
/// its fields, with the reason.
pub(super) async fn send(state: Data<State>, request: HttpRequest, body: Body) -> Answer {
    let asked = Asked::read(&state, &request, body).await?;
    let filling = match asked.then.as_str() {
        "json" => match asked.whole() {
            Ok(whole) => Filling::of(&state, asked.with(whole), None, None),
            Err(problem) => Filling::of(&state, asked, Some(problem), None),
        },
        "curl" => match asked.event() {
            Ok(event) => Filling::of(&state, asked, None, curl(&request, &event)),
            Err(problem) => Filling::of(&state, asked, Some(problem), None),
        },
        _ => match submit(&state, &asked).await {
            Ok(accepted) => return Ok(leave(&state, &accepted)),
            Err(problem) => Filling::of(&state, asked, Some(problem), None),
        },
    };
    let frame = Frame::of(&state, &request, "Send a test event").await;
    answer(&state, frame, Some(filling))
}

async fn submit(state: &State, asked: &Asked) -> Result<Vec<Accepted>, Problem> {
    let event = asked.event()?;
    let events = asked.events(&event)?;
    if let Err(breach) = state.intake.schemas().check(&event.event_type, &event.data) {
        return Err(Problem::new(Code::SchemaViolation, breach.to_string()).errors(breach.violations));
    }
    let results = state.intake.submit(events).await?;
    results.into_iter().map(|result| result.map_err(Problem::from)).collect()
}

/// The way to what was sent: the event, or the list that has it.
fn leave(state: &State, accepted: &[Accepted]) -> HttpResponse {
    // What a broker has is in the ledger once a listener has taken it in.
    let is_published = state.intake.broker().is_some();
    let place = match accepted {
        [one] if is_published => {
            let (event_id, source) = (encoded(&one.event_id), encoded(&one.source));
            format!("/events?event_id={event_id}&source={source}&notice=event-published")
        }
        [one] => {
            let notice = if one.duplicate { "event-known" } else { "event-sent" };
            format!("/events/{}?notice={notice}", one.id)
        }
        many => {
            let notice = if is_published { "events-published" } else { "events-sent" };
            let by = |one: &Accepted| format!("type={}&source={}&", encoded(&one.event_type), encoded(&one.source));
            let by = many.first().map(by).unwrap_or_default();
            format!("/events?{by}notice={notice}&count={}", many.len())
        }
    };
    HttpResponse::SeeOther().insert_header((LOCATION, place)).finish()
}

fn answer(state: &State, frame: Frame, filling: Option<Filling>) -> Answer {
    let problem = filling.as_ref().and_then(|filling| filling.problem.as_ref());
    let status = problem.map_or(StatusCode::OK, |problem| problem.code().status());
    let page = SendPage {
        frame,
        known: known(state),
        has_schemas: state.intake.schemas().iter().next().is_some(),
        typed: filling.as_ref().map(|filling| filling.asked.event_type.clone()).unwrap_or_default(),
        filling,
    };
    let html = page.render();
    let html = html.map_err(|error| Problem::new(Code::Internal, "the page could not be made").caused_by(error))?;
    Ok(html_answer(HttpResponse::build(status)).body(html))
}

/// Every type that a handler of this node takes or a schema is for, once.
fn known(state: &State) -> Vec<Known> {
    let handled = state.pool.lanes().flat_map(|lane| lane.patterns.iter());
    let mut types: Vec<&str> = handled.map(String::as_str).collect();
    types.extend(state.intake.schemas().iter().map(|schema| schema.event_type.as_str()));
    types.sort_unstable();
    types.dedup();
    let known = |event_type: &str| Known {
        event_type: event_type.to_owned(),
        handler: state.pool.resolve(event_type).map(ToString::to_string),
        schema: schema(state, event_type).map(|schema| schema.file.clone()),
    };
    types.into_iter().map(known).collect()
}

impl Known {
    /// Whether it stands for many types, so that one of them has to be written.
    fn is_pattern(&self) -> bool {
        self.event_type.ends_with('*')
    }

    fn path(&self) -> String {
        format!("/send?type={}", encoded(&self.event_type))
    }
}

impl Filling {
    fn of(state: &State, asked: Asked, problem: Option<Problem>, curl: Option<String>) -> Self {
        let handler = state.pool.resolve(&asked.event_type).map(ToString::to_string);
        let schema = schema(state, &asked.event_type).map(|schema| schema.file.clone());
        let violations = problem.iter().flat_map(|problem| problem.violations());
        let wrong = violations.map(|wrong| (place(&asked.form, &wrong.pointer), wrong.detail.clone())).collect();
        Self { asked, handler, schema, problem, wrong, curl }
    }

    /// The address of the same type, with fields or as JSON.
    fn other(&self) -> String {
        let form = if self.asked.is_whole { "" } else { "&form=json" };
        format!("/send?type={}{form}", encoded(&self.asked.event_type))
    }

    fn rows(&self) -> Vec<Row<'_>> {
        let mut rows = Vec::new();
        spread(&self.asked.form, &mut rows);
        rows
    }

    /// How high a field for JSON is.
    fn lines(&self, value: &str) -> usize {
        value.lines().count().clamp(4, 24)
    }

    fn value(&self, field: &Field) -> &str {
        self.asked.values.get(&field.label.pointer).map_or("", String::as_str)
    }

    /// What is wrong at this place.
    fn wrong(&self, place: &str) -> Vec<&str> {
        self.wrong.iter().filter(|(at, _)| at == place).map(|(_, detail)| detail.as_str()).collect()
    }
}

/// Where something that is wrong is shown: at itself, or at the nearest part around it that the form has.
fn place(form: &Part, pointer: &str) -> String {
    let mut rows = Vec::new();
    spread(form, &mut rows);
    let parts = rows.iter().filter_map(|row| match row {
        Row::Begin(label) => Some(label.pointer.as_str()),
        Row::Field(field) => Some(field.label.pointer.as_str()),
        Row::End => None,
    });
    let is_around =
        |place: &str| pointer.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let around = parts.chain(ATTRIBUTES).filter(|place| is_around(place)).max_by_key(|place| place.len());
    // Any other attribute is an extension.
    around.unwrap_or("/extensions").to_owned()
}

/// The attributes with a field of their own.
const ATTRIBUTES: [&str; 5] = ["/type", "/id", "/source", "/subject", "/count"];

/// The parts of a form in their order.
fn spread<'a>(part: &'a Part, rows: &mut Vec<Row<'a>>) {
    match part {
        Part::Field(field) => rows.push(Row::Field(field)),
        Part::Group(label, members) => {
            rows.push(Row::Begin(label));
            members.iter().for_each(|member| spread(member, rows));
            rows.push(Row::End);
        }
    }
}
