//! Light or dark: as the system has it, unless somebody has chosen.
//!
//! The choice is a cookie, so that a page comes in its colours at once and needs no script for it.

use actix_web::http::header::{COOKIE, SET_COOKIE};
use actix_web::web::{Data, Payload as Body};
use actix_web::{HttpRequest, HttpResponse};

use super::form;
use crate::api::{Answer, State};

/// How pages look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Theme {
    /// As the system has it.
    #[default]
    System,
    Light,
    Dark,
}

const COOKIE_NAME: &str = "evenkeel-theme";

impl Theme {
    /// What this browser has chosen.
    pub fn of(request: &HttpRequest) -> Self {
        let cookies = request.headers().get_all(COOKIE).filter_map(|cookies| cookies.to_str().ok());
        let chosen = cookies.flat_map(|cookies| cookies.split(';')).find_map(|cookie| {
            let (name, value) = cookie.trim().split_once('=')?;
            (name == COOKIE_NAME).then(|| Self::named(value))
        });
        chosen.unwrap_or_default()
    }

    fn named(word: &str) -> Self {
        match word {
            "light" => Self::Light,
            "dark" => Self::Dark,
            _ => Self::System,
        }
    }

    /// The word for the style sheet.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }
}

/// Keeps a choice.
pub(super) async fn choose(state: Data<State>, request: HttpRequest, body: Body) -> Answer {
    let fields = form::fields(&state, &request, body, &["theme", "back"]).await?;
    let theme = Theme::named(fields.get("theme").unwrap_or_default()).as_str();
    let cookie = format!("{COOKIE_NAME}={theme}; Path=/; Max-Age=31536000; SameSite=Lax; HttpOnly");
    let mut answer: HttpResponse = form::back(&fields, "/", None);
    if let Ok(cookie) = cookie.parse() {
        answer.headers_mut().insert(SET_COOKIE, cookie);
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn a_choice_is_found_among_other_cookies() {
        let of = |cookies: &str| Theme::of(&TestRequest::default().insert_header((COOKIE, cookies)).to_http_request());
        assert_eq!(of("a=b; evenkeel-theme=dark"), Theme::Dark);
        assert_eq!(of("evenkeel-theme=light"), Theme::Light);
        assert_eq!(of("evenkeel-theme=<script>"), Theme::System);
        assert_eq!(of("other=dark"), Theme::System);
    }
}
