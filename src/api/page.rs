//! Pages of records: newest first, each with the cursor of the next.

use actix_web::HttpResponse;
use serde::Serialize;
use utoipa::openapi::path::{Parameter, ParameterIn};
use utoipa::openapi::schema::{AnyOfBuilder, ObjectBuilder, Schema, Type};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::query::{Parameters, bad};
use super::{cursor, filter, parameters, problem};
use crate::clock::Timestamp;
use crate::lifecycle::FinalStatus;
use crate::persist::{Filter, Found, Reads, Record};
use problem::{Code, Problem};

const DEFAULT_LIMIT: u64 = 50;
const MOST: u64 = 250;

/// What a list was asked for.
#[derive(Debug)]
pub(crate) struct Page {
    pub filter: Filter,
    before: Option<Uuid>,
    limit: u64,
}

/// A page of records.
#[derive(Serialize, ToSchema)]
#[schema(as = Page)]
pub(crate) struct Items {
    /// The records, newest first.
    items: Vec<Record>,
    /// Where the next page begins, if there is one.
    #[schema(required)]
    next_cursor: Option<String>,
    /// How far back this page has looked, if it ended before it had found `limit` items: the next one goes on there. A
    /// page looks at 25,000 records at most.
    #[schema(required)]
    searched_until: Option<Timestamp>,
}

impl Page {
    /// Reads a query string.
    pub fn parse(query: &str) -> Result<Self, Problem> {
        let known: Vec<&str> = filter::NAMES.into_iter().chain(["limit", "cursor"]).collect();
        let parameters = Parameters::parse(query, &known)?;
        let filter = filter::read(parameters.pairs()).map_err(|wrong| Problem::of(Code::BadParameter, wrong))?;
        let limit = limit(&parameters)?;
        Ok(Self { filter, before: before(&parameters)?, limit })
    }

    /// The answer.
    pub async fn answer(&self, reads: &Reads) -> Result<HttpResponse, Problem> {
        let Found { records, next, searched_until } = reads.search(&self.filter, self.before, self.limit).await?;
        Ok(HttpResponse::Ok().json(Items { items: records, next_cursor: next.map(cursor::encode), searched_until }))
    }
}

/// How many items a page may have.
pub(crate) fn limit(parameters: &Parameters) -> Result<u64, Problem> {
    let Some(text) = parameters.get("limit") else { return Ok(DEFAULT_LIMIT) };
    text.parse()
        .ok()
        .filter(|limit| (1..=MOST).contains(limit))
        .ok_or_else(|| bad("limit", format!("`limit` is a number from 1 to {MOST}, and `{text}` is none of them")))
}

/// Where a page begins: after this record of the page before.
pub(crate) fn before(parameters: &Parameters) -> Result<Option<Uuid>, Problem> {
    let before = parameters.get("cursor").map(|text| {
        cursor::decode(text).ok_or_else(|| Problem::new(Code::BadCursor, format!("`{text}` is no cursor")))
    });
    before.transpose()
}

/// Cuts a list that was read with one more than is shown; gives the cursor of the next page, if there is one.
pub(crate) fn cut<T>(items: &mut Vec<T>, limit: u64, id: impl Fn(&T) -> Uuid) -> Option<String> {
    let more = items.len() as u64 > limit;
    if more {
        items.pop();
    }
    items.last().filter(|_| more).map(|last| cursor::encode(id(last)))
}

/// What a list may be asked for, as the document shows it.
fn parameters(ends: &[FinalStatus]) -> Vec<Parameter> {
    let mut parameters = filter::parameters(ends);
    parameters.extend(place());
    parameters
}

/// Which page of a list is meant, as the document shows it.
pub(crate) fn place() -> [Parameter; 2] {
    let limit = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1)).maximum(Some(MOST));
    // An empty parameter counts as absent.
    let nothing = ObjectBuilder::new().schema_type(Type::String).max_length(Some(0));
    let limit = AnyOfBuilder::new().item(limit).item(nothing).default(Some(DEFAULT_LIMIT.into()));
    [
        parameters::query("limit", Schema::from(limit), "How many items a page has at most"),
        parameters::query("cursor", parameters::text(), "`next_cursor` of the page before"),
    ]
}

impl IntoParams for Page {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        parameters(FinalStatus::ALL)
    }
}

/// A page of what can be redriven or discarded.
pub(crate) struct DeadPage;

impl IntoParams for DeadPage {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        parameters(&filter::DEAD)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_from_1_to_250_and_50_unless_told() {
        assert_eq!(Page::parse("").unwrap().limit, 50);
        assert_eq!(Page::parse("limit=").unwrap().limit, 50);
        assert_eq!(Page::parse("limit=250").unwrap().limit, 250);
        for limit in ["0", "251", "-1", "x", "1.5"] {
            let problem = Page::parse(&format!("limit={limit}")).unwrap_err();
            assert!(problem.to_string().starts_with("bad_parameter: `limit`"), "{problem}");
        }
    }

    #[test]
    fn a_cursor_that_is_none_is_named() {
        assert_eq!(Page::parse("cursor=xyz").unwrap_err().to_string(), "bad_cursor: `xyz` is no cursor");
        assert_eq!(Page::parse("cursor=").unwrap().before, None);
    }
}
