//! Plain forms: reading what was filled in, and the way back to the page with a notice.

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE, LOCATION};
use actix_web::web::Payload as Body;
use actix_web::{HttpRequest, HttpResponse};

use crate::api::problem::{Code, Problem};
use crate::api::query::Parameters;
use crate::api::{State, body};

const MEDIA_TYPE: &str = "application/x-www-form-urlencoded";

/// The fields of a form; one that is empty counts as absent.
pub(crate) async fn fields(
    state: &State,
    request: &HttpRequest,
    body: Body,
    known: &[&str],
) -> Result<Parameters, Problem> {
    // Its grammar is that of a query; what is not ASCII in it is percent-encoded.
    Parameters::parse(&text(request, body, state).await?, known)
}

/// The same, with what was chosen of a list: the values of all fields of one name, which is none of the others'.
pub(crate) async fn fields_and_chosen(
    state: &State,
    request: &HttpRequest,
    body: Body,
    known: &[&str],
    chosen: &str,
) -> Result<(Parameters, Vec<String>), Problem> {
    let text = text(request, body, state).await?;
    let name = format!("{chosen}=");
    let (many, others): (Vec<&str>, Vec<&str>) = text.split('&').partition(|pair| pair.starts_with(&name));
    let values = many.iter().map(|pair| pair[name.len()..].to_owned()).collect();
    Ok((Parameters::parse(&others.join("&"), known)?, values))
}

/// The fields as they were sent.
pub(super) async fn text(request: &HttpRequest, body: Body, state: &State) -> Result<String, Problem> {
    let bytes = body::read(request, body, state.config.body_limit).await?;
    let given = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if given.split(';').next().map(str::trim) != Some(MEDIA_TYPE) {
        let detail = format!("`{given}` is not read here; a form is sent as `{MEDIA_TYPE}`");
        return Err(Problem::new(Code::UnsupportedContentType, detail));
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The way back to where the form was, or to `otherwise`; with a notice, a word of `notice.rs`.
pub(crate) fn back(fields: &Parameters, otherwise: &str, notice: Option<&str>) -> HttpResponse {
    let place = fields.get("back").filter(|place| is_ours(place)).unwrap_or(otherwise);
    let place = match notice {
        Some(word) => format!("{place}{}notice={word}", if place.contains('?') { '&' } else { '?' }),
        None => place.to_owned(),
    };
    HttpResponse::SeeOther().insert_header((LOCATION, place)).insert_header((CACHE_CONTROL, "no-store")).finish()
}

/// Whether it is a path of this server: a form may not send people elsewhere.
fn is_ours(place: &str) -> bool {
    place.starts_with('/')
        && !place.starts_with("//")
        && place.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(back: &str, notice: Option<&str>) -> String {
        let fields = Parameters::parse(&format!("back={back}"), &["back"]).unwrap();
        super::back(&fields, "/handlers", notice).headers().get(LOCATION).unwrap().to_str().unwrap().to_owned()
    }

    #[test]
    fn the_way_back_stays_on_this_server() {
        assert_eq!(place("/events%3Fstatus%3DPENDING", None), "/events?status=PENDING");
        for elsewhere in ["https://example.org", "//example.org", "/%5Cexample.org", "javascript:1", "/a%0d%0ab", ""] {
            assert_eq!(place(elsewhere, None), "/handlers", "{elsewhere}");
        }
    }

    #[test]
    fn a_notice_goes_with_it() {
        assert_eq!(place("/a", Some("handler-paused")), "/a?notice=handler-paused");
        assert_eq!(place("/a%3Fb%3D1", Some("handler-paused")), "/a?b=1&notice=handler-paused");
    }
}
