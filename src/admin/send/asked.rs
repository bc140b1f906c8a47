//! What the form of an event holds, and the events that it makes.

use actix_web::HttpRequest;
use actix_web::web::Payload as Body;

use super::filled::{Values, compose, firsts};
use super::shape::Part;
use crate::admin::form;
use crate::api::State;
use crate::api::problem::{Code, Problem};
use crate::api::query::Parameters;
use crate::event::{Event, Extensions, NewEvent, Payload, Violation, to_structured};
use crate::ingest::Schema;
use crate::ingest::decode::decode_structured;

/// Who sends what is filled in here.
const SOURCE: &str = "/dashboard";

/// The most events at once.
const MOST: usize = 100;

/// The fields beside those of the data.
const NAMES: [&str; 8] = ["type", "id", "source", "subject", "extensions", "count", "form", "then"];

/// What the form of an event holds.
pub(super) struct Asked {
    pub event_type: String,
    pub id: String,
    pub source: String,
    pub subject: String,
    /// Lines of `name=value`.
    pub extensions: String,
    pub count: String,
    /// Whether the data is one field, although its schema could make several.
    pub is_whole: bool,
    pub form: Part,
    pub values: Values,
    /// What is to be done with it: a word of a button.
    pub then: String,
}

impl Asked {
    /// A form as it is at first.
    pub fn first(state: &State, event_type: &str, is_whole: bool) -> Self {
        let form = form_of(state, event_type, is_whole);
        Self {
            event_type: event_type.to_owned(),
            id: state.pool.clock.new_id().to_string(),
            source: SOURCE.to_owned(),
            subject: String::new(),
            extensions: String::new(),
            count: "1".to_owned(),
            is_whole,
            values: firsts(&form),
            form,
            then: String::new(),
        }
    }

    /// As it was filled in.
    pub async fn read(state: &State, request: &HttpRequest, body: Body) -> Result<Self, Problem> {
        let text = form::text(request, body, state).await?;
        // The fields of the data have pointers as names, which only the schema of the type knows.
        let is_data = |pair: &&str| pair.starts_with("%2F") || pair.starts_with('/');
        let (data, others): (Vec<&str>, Vec<&str>) = text.split('&').partition(is_data);
        let given = Parameters::parse(&others.join("&"), &NAMES)?;
        let field = |name| given.get(name).unwrap_or_default().replace("\r\n", "\n");
        let (event_type, is_whole) = (field("type"), given.get("form") == Some("json"));
        let form = form_of(state, &event_type, is_whole);
        let pointers: Vec<&str> = form.fields().iter().map(|field| field.label.pointer.as_str()).collect();
        let values = Parameters::parse(&data.join("&"), &pointers)?;
        let values = values.pairs().map(|(name, value)| (name.to_owned(), value.replace("\r\n", "\n"))).collect();
        Ok(Self {
            event_type,
            id: field("id"),
            source: field("source"),
            subject: field("subject"),
            extensions: field("extensions"),
            count: field("count"),
            is_whole,
            form,
            values,
            then: field("then"),
        })
    }

    /// One field for all of the data, which holds what was filled in.
    pub fn whole(&self) -> Result<Part, Problem> {
        Ok(Part::whole(self.data()?.unwrap_or_default()))
    }

    /// The same with this field for all of the data.
    pub fn with(self, whole: Part) -> Self {
        Self { is_whole: true, values: firsts(&whole), form: whole, ..self }
    }

    /// The event as it was filled in; it keeps to the rules of every event that comes in.
    pub fn event(&self) -> Result<Event<Payload>, Problem> {
        let (data, extensions) = (self.data()?, self.extensions()?);
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let payload = Payload { content_type: None, bytes: data.map(Into::into) };
        let event = NewEvent {
            id: some(&self.id),
            source: some(&self.source),
            subject: some(&self.subject),
            extensions,
            ..NewEvent::raw(self.event_type.clone(), payload)
        };
        let mut wrong = event.violations();
        for (name, value) in [("id", &event.id), ("source", &event.source)] {
            if value.is_none() {
                wrong.push(Violation::new(name, "missing", format!("`{name}` is missing")));
            }
        }
        if !wrong.is_empty() {
            return Err(Problem::of(Code::InvalidEvent, wrong));
        }
        let event = Event {
            id: event.id.unwrap_or_default(),
            source: event.source.unwrap_or_default(),
            event_type: event.event_type,
            subject: event.subject,
            time: None,
            extensions: event.extensions,
            data: event.payload,
        };
        Ok(event)
    }

    /// As many of this event as are asked for, each with an id of its own.
    pub fn events(&self, event: &Event<Payload>) -> Result<Vec<NewEvent>, Problem> {
        let count = self.count.parse().ok().filter(|count| (1..=MOST).contains(count)).ok_or_else(|| {
            let detail = format!("`count` is a number from 1 to {MOST}, and `{}` is none of them", self.count);
            Problem::of(Code::BadBody, vec![Violation::new("count", "bad_value", detail)])
        })?;
        let one = decode_structured(to_structured(event).into())?;
        let with = |n: usize| if count == 1 { one.clone() } else { one.clone().id(format!("{}-{n}", event.id)) };
        Ok((1..=count).map(with).collect())
    }

    fn data(&self) -> Result<Option<String>, Problem> {
        compose(&self.form, &self.values).map_err(|wrong| Problem::of(Code::InvalidEvent, wrong))
    }

    fn extensions(&self) -> Result<Extensions, Problem> {
        let pair = |line: &str| match line.split_once('=') {
            Some((name, value)) => Ok((name.trim().to_owned(), value.trim().into())),
            None => {
                let detail = format!("an extension is a line of `name=value`, and `{line}` is none");
                Err(Problem::of(Code::InvalidEvent, vec![Violation::new("extensions", "bad_value", detail)]))
            }
        };
        self.extensions.lines().filter(|line| !line.trim().is_empty()).map(pair).collect()
    }
}

/// The form of a type: made from its schema, if it has one.
fn form_of(state: &State, event_type: &str, is_whole: bool) -> Part {
    let form = schema(state, event_type).map(|schema| Part::of(schema.document()));
    match form {
        Some(form) if !is_whole => form,
        // What the fields would hold is what JSON begins with.
        Some(form) => Part::whole(compose(&form, &firsts(&form)).ok().flatten().unwrap_or_default()),
        None => Part::whole(String::new()),
    }
}

/// The schema of a type.
pub(super) fn schema<'a>(state: &'a State, event_type: &str) -> Option<&'a Schema> {
    state.intake.schemas().iter().find(|schema| schema.event_type == event_type)
}
