//! Groups of dead letters: those that failed in the same way are one line, however many they are.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use utoipa::openapi::path::{Parameter, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{IntoParams, ToSchema};

use super::filter::{DEAD, text_of_the_ledger, word};
use super::openapi::OfAQuestion;
use super::parameters::{query, text};
use super::query::{Parameters, bad, listed};
use super::{Answer, State, page};
use crate::lifecycle::FinalStatus;
use crate::persist::{Group, GroupFilter, GroupOrder};

/// The groups that were asked for.
#[derive(Serialize, ToSchema)]
#[schema(as = Groups)]
struct Items {
    /// The groups, the largest or the newest first.
    items: Vec<Group>,
    /// Whether there are more.
    more: bool,
}

/// What the list may be asked for.
struct Asked;

impl IntoParams for Asked {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let words = |words: Vec<&'static str>| -> Schema {
            // An empty parameter counts as absent.
            let words = words.into_iter().chain([""]);
            ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words)).into()
        };
        let ends = DEAD.iter().map(|end| end.as_str()).collect();
        let [limit, _] = page::place();
        vec![
            query(
                "sort",
                words(vec!["count", "last_seen"]),
                "Which come first: the largest, unless told, or the newest",
            ),
            query("final_status", words(ends), "How they ended; both unless told"),
            query("handler", text(), "The name of their handler"),
            limit,
        ]
    }
}

/// Lists what dead letters have in common: how many failed in the same way, and since when.
///
/// Two errors are the same if they are so without the numbers, ids, times, addresses and quoted values in them. Events
/// without a handler are grouped by their type.
#[utoipa::path(
    get,
    path = "/api/v1/dead-letters/groups",
    operation_id = "list_dead_letter_groups",
    tag = "dead letters",
    params(Asked),
    responses((status = 200, description = "The groups that are not empty", body = Items), OfAQuestion),
)]
pub(super) async fn list(state: Data<State>, request: HttpRequest) -> Answer {
    let parameters = Parameters::parse(request.query_string(), &["sort", "final_status", "handler", "limit"])?;
    let limit = page::limit(&parameters)?;
    let order = match parameters.get("sort") {
        None | Some("count") => GroupOrder::Count,
        Some("last_seen") => GroupOrder::LastSeen,
        Some(other) => {
            let detail = format!("`sort` is one of {}, and `{other}` is none of them", listed(&["count", "last_seen"]));
            return Err(bad("sort", detail));
        }
    };
    let end = parameters.get("final_status").map(|text| word("final_status", text, &DEAD, FinalStatus::as_str));
    let final_status = end.transpose().map_err(|detail| bad("final_status", detail))?;
    if let Some(end) = final_status.filter(|end| !DEAD.contains(end)) {
        return Err(bad("final_status", format!("`final_status` is `DEAD_LETTER` or `NO_HANDLER` here, not `{end}`")));
    }
    let handler = parameters.get("handler").map(|name| text_of_the_ledger("handler", name).map(|()| name.to_owned()));
    let handler = handler.transpose().map_err(|detail| bad("handler", detail))?;
    let filter = GroupFilter { final_status, handler, group: None };
    // One more than is shown, to know whether there are more.
    let mut items = state.reads().groups(&filter, order, limit + 1).await?;
    let more = items.len() as u64 > limit;
    items.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(HttpResponse::Ok().json(Items { items, more }))
}
