//! The mail server: reaching it, and the conversation in which it takes one mail.
//!
//! Every mail has a connection of its own. An attempt that is dropped at its deadline closes it, and no half-used one
//! can be given to the next mail. Nothing is tried twice here, and nothing waits but for the server.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lettre::Message;
use lettre::transport::smtp;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Quit, Rcpt};
use lettre::transport::smtp::extension::ClientId;

use super::failure::{Failure, Fault, Step};
use super::{Options, Tls};

/// How long a connection may take to come up. The attempt's deadline bounds everything else.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How a certificate begins. lettre would take a file without any for one that trusts nobody more.
const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";

/// How long a server may take to say goodbye.
const GOODBYE_WAIT: Duration = Duration::from_secs(2);

/// Why a server cannot be used with some options. The texts do not hold the password.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A host that is none.
    #[error("`host` must be the name or the address of a host, without a scheme and a port")]
    Host,
    /// What would not stay in its command.
    #[error("`hello_name` must be the name of a host")]
    HelloName,
    /// Half of the credentials.
    #[error("`username` and `password` belong together")]
    Credentials,
    /// The password could be read on the way.
    #[error("`tls = \"none\"` would send the password in the clear to {0}; only a loopback address is near enough")]
    Clear(String),
    /// A CA file that cannot be read.
    #[error("the CA file {} cannot be read", .path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A CA file without certificates.
    #[error("the CA file {} holds no certificate", .0.display())]
    NoCertificate(PathBuf),
    /// Certificates that TLS does not take.
    #[error("TLS cannot be set up")]
    Tls(#[source] smtp::Error),
}

/// A mail server and how it is spoken to.
#[derive(Debug)]
pub struct Server {
    host: String,
    port: u16,
    security: Security,
    hello: ClientId,
    credentials: Option<Credentials>,
}

enum Security {
    StartTls(TlsParameters),
    Tls(TlsParameters),
    None,
}

impl std::fmt::Debug for Security {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::StartTls(_) => "StartTls",
            Self::Tls(_) => "Tls",
            Self::None => "None",
        })
    }
}

impl Server {
    /// Checks the options and reads the certificates that are trusted; the CA file is relative to `base_dir`.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn new(options: &Options, base_dir: &Path) -> Result<Self, Error> {
        let host = options.host.trim_start_matches('[').trim_end_matches(']').to_owned();
        if !is_name(&host) && host.parse::<IpAddr>().is_err() {
            return Err(Error::Host);
        }
        let credentials = match (&options.username, &options.password) {
            (None, None) => None,
            (Some(_), Some(_)) if options.tls == Tls::None && !is_loopback(&host) => return Err(Error::Clear(host)),
            (Some(username), Some(password)) => Some(Credentials::new(username.clone(), password.clone())),
            _ => return Err(Error::Credentials),
        };
        let security = match options.tls {
            Tls::StartTls => Security::StartTls(trust(options, &host, base_dir)?),
            Tls::Tls => Security::Tls(trust(options, &host, base_dir)?),
            Tls::None => Security::None,
        };
        let hello = match &options.hello_name {
            None => ClientId::default(),
            Some(name) if is_name(name) => ClientId::Domain(name.clone()),
            Some(_) => return Err(Error::HelloName),
        };
        Ok(Self { host, port: options.port.unwrap_or(options.tls.port()), security, hello, credentials })
    }

    /// Hands over one mail.
    ///
    /// # Errors
    /// [`Failure`]: the server did not take it, or did not say that it did.
    pub async fn send(&self, message: &Message) -> Result<(), Failure> {
        let mut connection = self.connect().await.map_err(|fault| self.failed(vec![fault]))?;
        let outcome = converse(&mut connection, message).await;
        if outcome.as_ref().err().is_none_or(|faults| faults.iter().all(Fault::leaves_the_server)) {
            say_goodbye(connection);
        }
        outcome.map_err(|faults| self.failed(faults))
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, Fault> {
        let fault = |error| Fault::at(Step::Connection, &error);
        let from_the_start = match &self.security {
            Security::Tls(parameters) => Some(parameters.clone()),
            Security::StartTls(_) | Security::None => None,
        };
        let place = (self.host.as_str(), self.port);
        let connecting =
            AsyncSmtpConnection::connect_tokio1(place, Some(CONNECT_TIMEOUT), &self.hello, from_the_start, None);
        let mut connection = connecting.await.map_err(fault)?;
        if let Security::StartTls(parameters) = &self.security {
            connection.starttls(parameters.clone(), &self.hello).await.map_err(fault)?;
        }
        if let Some(credentials) = &self.credentials {
            let login = connection.auth(DEFAULT_MECHANISMS, credentials);
            login.await.map_err(|error| Fault::at(Step::Login, &error))?;
        }
        Ok(connection)
    }

    fn failed(&self, faults: Vec<Fault>) -> Failure {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        Failure { server: format!("{host}:{}", self.port), faults }
    }
}

