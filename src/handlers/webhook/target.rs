//! Where a webhook's events go: its options, checked once and before anything starts.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::Resolve;
use reqwest::{Client, Url, redirect};
use schemars::JsonSchema;
use serde::Deserialize;

use super::address::refusal;
use super::resolver::PublicOnly;
use super::signature::{Secret, SecretError};

/// How long a connection may take to come up, TLS included. The attempt's deadline bounds everything else.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Posts each event to a URL, signed if there is a secret.
#[derive(Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// Where the events are posted: `http` or `https`.
    pub url: String,
    /// The key of the signature, `whsec_` and then base64; without one nothing is signed.
    pub secret: Option<String>,
    /// Whether the URL may lead to loopback and private addresses.
    #[serde(default)]
    pub allow_private: bool,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("url", &Url::parse(&self.url).map_or_else(|_| "[no URL]".to_owned(), |url| place(&url)))
            .field("secret", &self.secret.as_ref().map(|_| "[redacted]"))
            .field("allow_private", &self.allow_private)
            .finish()
    }
}

/// Why options cannot be used. The texts hold neither the secret nor more of the URL than its host.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The URL cannot be parsed.
    #[error("`url` is no URL")]
    Url(#[source] <Url as FromStr>::Err),
    /// The URL is of another protocol.
    #[error("`url` must begin with http:// or https://, not {0}:")]
    Scheme(String),
    /// The URL's host is private by itself, whatever DNS says.
    #[error("`url` leads to {host}, which is {kind}; set `allow_private = true` if that is meant")]
    Private {
        /// The host.
        host: String,
        /// What its address is.
        kind: &'static str,
    },
    /// The secret is malformed.
    #[error("`secret` cannot be used")]
    Secret(#[source] SecretError),
    /// There is no way to make requests, for lack of CA certificates for instance.
    #[error("the HTTP client cannot be set up")]
    Client(#[source] reqwest::Error),
}

/// A webhook's checked options: what its actor is made of, as often as it has to be made.
#[derive(Clone)]
pub struct Target {
    pub(super) url: Url,
    pub(super) secret: Option<Secret>,
    /// None if any address will do.
    pub(super) resolver: Option<Arc<dyn Resolve>>,
}

impl Target {
    /// Checks the options.
    ///
    /// # Errors
    /// The first thing that is wrong with them.
    pub fn new(options: &Options) -> Result<Self, Error> {
        let url = Url::parse(&options.url).map_err(Error::Url)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Error::Scheme(url.scheme().to_owned()));
        }
        if !options.allow_private {
            check_host(&url)?;
        }
        let secret = options.secret.as_deref().map(Secret::parse).transpose().map_err(Error::Secret)?;
        let resolver = (!options.allow_private).then(|| Arc::new(PublicOnly::system()) as Arc<dyn Resolve>);
        let target = Self { url, secret, resolver };
        // Each actor has a client of its own, as connections live and die with its thread. That one can be made at
        // all is better learnt now than from the first event.
        target.client().map_err(Error::Client)?;
        Ok(target)
    }

    /// A new client; its connections are kept and used again.
    pub(super) fn client(&self) -> Result<Client, reqwest::Error> {
        let mut client = Client::builder()
            .user_agent(concat!("evenkeel/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(redirect::Policy::none())
            // A proxy would resolve the name itself, past our rule.
            .no_proxy();
        if let Some(resolver) = &self.resolver {
            client = client.dns_resolver(Arc::clone(resolver));
        }
        if self.url.scheme() == "http" {
            // Without this a container without CA certificates could not even post to its neighbour.
            client = client.tls_certs_only([]);
        }
        client.build()
    }

    /// The receiver as errors name it.
    pub(super) fn place(&self) -> String {
        place(&self.url)
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target").field("url", &self.place()).field("secret", &self.secret).finish_non_exhaustive()
    }
}

/// Scheme, host and port: user, path and query of a webhook's URL are often secrets.
fn place(url: &Url) -> String {
    url.origin().ascii_serialization()
}

/// Refuses hosts that no DNS answer can make public. A connection to a literal address never asks the resolver.
fn check_host(url: &Url) -> Result<(), Error> {
    let host = url.host_str().unwrap_or_default();
    let name = host.trim_end_matches('.');
    let kind = match host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
        Ok(address) => refusal(address),
        // RFC 6761: these never leave the machine.
        Err(_) => (name == "localhost" || name.ends_with(".localhost")).then_some("loopback"),
    };
    kind.map_or(Ok(()), |kind| Err(Error::Private { host: host.to_owned(), kind }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(url: &str, secret: Option<&str>, allow_private: bool) -> Result<Target, Error> {
        let options = Options { url: url.into(), secret: secret.map(str::to_owned), allow_private };
        Target::new(&options)
    }

    #[test]
    fn private_hosts_are_refused_however_they_are_written() {
        let literals = ["127.0.0.1", "2130706433", "0x7f.1", "0177.0.0.1", "127.0.0.1.", "[::1]", "[::ffff:10.0.0.1]"];
        for host in literals.into_iter().chain(["localhost", "LOCALHOST.", "app.localhost", "169.254.169.254"]) {
            let refused = target(&format!("http://{host}:9000/hook"), None, false);
            assert!(matches!(refused, Err(Error::Private { .. })), "{host}: {refused:?}");
            target(&format!("http://{host}:9000/hook"), None, true).unwrap();
        }
    }

    #[test]
    fn public_addresses_and_names_are_accepted() {
        for url in ["http://8.8.8.8/", "http://[2606:4700:4700::1111]/", "http://hooks.example/a"] {
            target(url, None, false).unwrap();
        }
    }

    #[test]
    fn what_is_wrong_is_said_without_secrets() {
        let text = |refused: Result<Target, Error>| anyhow::Error::from(refused.unwrap_err());
        let no_url = text(target("hooks.example:hunter2/x y", None, false));
        assert_eq!(no_url.to_string(), "`url` must begin with http:// or https://, not hooks.example:");
        assert_eq!(format!("{:#}", text(target("/hook", None, false))), "`url` is no URL: relative URL without a base");
        let private = text(target("http://ada:hunter2@10.0.0.1:9000/hook", None, false));
        let refusal = "`url` leads to 10.0.0.1, which is private; set `allow_private = true` if that is meant";
        assert_eq!(private.to_string(), refusal);
        let secret = text(target("http://hooks.example/", Some("hunter2"), false));
        assert_eq!(format!("{secret:#}"), "`secret` cannot be used: it must be `whsec_` and then base64");
    }

    #[test]
    fn debug_output_holds_no_secrets() {
        let url = "http://ada:hunter2@hooks.example:81/hunter2?token=hunter2";
        let options = Options { url: url.into(), secret: Some("whsec_aHVudGVyMg==".into()), allow_private: false };
        let redacted =
            r#"Options { url: "http://hooks.example:81", secret: Some("[redacted]"), allow_private: false }"#;
        assert_eq!(format!("{options:?}"), redacted);
        let target = Target::new(&options).unwrap();
        let redacted = r#"Target { url: "http://hooks.example:81", secret: Some([redacted]), .. }"#;
        assert_eq!(format!("{target:?}"), redacted);
    }

    #[test]
    fn only_the_url_is_required_and_unknown_keys_are_refused() {
        let options: Options = toml::from_str(r#"url = "https://hooks.example/""#).unwrap();
        assert_eq!(options, Options { url: "https://hooks.example/".into(), ..Options::default() });
        assert!(toml::from_str::<Options>("secret = 'whsec_AAAA'").is_err());
        assert!(toml::from_str::<Options>("url = 'https://hooks.example/'\nsecrets = ''").is_err());
    }
}
