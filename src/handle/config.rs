//! `[[handler]]`: a built-in handler bound to event types.
//!
//! Plain values only. What a kind wants beside the keys that all handlers have stays in `options`, for the kind itself
//! to decode. Secrets among them are never printed.

use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};
use toml::{Table, Value};

use crate::config::written;
use crate::retry::RetryOverride;

/// One handler.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Config {
    /// What it is called in the ledger, the API and the logs.
    pub name: String,
    /// Which built-in handler it is, such as `webhook`.
    pub kind: String,
    /// The patterns of the event types that it handles. A `*` at the end matches the rest of the type, alone it matches
    /// everything; the most specific pattern wins.
    #[serde(default)]
    pub types: Vec<String>,
    /// How many of its attempts run at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = Config::DEFAULT_CONCURRENCY))]
    pub concurrency: Option<usize>,
    /// How many of its waiting events are kept in memory; as in `[pool]` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue_capacity: Option<usize>,
    /// How long a run may take; as in `[timeouts]` if absent.
    #[serde(default, with = "humantime_serde", skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "written::duration")]
    pub timeout: Option<Duration>,
    /// What differs from `[retry]`; a key that is absent is as there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<RetryOverride>,
    /// All other keys, for the kind to decode. Secrets are left out when it is serialized.
    #[serde(flatten, serialize_with = "serialize_options")]
    #[schemars(skip)]
    pub options: Table,
}

impl Config {
    /// The concurrency of a handler that names none.
    pub const DEFAULT_CONCURRENCY: usize = 10;

    /// The keys that every handler has, whatever its kind.
    pub const KEYS: [&'static str; 7] = ["name", "kind", "types", "concurrency", "queue_capacity", "timeout", "retry"];

    /// What is shown in the place of a secret.
    pub(crate) const REDACTED: &'static str = "[redacted]";

    /// Whether the value of an option with this name may not be shown.
    #[must_use]
    pub fn is_secret(key: &str) -> bool {
        const WORDS: [&str; 6] = ["secret", "password", "passphrase", "token", "authorization", "credential"];
        let key = key.to_ascii_lowercase().replace('-', "_");
        WORDS.iter().any(|word| key.contains(word))
            || key.ends_with("api_key")
            || key.ends_with("private_key")
            || key.ends_with("key.pem")
    }

    /// A URL such as `smtp://user:password@host?token=1` without the secrets that it carries inside; other text as it
    /// is.
    pub(crate) fn without_secrets(text: &str) -> String {
        let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let rest = match rest[..end].rfind('@') {
            Some(at) => format!("{}{}", Self::REDACTED, &rest[at..]),
            None => rest.to_owned(),
        };
        let (place, query) = rest.split_once('?').map_or((rest.as_str(), None), |(place, query)| (place, Some(query)));
        let place = if matches!(scheme, "http" | "https") { without_tokens(place) } else { place.to_owned() };
        let Some(query) = query else { return format!("{scheme}://{place}") };
        let shown = |pair: &str| match pair.split_once('=') {
            Some((name, _)) if Self::is_secret(name) => format!("{name}={}", Self::REDACTED),
            _ => pair.to_owned(),
        };
        format!("{scheme}://{place}?{}", query.split('&').map(shown).collect::<Vec<_>>().join("&"))
    }
}

/// From this length on a segment of a web address's path counts as a secret: chat services give webhooks whose path is
/// all that is needed to post, and what is that long is no word.
const TOKEN: usize = 16;

/// A host and its path, with what may be a token left out.
fn without_tokens(place: &str) -> String {
    let mut segments = place.split('/');
    let host = segments.next().unwrap_or_default().to_owned();
    segments.fold(host, |shown, segment| {
        let segment = if segment.len() < TOKEN { segment } else { Config::REDACTED };
        format!("{shown}/{segment}")
    })
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("name", &self.name)
            .field("kind", &self.kind)
            .field("types", &self.types)
            .field("concurrency", &self.concurrency)
            .field("queue_capacity", &self.queue_capacity)
            .field("timeout", &self.timeout)
            .field("retry", &self.retry)
            .field("options", &redacted(&self.options))
            .finish()
    }
}

fn serialize_options<S: Serializer>(options: &Table, serializer: S) -> Result<S::Ok, S::Error> {
    redacted(options).serialize(serializer)
}

fn redacted(options: &Table) -> Table {
    let hide = |key: &String, value: &Value| match value {
        _ if Config::is_secret(key) => Value::String(Config::REDACTED.to_owned()),
        other => redacted_value(other),
    };
    options.iter().map(|(key, value)| (key.clone(), hide(key, value))).collect()
}

fn redacted_value(value: &Value) -> Value {
    match value {
        Value::Table(table) => Value::Table(redacted(table)),
        Value::Array(items) => Value::Array(items.iter().map(redacted_value).collect()),
        Value::String(text) => Value::String(Config::without_secrets(text)),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handler() -> Config {
        toml::from_str(
            r#"
            name = "billing"
            kind = "webhook"
            types = ["order.paid"]
            secret = "whsec_hidden"
            url = "https://bob:hidden@example.org/a@b/T0/hidden0123456789?x=1&access_token=hidden"
            smtp = { Password = "hidden", port = 25 }
            list = [{ api-key = "hidden" }]
            "#,
        )
        .unwrap()
    }

    #[test]
    fn what_only_the_kind_knows_is_kept_for_it() {
        let keys: Vec<String> = handler().options.keys().cloned().collect();
        assert_eq!(keys, ["list", "secret", "smtp", "url"]);
    }

    #[test]
    fn secrets_show_neither_in_debug_nor_when_serialized() {
        let (debug, text) = (format!("{:?}", handler()), toml::to_string(&handler()).unwrap());
        for printed in [debug, text] {
            assert!(!printed.contains("hidden"), "{printed}");
            assert!(
                printed.contains("25")
                    && printed.contains("@example.org/a@b/T0/[redacted]?x=1&access_token=[redacted]"),
                "{printed}"
            );
        }
    }

    #[test]
    fn the_common_keys_are_the_fields() {
        let full = Config {
            concurrency: Some(1),
            queue_capacity: Some(1),
            timeout: Some(Duration::from_secs(1)),
            retry: Some(RetryOverride::default()),
            ..Config::default()
        };
        let keys: Vec<String> = Table::try_from(full).unwrap().keys().cloned().collect();
        let mut expected = Config::KEYS.to_vec();
        expected.sort_unstable();
        assert_eq!(keys, expected);
    }
}
