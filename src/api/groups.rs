//! Groups of dead letters: those that failed in the same way are one line, however many they are.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use utoipa::openapi::path::{Parameter, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{IntoParams, ToSchema};

use super::filter::{DEAD, text_of_the_ledger, word};
use super::openapi::OfAList;
use super::parameters::{query, text};
use super::problem::{Code, Problem};
use super::query::{Parameters, bad, listed};
use super::{Answer, State, cursor, page};
use crate::lifecycle::FinalStatus;
use crate::persist::{Group, GroupEnd, GroupFilter, GroupOrder};

/// The groups that were asked for.
#[derive(Serialize, ToSchema)]
#[schema(as = Groups)]
struct Items {
    /// The groups, the largest or the newest first.
    items: Vec<Group>,
    /// Whether there are more.
    more: bool,
    /// Where the next page begins; `null` on the last. Groups grow and shrink meanwhile, so that one may be on two pages
    /// or, if it has grown past them, on none.
    #[schema(required)]
    next_cursor: Option<String>,
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
        let mut parameters = vec![
            query(
                "sort",
                words(vec!["count", "last_seen"]),
                "Which come first: the largest, unless told, or the newest",
            ),
            query("final_status", words(ends), "How they ended; both unless told"),
            query("handler", text(), "The name of their handler"),
        ];
        parameters.extend(page::place());
        parameters
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
    responses((status = 200, description = "The groups that are not empty", body = Items), OfAList),
)]
pub(super) async fn list(state: Data<State>, request: HttpRequest) -> Answer {
    let parameters =
        Parameters::parse(request.query_string(), &["sort", "final_status", "handler", "limit", "cursor"])?;
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
    let after = after(parameters.get("cursor"), order)?;
    let mut items = state.reads().groups_after(after.as_ref(), &filter, order, limit + 1).await?;
    let next_cursor = cut(&mut items, limit, order);
    Ok(HttpResponse::Ok().json(Items { items, more: next_cursor.is_some(), next_cursor }))
}

/// Leaves `limit` of one more group than that; the cursor of the next page, if there is one.
pub(crate) fn cut(items: &mut Vec<Group>, limit: u64, order: GroupOrder) -> Option<String> {
    let more = items.len() as u64 > limit;
    if more {
        items.pop();
    }
    let end = order.end(items.last().filter(|_| more)?);
    Some(cursor::encode_text(&format!("{} {} {}", mark(order), end.place, end.group)))
}

/// Where the page before has ended. The cursor of a list in another order is none.
pub(crate) fn after(cursor: Option<&str>, order: GroupOrder) -> Result<Option<GroupEnd>, Problem> {
    let Some(text) = cursor else { return Ok(None) };
    let end = cursor::decode_text(text).and_then(|end| {
        let (place, group) = end.strip_prefix(mark(order))?.strip_prefix(' ')?.split_once(' ')?;
        Some(GroupEnd { place: place.parse().ok()?, group: group.to_owned() })
    });
    let end = end.filter(|end| !end.group.contains('\0'));
    let refusal = || Problem::new(Code::BadCursor, format!("`{text}` is no cursor of groups in this order"));
    end.map(Some).ok_or_else(refusal)
}

const fn mark(order: GroupOrder) -> &'static str {
    match order {
        GroupOrder::Count => "count",
        GroupOrder::LastSeen => "last_seen",
    }
}
