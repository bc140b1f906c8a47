//! What pages load: a style sheet, scripts that only enhance, an icon. All of it is in this program.
//!
//! The files are one set, and the set's hash is in their paths: a browser may keep them for ever, and modules find each
//! other by plain relative names. Nothing here comes from another host.

use std::sync::LazyLock;

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use actix_web::{HttpRequest, HttpResponse};
use rust_embed::RustEmbed;
use sha2::{Digest, Sha256};

use crate::api::Answer;
use crate::api::problem::Problem;

#[derive(RustEmbed)]
#[folder = "assets/"]
struct Files;

/// Changes with any of the files.
static SET: LazyLock<String> = LazyLock::new(|| {
    let mut names: Vec<_> = Files::iter().collect();
    names.sort_unstable();
    let mut hash = Sha256::new();
    for name in names {
        hash.update(name.as_bytes());
        hash.update(Files::get(&name).map(|file| file.metadata.sha256_hash()).unwrap_or_default());
    }
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
});

/// Where a file is served.
pub(super) fn url(name: &str) -> String {
    format!("/assets/{}/{name}", *SET)
}

/// Serves a file of the set.
pub(super) async fn file(request: HttpRequest) -> Answer {
    let (set, name) = (request.match_info().query("set"), request.match_info().query("file"));
    // A page of another version asks for what is not here any more: it has to be loaded again.
    let file = Files::get(name).filter(|_| set == *SET).ok_or_else(|| Problem::not_found("file", name))?;
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, file.metadata.mimetype()))
        .insert_header((CACHE_CONTROL, "public, max-age=31536000, immutable"))
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .body(file.data.into_owned()))
}
