//! How the listeners of a bus are connected: each for those who look from outside, all together for the log.
//!
//! A broker that goes away takes its listeners with it, one after the other, and each finds its own words for it. That is
//! one thing that has happened, and it is told once: when the first of them has trouble, and when none has any more.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What all listeners of one bus share; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Links(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    broker: &'static str,
    trouble: Mutex<Trouble>,
}

#[derive(Debug, Default)]
struct Trouble {
    /// It has been told, and its end has not.
    told: bool,
    /// It has been told that the broker does not let us in, which nobody mends who takes it for an outage.
    told_of_login: bool,
    /// How many listeners have some.
    listeners: usize,
}

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// It does not answer, or not as it should.
    Away,
    /// It does not let us in.
    Login,
}

/// What is to be told.
#[derive(Debug, PartialEq, Eq)]
enum News {
    Trouble,
    Over,
    Nothing,
}

impl Trouble {
    fn begins(&mut self, is_new: bool, cause: Cause) -> News {
        self.listeners += usize::from(is_new);
        let is_login = cause == Cause::Login;
        let is_told = self.told && (self.told_of_login || !is_login);
        (self.told, self.told_of_login) = (true, self.told_of_login || is_login);
        if is_told { News::Nothing } else { News::Trouble }
    }

    fn ends(&mut self, was_there: bool) -> News {
        self.listeners -= usize::from(was_there);
        if self.listeners > 0 || !self.told {
            return News::Nothing;
        }
        *self = Self::default();
        News::Over
    }
}

impl Links {
    /// Of this broker; `is_away` if that has been told already.
    pub(super) fn new(broker: &'static str, is_away: bool) -> Self {
        let trouble = Trouble { told: is_away, ..Trouble::default() };
        Self(Arc::new(Shared { broker, trouble: Mutex::new(trouble) }))
    }

    /// The place of one listener.
    pub(crate) fn link(&self) -> Link {
        Link { own: Arc::default(), all: self.clone() }
    }

    fn trouble(&self) -> MutexGuard<'_, Trouble> {
        self.0.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How a listener's connection stands, for those who look from outside; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    own: Arc<Mutex<Own>>,
    all: Links,
}

#[derive(Debug, Default)]
struct Own {
    state: LinkState,
    has_trouble: bool,
}

/// See [`Link`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LinkState {
    /// Whether it is connected.
    pub up: bool,
    /// Why it was not, the last time.
    pub last_error: Option<String>,
}

impl Link {
    /// How it stands.
    pub(crate) fn state(&self) -> LinkState {
        self.own().state.clone()
    }

    /// It is connected.
    pub(super) fn up(&self) {
        let mut own = self.own();
        own.state.up = true;
        let had_trouble = std::mem::take(&mut own.has_trouble);
        if self.all.trouble().ends(had_trouble) == News::Over {
            tracing::info!(broker = self.all.0.broker, "the broker is listened to again");
        }
    }

    /// It is not, for this reason.
    pub(super) fn down(&self, cause: Cause, why: String) {
        let mut own = self.own();
        own.state.up = false;
        let is_new = !std::mem::replace(&mut own.has_trouble, true);
        let broker = self.all.0.broker;
        match self.all.trouble().begins(is_new, cause) {
            News::Trouble => {
                tracing::warn!(broker, why, "the broker cannot be listened to; it is tried again and again")
            }
            News::Over | News::Nothing => tracing::debug!(broker, why, "a listener cannot listen to the broker"),
        }
        own.state.last_error = Some(why);
    }

    /// It has come to its end.
    pub(super) fn end(&self) {
        let mut own = self.own();
        own.state.up = false;
        let had_trouble = std::mem::take(&mut own.has_trouble);
        self.all.trouble().listeners -= usize::from(had_trouble);
    }

    fn own(&self) -> MutexGuard<'_, Own> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_all_listeners_find_out_is_told_once_and_its_end_when_it_is_over_for_all() {
        let mut trouble = Trouble::default();
        let found = [true, true, false].map(|is_new| trouble.begins(is_new, Cause::Away));
        assert_eq!(found, [News::Trouble, News::Nothing, News::Nothing]);
        let over = [false, true, true, false].map(|was_there| trouble.ends(was_there));
        assert_eq!(over, [News::Nothing, News::Nothing, News::Over, News::Nothing]);
        assert_eq!(trouble.begins(true, Cause::Away), News::Trouble);
    }

    #[test]
    fn that_the_broker_does_not_let_us_in_is_news_also_where_it_was_away_before() {
        let mut trouble = Trouble { told: true, ..Trouble::default() };
        let causes = [Cause::Away, Cause::Login, Cause::Login, Cause::Away];
        let told = causes.map(|cause| trouble.begins(false, cause));
        assert_eq!(told, [News::Nothing, News::Trouble, News::Nothing, News::Nothing]);
        assert_eq!((trouble.ends(false), trouble.ends(false)), (News::Over, News::Nothing));
    }

    #[test]
    fn a_listener_that_ends_in_trouble_takes_its_trouble_along() {
        let links = Links::new("kafka", false);
        let (ended, other) = (links.link(), links.link());
        ended.down(Cause::Away, "gone".to_owned());
        ended.end();
        assert_eq!((ended.state().last_error.as_deref(), links.trouble().listeners), (Some("gone"), 0));
        other.up();
        assert!(other.state().up && !links.trouble().told);
    }
}