/// Sender, recipients, content. lettre has this in one call, which gives up at the first recipient that is refused and
/// does not say which, and waits for the server's goodbye with an answer that must not get lost in a timeout.
async fn converse(connection: &mut AsyncSmtpConnection, message: &Message) -> Result<(), Vec<Fault>> {
    let failed = |step: Step| move |error: smtp::Error| vec![Fault::at(step, &error)];
    let envelope = message.envelope();
    if let Some(sender) = envelope.from() {
        let command = Mail::new(Some(sender.clone()), Vec::new());
        connection.command(command).await.map_err(failed(Step::Sender(sender.clone())))?;
    }
    let mut faults = Vec::new();
    for recipient in envelope.to() {
        let Err(error) = connection.command(Rcpt::new(recipient.clone(), Vec::new())).await else { continue };
        faults.push(Fault::at(Step::Recipient(recipient.clone()), &error));
        if !faults.iter().all(Fault::leaves_the_server) {
            break;
        }
    }
    // All or nobody: who has got the mail must not get it again because somebody else has not.
    if !faults.is_empty() {
        return Err(faults);
    }
    connection.command(Data).await.map_err(failed(Step::Content))?;
    connection.message(&message.formatted()).await.map_err(failed(Step::Content))?;
    Ok(())
}

/// The server's answer is known by now, so that nobody waits for this.
fn say_goodbye(mut connection: AsyncSmtpConnection) {
    let goodbye = async move {
        // Whatever comes of it, the connection is closed.
        drop(tokio::time::timeout(GOODBYE_WAIT, connection.command(Quit)).await);
    };
    drop(actix::spawn(goodbye));
}

fn trust(options: &Options, host: &str, base_dir: &Path) -> Result<TlsParameters, Error> {
    let mut parameters = TlsParameters::builder(host.to_owned());
    if let Some(file) = &options.ca_file {
        let path = base_dir.join(file);
        let pem = fs::read(&path).map_err(|source| Error::CaFile { path: path.clone(), source })?;
        if !pem.windows(BEGIN.len()).any(|window| window == BEGIN) {
            return Err(Error::NoCertificate(path));
        }
        parameters = parameters.add_root_certificate(Certificate::from_pem(&pem).map_err(Error::Tls)?);
    }
    parameters.build().map_err(Error::Tls)
}

fn is_loopback(host: &str) -> bool {
    // RFC 6761: this name never leaves the machine.
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn is_name(host: &str) -> bool {
    !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(change: impl FnOnce(&mut Options)) -> Result<Server, String> {
        let mut options = Options { host: "mail.example.org".into(), ..Options::default() };
        change(&mut options);
        Server::new(&options, Path::new("/nowhere")).map_err(|error| format!("{:#}", anyhow::Error::from(error)))
    }

    fn login(options: &mut Options) {
        (options.username, options.password) = (Some("ada".into()), Some("hunter2".into()));
    }

    #[test]
    fn a_password_goes_over_tls_or_stays_on_the_machine() {
        server(login).unwrap();
        for (host, fine) in [("127.0.0.1", true), ("[::1]", true), ("localhost", true), ("192.0.2.1", false)] {
            let made = server(|options| {
                login(options);
                (options.host, options.tls) = (host.into(), Tls::None);
            });
            assert_eq!(made.is_ok(), fine, "{host}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_without_the_password() {
        let file = |name: &str| Some(name.into());
        let wrong = [
            server(|options| options.host = "smtp://mail.example.org".into()),
            server(|options| options.password = Some("hunter2".into())),
            server(|options| {
                login(options);
                options.tls = Tls::None;
            }),
            server(|options| options.hello_name = Some("a\r\nb".into())),
            server(|options| options.ca_file = file("ca.pem")),
            server(|options| options.ca_file = file(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))),
        ];
        let wrong = wrong.map(|made| made.unwrap_err().replace(env!("CARGO_MANIFEST_DIR"), "HERE"));
        insta::assert_snapshot!(wrong.join("\n"), @r#"
        `host` must be the name or the address of a host, without a scheme and a port
        `username` and `password` belong together
        `tls = "none"` would send the password in the clear to mail.example.org; only a loopback address is near enough
        `hello_name` must be the name of a host
        the CA file /nowhere/ca.pem cannot be read: No such file or directory (os error 2)
        the CA file HERE/Cargo.toml holds no certificate
        "#);
    }

    #[test]
    fn debug_output_does_not_hold_the_password() {
        let printed = format!("{:?}", server(login).unwrap());
        assert!(!printed.contains("hunter2"), "{printed}");
    }
}
