//! What a page says once about what was just done.
//!
//! A form is answered with 303 and the notice's word in the query. Only words of this table are shown, never a text from
//! the address: whoever sends somebody a link cannot put words into our mouth.

macro_rules! notices {
    ($($word:literal $kind:ident $text:literal;)+) => {
        /// Every notice: its word, whether all went well, and what it says. `{}` is the number that comes with it.
        const NOTICES: &[(&str, Kind, &str)] = &[$(($word, Kind::$kind, $text),)+];
    };
}

notices! {
    "event-cancelled" Good "The event is cancelled. It will not be handled.";
    "event-redriven" Good "A new round of attempts has begun.";
    "event-discarded" Good "The dead letter is discarded. It stays in the ledger with its history.";
    "event-resubmitted" Good "This is the new event. Its original stays as it is.";
    "event-resubmitted-discarded" Good "This is the new event. Its original is discarded.";
    "event-known" Good "An event of this source and id was there before, with the same content: this one.";
    "event-sent" Good "The event is in the ledger.";
    "events-sent" Good "{} events are in the ledger.";
    "event-published" Good "The broker has the event. It is listed here once a listener has taken it in.";
    "events-published" Good "The broker has {} events. They are listed here once a listener has taken them in.";
    "records-redriven" Good "{} redriven. What had changed meanwhile, or has no handler, is left as it is.";
    "records-discarded" Good "{} discarded. What had changed meanwhile is left as it is.";
    "nothing-chosen" Good "Nothing was chosen, and nothing was changed.";
    "operation-begun" Good "The operation has begun. It goes on in the background, through restarts.";
    "operation-paused" Good "The operation waits.";
    "operation-resumed" Good "The operation goes on.";
    "operation-cancelled" Good "The operation is cancelled. What it has changed stays changed.";
    "handler-paused" Good "The handler is paused. What it has in hand ends as usual; what comes in waits.";
    "handler-resumed" Good "The handler works again.";
    "handler-restarted" Good "The handler's actor is built again. What it has in hand ends as usual.";
}

/// Whether all went well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Good,
}

/// A notice on its page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Notice {
    pub kind: Kind,
    pub text: String,
}

impl Kind {
    /// The word for the style sheet.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
        }
    }
}

impl Notice {
    /// The notice in a query, if there is one.
    pub fn of(query: &str) -> Option<Self> {
        let given = |name| query.split('&').find_map(|pair| pair.strip_prefix(name));
        let word = given(NAMES[0])?;
        let (_, kind, text) = NOTICES.iter().find(|(known, ..)| *known == word)?;
        let count: i64 = given(NAMES[1]).and_then(|count| count.parse().ok()).unwrap_or(0);
        Some(Self { kind: *kind, text: text.replace("{}", &super::shown::number(count)) })
    }
}

/// How the parameters that carry a notice begin.
const NAMES: [&str; 2] = ["notice=", "count="];

/// A query without the notice in it: what the page itself was asked for.
pub(crate) fn without_notice(query: &str) -> String {
    let asked = query.split('&').filter(|pair| !NAMES.iter().any(|name| pair.starts_with(name)));
    asked.collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_words_of_the_table_are_shown() {
        let notice = Notice::of("status=PENDING&notice=handler-paused&count=1").unwrap();
        assert!(notice.text.starts_with("The handler is paused"));
        assert_eq!(Notice::of("notice=Call+555+now"), None);
        assert_eq!(Notice::of("status=PENDING"), None);
    }

    #[test]
    fn a_page_reads_its_query_without_the_notice() {
        assert_eq!(without_notice("notice=handler-paused&status=PENDING&count=3&type=a"), "status=PENDING&type=a");
    }
}
