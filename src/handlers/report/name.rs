//! The name of a report. It becomes part of a file's name, so it may hold nothing that leads to another directory.

use std::fmt;

/// The longest name, in bytes: with what is added to it, it has to be the name of a file.
const MOST: usize = 100;

/// A name that is safe in a file's name: letters, digits, `.`, `_` and `-`, and no dot at its beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name(String);

impl Name {
    /// The name, if it is one; else what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        if text.is_empty() {
            Err("is empty".to_owned())
        } else if text.len() > MOST {
            Err(format!("has {} bytes; {MOST} are allowed", text.len()))
        } else if !text.bytes().all(plain) {
            Err(format!("is {text:?}, and only A-Z, a-z, 0-9, `.`, `_` and `-` are allowed in a file's name"))
        } else if text.starts_with('.') {
            Err(format!("is {text:?}, and may not begin with a dot"))
        } else {
            Ok(Self(text.to_owned()))
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Component, Path};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_that_leads_elsewhere_is_none() {
        let roads =
            ["../../x", "..", ".", "a/b", "/etc/cron.d/x", "a\\b", "C:x", ".hidden", "a\0b", "a\nb", "a b", "ä"];
        for text in roads.into_iter().chain(["", "~", "$HOME", "%2e%2e%2fx", &"x".repeat(101)]) {
            assert!(Name::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_usual_name_is_one() {
        for text in ["daily-2026-01-05", "Q1_2026.v2", "a", &"x".repeat(100)] {
            assert_eq!(Name::parse(text).unwrap().to_string(), text);
        }
    }

    proptest! {
        #[test]
        fn whatever_is_a_name_is_one_component_of_a_path(text in ".{0,12}|[./a]{1,6}") {
            if let Ok(name) = Name::parse(&text) {
                let path = format!("{name}.csv");
                let components: Vec<Component<'_>> = Path::new(&path).components().collect();
                prop_assert_eq!(components, [Component::Normal(path.as_ref())]);
            }
        }
    }
}
