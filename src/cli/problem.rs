//! What a request can come to other than its answer, in words that say what to do next.

use std::fmt;

use reqwest::StatusCode;
use serde::Serialize;
use serde_json::{Value, json};

/// How much of an answer that is no problem document is shown.
const SHOWN_BODY: usize = 300;

/// An RFC 9457 problem document, kept as it came, so that `--output json` can pass it on.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(transparent)]
pub(super) struct Problem(Value);

impl Problem {
    /// A problem that this program found by itself.
    pub fn new(title: &str, code: &str, detail: impl fmt::Display) -> Self {
        Self(json!({ "title": title, "code": code, "detail": detail.to_string() }))
    }

    /// A problem document inside of another answer.
    pub fn from_value(document: Value) -> Self {
        Self(document)
    }

    /// The problem document of an answer, or one made of what came instead, such as a proxy's error page.
    pub fn from_body(status: StatusCode, body: &[u8]) -> Self {
        if let Ok(document @ Value::Object(_)) = serde_json::from_slice(body)
            && document.get("title").is_some_and(Value::is_string)
        {
            return Self(document);
        }
        let text: String = String::from_utf8_lossy(body).trim().chars().take(SHOWN_BODY).collect();
        Self(json!({
            "title": format!("HTTP {status}"),
            "status": status.as_u16(),
            "detail": if text.is_empty() { "the answer is empty".to_owned() } else { text },
            "hint": "This does not look like Evenkeel's answer: check --url.",
        }))
    }

    /// The word for programs, if it has one.
    pub fn code(&self) -> Option<&str> {
        self.text("code")
    }

    /// The same problem with this hint and no other.
    pub fn with_own_hint(mut self, hint: &str) -> Self {
        if let Value::Object(members) = &mut self.0 {
            members.insert("hint".to_owned(), hint.into());
        }
        self
    }

    /// The same problem with a hint, unless it has one.
    pub fn with_hint(mut self, hint: &str) -> Self {
        if let Value::Object(members) = &mut self.0 {
            members.entry("hint").or_insert_with(|| hint.into());
        }
        self
    }

    fn text(&self, member: &str) -> Option<&str> {
        self.0.get(member).and_then(Value::as_str).filter(|text| !text.is_empty())
    }
}

impl fmt::Display for Problem {
    /// Title and detail, then a line for each error with its pointer, then the hint.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text("title").unwrap_or("The request was refused"))?;
        if let Some(detail) = self.text("detail") {
            write!(f, ": {detail}")?;
        }
        for error in self.0.get("errors").and_then(Value::as_array).into_iter().flatten() {
            let part = |member| error.get(member).and_then(Value::as_str).unwrap_or_default();
            write!(f, "\n  {}: {}", part("pointer"), part("detail"))?;
        }
        if let Some(hint) = self.text("hint") {
            write!(f, "\n  {hint}")?;
        }
        Ok(())
    }
}

/// Why a request has no answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// Nobody answers.
    Unreachable {
        /// Who was asked.
        url: String,
        /// What the system said.
        cause: String,
        /// Whether nobody listens there, or somebody does and is silent.
        refused: bool,
    },
    /// Somebody answers, and the answer is no.
    Refused {
        /// The status of the answer.
        status: StatusCode,
        /// What it says.
        problem: Problem,
        /// When to come back, if it says so.
        retry_after: Option<std::time::Duration>,
    },
    /// The answer is a success that this program cannot read.
    Unreadable {
        /// Who was asked.
        url: String,
        /// What is wrong with it.
        cause: String,
    },
}

impl Failure {
    /// Nobody answers: `error` has the reason at the end of its chain.
    pub fn unreachable(url: &reqwest::Url, error: &reqwest::Error) -> Self {
        let mut root: &dyn std::error::Error = error;
        while let Some(source) = root.source() {
            root = source;
        }
        let cause = if error.is_timeout() { "no answer in time".to_owned() } else { root.to_string() };
        Self::Unreachable { url: origin(url), cause, refused: error.is_connect() }
    }

    /// A success that cannot be read.
    pub fn unreadable(url: &reqwest::Url, cause: impl fmt::Display) -> Self {
        Self::Unreadable { url: origin(url), cause: cause.to_string() }
    }

    /// As a problem, to stand beside others.
    pub fn into_problem(self) -> Problem {
        match self {
            Self::Refused { problem, .. } => problem,
            other => Problem::new("No answer", "no_answer", other),
        }
    }

    /// Whether the same request may work in a moment.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Refused { status, .. } => matches!(status.as_u16(), 429 | 502 | 503 | 504),
            Self::Unreadable { .. } => false,
        }
    }
}

/// Scheme, host, port and path: a URL's user and password are for the server alone.
fn origin(url: &reqwest::Url) -> String {
    format!("{}{}", url.origin().ascii_serialization(), url.path())
}

impl fmt::Display for Failure {
    // The reason has to stand before the advice, so it is part of the text and no `source`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable { url, cause, refused: true } => write!(
                f,
                "no engine answers at {url} ({cause}). Is it running? Start one with `evenkeel dev`, or say where it \
                 is with --url or EVENKEEL_URL."
            ),
            Self::Unreachable { url, cause, .. } => {
                write!(f, "{url} does not answer ({cause}). Look at its /readyz and its log, then try again.")
            }
            Self::Refused { problem, .. } => problem.fmt(f),
            Self::Unreadable { url, cause } => write!(
                f,
                "{url} gave an answer that cannot be read ({cause}). Is it Evenkeel, and of this version? Check --url."
            ),
        }
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_told_as_title_detail_pointers_and_hint() {
        let body = json!({
            "title": "Event breaks its schema", "status": 422, "detail": "2 members are wrong",
            "errors": [{"pointer": "/data/cas", "detail": "is missing"}, {"pointer": "/data/n", "detail": "is no number"}],
            "hint": "See schemas/order.json.",
        });
        let problem = Problem::from_body(StatusCode::UNPROCESSABLE_ENTITY, body.to_string().as_bytes());
        insta::assert_snapshot!(problem, @r"
        Event breaks its schema: 2 members are wrong
          /data/cas: is missing
          /data/n: is no number
          See schemas/order.json.
        ");
    }

    #[test]
    fn a_proxys_error_page_is_told_with_its_status() {
        let problem = Problem::from_body(StatusCode::BAD_GATEWAY, b"<h1>Bad Gateway</h1>\n");
        insta::assert_snapshot!(problem, @r"
        HTTP 502 Bad Gateway: <h1>Bad Gateway</h1>
          This does not look like Evenkeel's answer: check --url.
        ");
    }
}
