//! All dead letters that match: the question, with how many there are, and the beginning of the operation.

use actix_web::web::{Data, Payload as Body};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

use super::words::counted;
use super::{COUNTED, group, pair, which};
use crate::admin::dead_letters::words::address;
use crate::admin::{Frame, form, page as answer};
use crate::api::filter::{NAMES, word};
use crate::api::operations::{ACTIONS, MOST_A_SECOND};
use crate::api::operator::{carry_out, of_form};
use crate::api::problem::Problem;
use crate::api::query::{Parameters, bad};
use crate::api::{Answer, State};
use crate::dead_letter::{self, ForAll};
use crate::lifecycle::OperationAction;
use crate::persist::Group;

/// The question before all that match are changed.
#[derive(Template)]
#[template(path = "admin/dead_all.html")]
struct Question {
    frame: Frame,
    action: OperationAction,
    /// What they have in common, if they are of one group.
    group: Option<Group>,
    filter: Vec<(String, String)>,
    matching: String,
    back: String,
    most: u32,
}

/// Asks, and says how many there are.
pub(in crate::admin) async fn ask(state: Data<State>, request: HttpRequest) -> Answer {
    let frame = Frame::of(&state, &request, "All that match").await;
    let known: Vec<&str> = NAMES.into_iter().chain(["action"]).collect();
    let parameters = Parameters::parse(&frame.query, &known)?;
    let action = action(&parameters)?;
    let (filter, given) = which(&parameters)?;
    let matching = counted(dead_letter::would_be_about(&state.pool, &filter, COUNTED).await?);
    let back = address("/dead-letters", given.iter().map(pair));
    let group = group(&state, &filter).await?;
    answer(&Question { frame, action, group, filter: given, matching, back, most: MOST_A_SECOND })
}

/// Begins the operation, and leads to it.
pub(in crate::admin) async fn begin(state: Data<State>, request: HttpRequest, body: Body) -> Answer {
    let known: Vec<&str> = NAMES.into_iter().chain(["action", "rate", "reason"]).collect();
    let fields = form::fields(&state, &request, body, &known).await?;
    let action = action(&fields)?;
    let (filter, _) = which(&fields)?;
    let rate = fields.get("rate").map(|text| {
        let rate = text.parse().ok().filter(|rate| (1..=MOST_A_SECOND).contains(rate));
        rate.ok_or_else(|| bad("rate", format!("`rate` is a number from 1 to {MOST_A_SECOND}")))
    });
    let asked = ForAll { action, filter, rate: rate.transpose()? };
    let (pool, operator) = (state.pool.clone(), of_form(&request, &fields));
    let begun = carry_out(async move { dead_letter::begin(&pool, asked, &operator).await }).await?;
    let place = format!("/operations/{}?notice=operation-begun", begun.id);
    Ok(HttpResponse::SeeOther()
        .insert_header(("location", place))
        .insert_header(("cache-control", "no-store"))
        .finish())
}

fn action(parameters: &Parameters) -> Result<OperationAction, Problem> {
    let text = parameters.get("action").unwrap_or_default();
    let action = word("action", text, &ACTIONS, OperationAction::as_str);
    let action = action.map_err(|detail| bad("action", detail))?;
    if ACTIONS.contains(&action) { Ok(action) } else { Err(bad("action", "`action` is `redrive` or `discard`")) }
}
