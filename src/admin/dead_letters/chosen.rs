//! The dead letters that were chosen on a page: each is changed by itself, and what cannot be is left as it is.

use actix_web::HttpRequest;
use actix_web::web::{Data, Payload as Body};
use uuid::Uuid;

use crate::admin::form;
use crate::api::operator::{carry_out, of_form};
use crate::api::query::bad;
use crate::api::{Answer, State};
use crate::dead_letter;

/// So many can be chosen at once.
const MOST: usize = 1_000;

/// Redrives or discards them.
pub(in crate::admin) async fn change(state: Data<State>, request: HttpRequest, body: Body) -> Answer {
    let known = ["action", "reason", "back"];
    let (fields, chosen) = form::fields_and_chosen(&state, &request, body, &known, "id").await?;
    let ids: Result<Vec<Uuid>, _> = chosen.iter().map(|id| Uuid::parse_str(id)).collect();
    let ids = ids.map_err(|_| bad("id", "`id` is the id of a record"))?;
    if ids.len() > MOST {
        return Err(bad("id", format!("no more than {MOST} records are changed like this; choose all that match")));
    }
    let discards = match fields.get("action") {
        Some("redrive") => false,
        Some("discard") => true,
        _ => return Err(bad("action", "`action` is `redrive` or `discard`")),
    };
    if ids.is_empty() {
        return Ok(form::back(&fields, "/dead-letters", Some("nothing-chosen")));
    }
    let (pool, operator) = (state.pool.clone(), of_form(&request, &fields));
    let changing = async move {
        let mut changed = 0_u64;
        for id in ids {
            let done = if discards {
                dead_letter::discard(&pool, id, &operator).await
            } else {
                dead_letter::redrive(&pool, id, &operator).await
            };
            match done {
                Ok(()) => changed += 1,
                Err(error @ (dead_letter::Error::Ledger(_) | dead_letter::Error::Read(_))) => return Err(error),
                // Somebody else was faster, or nobody handles it.
                Err(_) => {}
            }
        }
        Ok(changed)
    };
    let changed: u64 = carry_out(changing).await?;
    let word = if discards { "records-discarded" } else { "records-redriven" };
    Ok(form::back(&fields, "/dead-letters", Some(&format!("{word}&count={changed}"))))
}
