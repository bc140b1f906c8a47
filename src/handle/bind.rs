//! Which handler takes which types, and with what means.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::retry::RetryOverride;

/// A handler's binding: the types it takes, its name, and what it may use.
///
/// A trailing `*` in a pattern matches the rest of the type, `*` alone everything; the most specific pattern wins.
#[derive(Clone, Debug, Default)]
pub struct Bind {
    pub(crate) patterns: Vec<String>,
    pub(crate) name: Option<String>,
    pub(crate) concurrency: Option<usize>,
    pub(crate) queue_capacity: Option<usize>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) retry: Option<RetryOverride>,
}

impl Bind {
    /// Binds to a pattern, such as `order.paid` or `invoice.*`; the name is the pattern unless one is given.
    #[must_use]
    pub fn to(pattern: impl Into<String>) -> Self {
        Self { patterns: vec![pattern.into()], ..Self::default() }
    }

    /// Binds to one more pattern.
    #[must_use]
    pub fn and(mut self, pattern: impl Into<String>) -> Self {
        self.patterns.push(pattern.into());
        self
    }

    /// Names the handler: the word for it in the ledger, the API, logs and metrics.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Lets so many attempts run at once; 10 unless told.
    #[must_use]
    pub const fn concurrency(mut self, permits: usize) -> Self {
        self.concurrency = Some(permits);
        self
    }

    /// Keeps at most so many waiting events in memory; the rest waits in the ledger.
    #[must_use]
    pub const fn queue_capacity(mut self, events: usize) -> Self {
        self.queue_capacity = Some(events);
        self
    }

    /// Bounds the handler's run.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Changes parts of the retry policy.
    #[must_use]
    pub fn retry(mut self, retry: RetryOverride) -> Self {
        self.retry = Some(retry);
        self
    }

    pub(crate) fn handler_name(&self) -> String {
        self.name.clone().unwrap_or_else(|| self.patterns.join(","))
    }
}

impl From<&str> for Bind {
    fn from(pattern: &str) -> Self {
        Self::to(pattern)
    }
}

impl From<String> for Bind {
    fn from(pattern: String) -> Self {
        Self::to(pattern)
    }
}

/// Finds the handler of a type.
#[derive(Clone, Debug, Default)]
pub struct Routes {
    exact: HashMap<String, Arc<str>>,
    /// Longest prefix first; `*` alone is the empty one, and last.
    prefixes: Vec<(String, Arc<str>)>,
}

/// Why a set of bindings makes no sense.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum BindError {
    /// Two handlers of one name.
    #[error("two handlers are named `{0}`; give one of them another name")]
    SameName(String),
    /// Two handlers for one pattern.
    #[error("`{pattern}` is bound to two handlers, `{first}` and `{second}`; one event goes to one handler")]
    SamePattern {
        /// The pattern.
        pattern: String,
        /// Who had it.
        first: String,
        /// Who wanted it.
        second: String,
    },
    /// A pattern that can match nothing.
    #[error("`{0}` is no type pattern: a `*` may only stand at the end, and it may not be empty")]
    Pattern(String),
    /// No permit at all.
    #[error("handler `{0}` has a concurrency of 0 and could never run; give it at least 1")]
    NoPermit(String),
    /// A handler timeout that an attempt cannot have.
    #[error("handler `{0}` may run longer than `timeouts.processing`; lower its timeout or raise that")]
    Timeout(String),
}

impl Routes {
    /// Adds a handler's patterns.
    ///
    /// # Errors
    /// [`BindError`] for a pattern that is taken or no pattern.
    pub fn add(&mut self, name: &Arc<str>, patterns: &[String]) -> Result<(), BindError> {
        for pattern in patterns {
            let prefix = pattern.strip_suffix('*');
            if pattern.is_empty() || prefix.unwrap_or(pattern).contains('*') {
                return Err(BindError::Pattern(pattern.clone()));
            }
            let taken = match prefix {
                Some(prefix) => self.prefixes.iter().find(|(taken, _)| taken == prefix).map(|(_, name)| name),
                None => self.exact.get(pattern),
            };
            if let Some(first) = taken {
                let (first, second) = (first.to_string(), name.to_string());
                return Err(BindError::SamePattern { pattern: pattern.clone(), first, second });
            }
            match prefix {
                Some(prefix) => self.prefixes.push((prefix.to_owned(), Arc::clone(name))),
                None => drop(self.exact.insert(pattern.clone(), Arc::clone(name))),
            }
        }
        self.prefixes.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.len()));
        Ok(())
    }

    /// The handler of a type: by its whole name, else by the longest prefix.
    #[must_use]
    pub fn resolve(&self, event_type: &str) -> Option<&Arc<str>> {
        self.exact.get(event_type).or_else(|| {
            self.prefixes.iter().find(|(prefix, _)| event_type.starts_with(prefix.as_str())).map(|(_, name)| name)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes(bindings: &[(&str, &str)]) -> Result<Routes, BindError> {
        let mut routes = Routes::default();
        for (name, pattern) in bindings {
            routes.add(&Arc::from(*name), &[(*pattern).to_owned()])?;
        }
        Ok(routes)
    }

    #[test]
    fn the_most_specific_pattern_wins() {
        let routes = routes(&[("all", "*"), ("orders", "order.*"), ("paid", "order.paid")]).unwrap();
        let resolve = |event_type| routes.resolve(event_type).map(ToString::to_string);
        assert_eq!(resolve("order.paid").unwrap(), "paid");
        assert_eq!(resolve("order.paid.twice").unwrap(), "orders");
        assert_eq!(resolve("invoice").unwrap(), "all");
    }

    #[test]
    fn a_type_that_nobody_takes_has_no_handler() {
        assert_eq!(routes(&[("paid", "order.paid")]).unwrap().resolve("order.shipped"), None);
    }

    #[test]
    fn two_handlers_for_one_pattern_are_an_error() {
        assert!(matches!(routes(&[("a", "x.*"), ("b", "x.*")]), Err(BindError::SamePattern { .. })));
    }

    #[test]
    fn a_star_in_the_middle_is_no_pattern() {
        assert!(matches!(routes(&[("a", "x.*.y")]), Err(BindError::Pattern(_))));
    }
}
