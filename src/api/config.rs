//! `[server]`: where HTTP is served and how much it takes.
//!
//! Plain values only: nothing here opens a port. Sizes are written as people write them, `"1MiB"`.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::written;

/// The HTTP server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Config {
    /// Where to listen, as `host:port`; port 0 takes a free one.
    pub bind: String,
    /// Whether `bind` may be an address that other machines can reach: whoever reaches it can do all that an operator can.
    pub allow_remote_without_login: bool,
    /// Names, with their ports, under which requests may come in beside those of loopback. Any other is refused, so that
    /// no web page can come in under a name of its own.
    pub allowed_hosts: Vec<String>,
    /// The largest request body.
    #[serde(with = "size")]
    #[schemars(schema_with = "written::size")]
    pub body_limit: usize,
    /// The most events in one request.
    pub batch_limit: usize,
    /// How long a shutdown waits for handlers that run; what has not ended then is run again after the start.
    #[serde(with = "humantime_serde")]
    #[schemars(schema_with = "written::duration")]
    pub shutdown_timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            bind: "127.0.0.1:8080".to_owned(),
            allow_remote_without_login: false,
            allowed_hosts: Vec::new(),
            body_limit: 1 << 20,
            batch_limit: 1_000,
            shutdown_timeout: Duration::from_secs(30),
        }
    }
}

/// Numbers of bytes: `"1MiB"`, `"500 kB"`, or a plain number.
mod size {
    use std::fmt;

    use serde::de::{Error, Unexpected, Visitor};
    use serde::{Deserializer, Serializer};

    /// The largest first, so that printing finds the shortest form.
    const UNITS: [(&str, usize); 6] =
        [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("GB", 1_000_000_000), ("MB", 1_000_000), ("KB", 1_000)];

    pub fn serialize<S: Serializer>(bytes: &usize, serializer: S) -> Result<S::Ok, S::Error> {
        match UNITS.iter().find(|(_, unit)| *bytes > 0 && bytes.is_multiple_of(*unit)) {
            Some((name, unit)) => serializer.collect_str(&format_args!("{}{name}", bytes / unit)),
            None => serializer.collect_str(bytes),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
        deserializer.deserialize_any(Size)
    }

    pub fn parse(text: &str) -> Option<usize> {
        let digits = text.trim().trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let unit = text.trim().strip_prefix(digits)?;
        let unit = match unit {
            "" | "B" => 1,
            _ => UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit))?.1,
        };
        digits.trim_end().parse::<usize>().ok()?.checked_mul(unit)
    }

    struct Size;

    impl Visitor<'_> for Size {
        type Value = usize;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a size such as \"1MiB\" or \"500KB\"")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<usize, E> {
            parse(text).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
        }

        fn visit_i64<E: Error>(self, bytes: i64) -> Result<usize, E> {
            usize::try_from(bytes).map_err(|_| E::invalid_value(Unexpected::Signed(bytes), &self))
        }

        fn visit_u64<E: Error>(self, bytes: u64) -> Result<usize, E> {
            usize::try_from(bytes).map_err(|_| E::invalid_value(Unexpected::Unsigned(bytes), &self))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        for (text, bytes) in [
            ("1MiB", Some(1 << 20)),
            ("500 kB", Some(500_000)),
            ("2gib", Some(2 << 30)),
            ("7", Some(7)),
            ("7B", Some(7)),
            ("1.5MiB", None),
            ("-1", None),
            ("MiB", None),
            ("1MiBs", None),
            ("99999999999999999999", None),
            ("99999999999999GiB", None),
        ] {
            assert_eq!(size::parse(text), bytes, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_size_reads_back_as_it_was_printed(body_limit: usize) {
            let config = Config { body_limit, ..Config::default() };
            let text = toml::to_string(&config).unwrap();
            prop_assert_eq!(toml::from_str::<Config>(&text).unwrap(), config);
        }
    }
}
