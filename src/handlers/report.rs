//! Makes reports: the ledger in a period, or the rows that come with the event, as CSV and as a page.
//!
//! Each file appears as a whole or not at all, and when all are there, an event says so. No name leads out of the
//! directory. Files are written on tokio's threads for that, never on the actor's: a slow disk delays its own report
//! only.

mod cell;
mod csv;
mod draft;
mod finished;
mod html;
mod ledger;
mod name;
mod options;
mod request;
mod rows;
mod sheet;
mod temporary;
#[cfg(test)]
mod tests;

pub use finished::FINISHED;
pub use options::{Error, Format, Options};

use std::sync::Arc;

use actix::{Actor, Context, Handler, ResponseFuture};

use self::cell::Cell;
use self::draft::{Draft, Plan};
use self::ledger::Question;
use self::request::{Content, Request};
use self::rows::Table;
use self::sheet::{Heading, Totals};
use self::temporary::{Owner, Unwritten};
use super::Means;
use crate::event::Payload;
use crate::handle::{Attempt, Bind, Deliver, HandlerError, Registration};

/// How many rows are read and written at a time.
const PAGE: usize = 500;

/// The handler of kind `report`.
#[derive(Debug)]
pub struct Report {
    options: Arc<Options>,
    means: Means,
}

impl Report {
    /// A handler with these options, which have been checked.
    #[must_use]
    pub fn new(options: Options, means: Means) -> Self {
        Self { options: Arc::new(options), means }
    }

    /// The same, as often as its actor has to be made.
    pub(super) fn registration(bind: Bind, options: Options, means: &Means) -> Registration {
        let means = means.clone();
        Registration::actor(bind, "report", move || Self::new(options.clone(), means.clone()))
    }
}

impl Actor for Report {
    type Context = Context<Self>;
}

impl Handler<Deliver<Payload>> for Report {
    type Result = ResponseFuture<Result<(), HandlerError>>;

    fn handle(&mut self, delivery: Deliver<Payload>, _: &mut Context<Self>) -> Self::Result {
        Box::pin(make(Arc::clone(&self.options), self.means.clone(), delivery))
    }
}

/// The whole of it: read the request, write the files, give them their names, say so.
async fn make(options: Arc<Options>, means: Means, delivery: Deliver<Payload>) -> Result<(), HandlerError> {
    let Deliver { event, attempt } = &delivery;
    if event.event_type == FINISHED {
        // It would send the next one when it is done, and so on for ever.
        return Err(HandlerError::invalid(format!("`{FINISHED}` asks for no report: bind it to another handler")));
    }
    let request = Request::read(&event.data).map_err(HandlerError::invalid)?;
    let plan = plan(&options, &means, &request, attempt);
    let finished = finished::event(&request, &delivery, &options, &plan.formats)?;
    let draft = off_thread(move || Draft::begin(&plan)).await?;
    let (draft, totals) = match request.content {
        Content::Rows(table) => write_rows(draft, table).await?,
        Content::Ledger(question) => write_ledger(draft, &question, &means, attempt).await?,
    };
    let rows = totals.rows;
    // Two steps: an attempt that is given up while its bytes go to disk gives no names any more.
    let closed = off_thread(move || draft.close(&totals)).await?;
    off_thread(move || closed.publish()).await?;
    means.emitter.emit(finished.extension("rows", rows)).await?;
    Ok(())
}

fn plan(options: &Options, means: &Means, request: &Request, attempt: &Attempt) -> Plan {
    let (about, columns) = match &request.content {
        Content::Rows(table) => (None, table.columns.clone()),
        Content::Ledger(question) => (Some(question.about()), question.columns.clone()),
    };
    let title = request.title.clone().unwrap_or_else(|| request.name.to_string());
    Plan {
        folder: options.directory.clone(),
        name: request.name.clone(),
        formats: request.formats.clone().unwrap_or_else(|| options.formats.clone()),
        owner: Owner { record: attempt.record_id, attempt: attempt.id },
        again: attempt.number > 1,
        heading: Heading { title, about, made_at: means.clock.now(), columns },
    }
}

async fn write_rows(mut draft: Draft, table: Table) -> Result<(Draft, Totals), HandlerError> {
    let mut totals = Totals::default();
    for page in table.pages(PAGE) {
        totals.count(page.len());
        draft = off_thread(move || draft.write(&page)).await?;
    }
    Ok((draft, totals))
}

async fn write_ledger(
    mut draft: Draft,
    question: &Question,
    means: &Means,
    attempt: &Attempt,
) -> Result<(Draft, Totals), HandlerError> {
    let reads = means.persist.reads();
    let (mut totals, mut last) = (Totals::default(), None);
    loop {
        // Up to the request itself: what is accepted meanwhile would let a report run behind the ledger for ever.
        let records = reads.oldest_first(&question.filter, last, attempt.record_id, PAGE as u64).await?;
        let Some(newest) = records.last() else { return Ok((draft, totals)) };
        last = Some(newest.id);
        totals.count_records(&records);
        let page = records.iter().map(|record| question.cells(record)).collect::<Result<Vec<Vec<Cell>>, _>>()?;
        draft = off_thread(move || draft.write(&page)).await?;
    }
}

/// Does a step where blocking is allowed. A step that has begun runs to its end, also when its attempt is given up; what
/// it returns is dropped then, and the files with it.
async fn off_thread<T: Send + 'static>(
    step: impl FnOnce() -> Result<T, Unwritten> + Send + 'static,
) -> Result<T, HandlerError> {
    Ok(tokio::task::spawn_blocking(step).await??)
}
