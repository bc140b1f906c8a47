//! The options of a handler of kind `email`, as they are written. Nothing is judged here.

use std::fmt;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Sends a mail for each event, from templates and over SMTP.
#[derive(Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// The mail server: a name, which its certificate has to bear, or an address.
    pub host: String,
    /// Its port; 587, 465 or 25 by `tls` if absent.
    pub port: Option<u16>,
    /// How the connection is encrypted.
    #[serde(default)]
    pub tls: Tls,
    /// A PEM file of certificates to trust beside the system's, relative to the configuration file.
    pub ca_file: Option<PathBuf>,
    /// Who logs in; nobody if absent.
    pub username: Option<String>,
    /// With which password.
    pub password: Option<String>,
    /// What this machine calls itself in `EHLO`; `[127.0.0.1]` if absent.
    pub hello_name: Option<String>,
    /// Whom the mail is from, such as `Shop <shop@example.org>`.
    pub from: String,
    /// Where answers go.
    pub reply_to: Option<String>,
    /// Whom the mail is to; every entry is a template that gives one address, or nothing.
    #[serde(default)]
    pub to: Vec<String>,
    /// Who gets a copy; entries as in `to`.
    #[serde(default)]
    pub cc: Vec<String>,
    /// Who gets a copy that the others are not told of; entries as in `to`.
    #[serde(default)]
    pub bcc: Vec<String>,
    /// The template of the subject.
    pub subject: String,
    /// The file of the plain text's template, relative to the configuration file.
    pub text: Option<PathBuf>,
    /// The file of the HTML's template, relative to the configuration file. One of `text` and `html` is needed.
    pub html: Option<PathBuf>,
}

/// How a connection is encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Tls {
    /// It begins in the clear and must be encrypted before anything is said.
    #[default]
    StartTls,
    /// It is encrypted from the first byte.
    Tls,
    /// It is not.
    None,
}

impl Tls {
    /// The port where such servers listen.
    #[must_use]
    pub const fn port(self) -> u16 {
        match self {
            Self::StartTls => 587,
            Self::Tls => 465,
            Self::None => 25,
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("tls", &self.tls)
            .field("ca_file", &self.ca_file)
            .field("username", &self.username)
            .field("password", &self.password.as_ref().map(|_| "[redacted]"))
            .field("hello_name", &self.hello_name)
            .field("from", &self.from)
            .field("reply_to", &self.reply_to)
            .field("to", &self.to)
            .field("cc", &self.cc)
            .field("bcc", &self.bcc)
            .field("subject", &self.subject)
            .field("text", &self.text)
            .field("html", &self.html)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_a_sender_and_a_subject_are_required_and_other_keys_are_refused() {
        let least = "host = 'a'\nfrom = 'b@c'\nsubject = 'd'";
        let options: Options = toml::from_str(least).unwrap();
        assert_eq!((options.tls, options.tls.port()), (Tls::StartTls, 587));
        assert!(toml::from_str::<Options>("host = 'a'\nfrom = 'b@c'").is_err());
        assert!(toml::from_str::<Options>(&format!("{least}\npasword = ''")).is_err());
    }

    #[test]
    fn tls_has_three_words_and_each_its_port() {
        for (word, port) in [("starttls", 587), ("tls", 465), ("none", 25)] {
            let text = format!("host = 'a'\nfrom = 'b@c'\nsubject = 'd'\ntls = '{word}'");
            assert_eq!(toml::from_str::<Options>(&text).unwrap().tls.port(), port);
        }
    }

    #[test]
    fn the_documentation_has_every_option_and_an_example_that_is_read() {
        let page = include_str!("../../../docs/handlers.md");
        let section = page.split("\n## ").find(|section| section.starts_with("email\n")).unwrap();
        let (_, example) = section.split_once("```toml\n").unwrap();
        let loaded = crate::Config::parse(example.split_once("```").unwrap().0, "docs/handlers.md").unwrap();
        loaded.check(crate::handlers::KINDS).unwrap();
        loaded.options::<Options>(&loaded.config.handler[0]).unwrap();

        let unknown = toml::from_str::<Options>("none_of_them = 1").unwrap_err();
        let (_, keys) = unknown.message().split_once("expected one of ").unwrap();
        for key in keys.split(", ") {
            let row = |line: &str| line.starts_with('|') && line.split('|').nth(1).unwrap().contains(key);
            assert!(section.lines().any(row), "{key}");
        }
    }

    #[test]
    fn debug_output_does_not_hold_the_password() {
        let options = Options { password: Some("hunter2".into()), ..Options::default() };
        assert!(!format!("{options:?}").contains("hunter2"));
    }
}
