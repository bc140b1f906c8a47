//! Dead letters: by what went wrong, then one by one; redriven or discarded singly, those that are chosen, or all that
//! match. Without scripts the whole of it works, with one more page for each question.

mod all;
mod chosen;
mod words;

use actix_web::HttpRequest;
use actix_web::web::Data;
use askama::Template;

use super::shown::Moment;
use super::{Frame, page as answer};
use crate::api::filter::{self, NAMES, confine};
use crate::api::problem::{Code, Problem};
use crate::api::query::Parameters;
use crate::api::{Answer, State, cursor, groups, page};
use crate::dead_letter;
use crate::lifecycle::OperationAction;
use crate::persist::{Filter, Group, GroupFilter, GroupOrder, Record};
pub(super) use all::{ask, begin};
pub(super) use chosen::change;
pub(super) use words::address;
use words::counted;

/// So many groups are on a page.
const GROUPS: u64 = 100;

/// So many records are on a page.
const RECORDS: u64 = 50;

/// So many dead letters are looked at to say on a page how many match.
const COUNTED: u64 = 10_000;

/// Dead letters by what went wrong.
#[derive(Template)]
#[template(path = "admin/dead_letters.html")]
struct Groups {
    frame: Frame,
    groups: Vec<Group>,
    by_count: bool,
    first: String,
    next: String,
    /// Whether dead letters from before there were groups are still being brought along.
    is_behind: bool,
}

/// Dead letters one by one.
#[derive(Template)]
#[template(path = "admin/dead_records.html")]
struct Records {
    frame: Frame,
    /// What they have in common, if they are of one group.
    group: Option<Group>,
    records: Vec<Record>,
    /// How far back was looked, if the page ended there.
    searched_until: Option<Moment>,
    filter: Vec<(String, String)>,
    matching: String,
    redrive_all: String,
    discard_all: String,
    first: String,
    next: String,
}

impl Records {
    /// Whether something can be changed in the filter: a group has no name that anybody would type.
    fn is_narrowed(&self) -> bool {
        self.filter.iter().any(|(name, _)| name != "group")
    }
}

/// Shows the groups; with a filter, the records that match it.
pub(super) async fn list(state: Data<State>, request: HttpRequest) -> Answer {
    let frame = Frame::of(&state, &request, "Dead letters").await;
    let known: Vec<&str> = NAMES.into_iter().chain(["cursor", "sort", "after"]).collect();
    let parameters = Parameters::parse(&frame.query, &known)?;
    if parameters.pairs().any(|(name, _)| !["sort", "after"].contains(&name)) {
        return records(&state, frame, &parameters).await;
    }
    let by_count = parameters.get("sort") != Some("last_seen");
    let order = if by_count { GroupOrder::Count } else { GroupOrder::LastSeen };
    let reads = state.reads();
    let after = groups::after(parameters.get("after"), order)?;
    let mut found = reads.groups_after(after.as_ref(), &GroupFilter::default(), order, GROUPS + 1).await?;
    let next = groups::cut(&mut found, GROUPS, order);
    let sort = parameters.get("sort").map(|sort| ("sort", sort));
    let to =
        |after: Option<&str>| address("/dead-letters", sort.into_iter().chain(after.map(|after| ("after", after))));
    let next = next.map(|cursor| to(Some(&cursor))).unwrap_or_default();
    let first = if after.is_some() { to(None) } else { String::new() };
    let running = reads.running_operations(1).await?;
    let is_behind = running.iter().any(|operation| operation.action == OperationAction::Group);
    answer(&Groups { frame, groups: found, by_count, first, next, is_behind })
}

async fn records(state: &State, frame: Frame, parameters: &Parameters) -> Answer {
    let (filter, given) = which(parameters)?;
    let found = state.reads().search(&filter, page::before(parameters)?, RECORDS).await?;
    let group = group(state, &filter).await?;
    let matching = dead_letter::would_be_about(&state.pool, &filter, COUNTED).await?;
    let with = |more: &[(&str, &str)], path| address(path, given.iter().map(pair).chain(more.iter().copied()));
    let next = found.next.map(|next| with(&[("cursor", &cursor::encode(next))], "/dead-letters")).unwrap_or_default();
    let first = parameters.get("cursor").map(|_| with(&[], "/dead-letters")).unwrap_or_default();
    answer(&Records {
        group,
        matching: counted(matching),
        redrive_all: with(&[("action", "redrive")], "/dead-letters/all"),
        discard_all: with(&[("action", "discard")], "/dead-letters/all"),
        filter: given.clone(),
        first,
        next,
        records: found.records,
        searched_until: found.searched_until.map(|at| frame.moment(&at)),
        frame,
    })
}

/// The group that a filter names.
async fn group(state: &State, filter: &Filter) -> Result<Option<Group>, Problem> {
    let Some(name) = &filter.group else { return Ok(None) };
    let one = GroupFilter { group: Some(name.clone()), ..GroupFilter::default() };
    Ok(state.reads().groups(&one, GroupOrder::default(), 1).await?.pop())
}

fn pair((name, value): &(String, String)) -> (&str, &str) {
    (name, value)
}

/// The filter among these parameters, and what was given of it.
fn which(parameters: &Parameters) -> Result<(Filter, Vec<(String, String)>), Problem> {
    let filters = || parameters.pairs().filter(|(name, _)| NAMES.contains(name));
    let mut filter = filter::read(filters()).map_err(|wrong| Problem::of(Code::BadParameter, wrong))?;
    let given = filters().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    confine(&mut filter, Code::BadParameter)?;
    Ok((filter, given))
}
