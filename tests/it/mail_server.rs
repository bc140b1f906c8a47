//! A mail server inside the test: real SMTP over real sockets, with manners to order.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use mailin::{Action, AuthMechanism, Handler, Response, Session, SessionBuilder};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;

use crate::harness::eventually;

/// How a server treats a connection.
#[derive(Clone, Copy, Debug)]
pub enum Manner {
    /// It takes the mail.
    Takes,
    /// It refuses these, with a code and a text: a sender, recipients, or `.` for the mail itself.
    Refuses(&'static [(&'static str, u16, &'static str)]),
    /// It takes the connection and says nothing at all.
    Silent,
    /// It takes the mail, and never says so.
    NeverAnswers,
    /// It is gone in the middle of the mail.
    HangsUp,
    /// It takes the mail, and does not answer the goodbye.
    NeverSaysGoodbye,
}

/// What a server offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer {
    Clear,
    StartTls,
    Tls,
    /// STARTTLS, and it wants the password `hunter2`.
    Login,
}

/// A mail as the server got it.
#[derive(Clone, Debug, Default)]
pub struct Received {
    pub hello: String,
    pub encrypted: bool,
    pub login: Option<String>,
    pub from: String,
    pub to: Vec<String>,
    pub content: Vec<u8>,
}

#[derive(Default)]
struct Seen {
    mails: Mutex<Vec<Received>>,
    opened: AtomicUsize,
    closed: AtomicUsize,
}

/// The server; it listens until the test ends.
pub struct MailServer {
    pub address: SocketAddr,
    /// What its certificate, which is for `localhost`, can be checked with, as PEM.
    pub certificate: String,
    seen: Arc<Seen>,
}

impl MailServer {
    /// A server that treats its first connections so, and all further ones like the last of them.
    pub async fn start(offer: Offer, manners: &'static [Manner]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (certificate, acceptor) = certificate();
        let seen = Arc::new(Seen::default());
        let witness = Arc::clone(&seen);
        actix::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let nth = witness.opened.fetch_add(1, Ordering::SeqCst);
                let manner = manners[nth.min(manners.len() - 1)];
                let (witness, acceptor) = (Arc::clone(&witness), acceptor.clone());
                actix::spawn(async move {
                    serve(stream, offer, manner, &witness, acceptor).await;
                    witness.closed.fetch_add(1, Ordering::SeqCst);
                });
            }
        });
        Self { address, certificate, seen }
    }

    /// The mails that it has got to their end, whatever it answered.
    pub fn mails(&self) -> Vec<Received> {
        self.seen.mails.lock().unwrap().clone()
    }

    /// The only one.
    pub fn mail(&self) -> Received {
        let mails = self.mails();
        assert_eq!(mails.len(), 1, "{mails:?}");
        mails[0].clone()
    }

    /// How many connections there were.
    pub fn connections(&self) -> usize {
        self.seen.opened.load(Ordering::SeqCst)
    }

    /// Waits until it has so many mails.
    pub async fn until_mails(&self, count: usize) {
        eventually("the mails arrive", async || (self.mails().len() >= count).then_some(())).await;
    }

    /// Waits until so many connections have come and gone.
    pub async fn until_closed(&self, count: usize) {
        let closed = || self.seen.closed.load(Ordering::SeqCst) >= count;
        eventually("the connections are closed", async || closed().then_some(())).await;
    }
}

fn certificate() -> (String, TlsAcceptor) {
    let name = "localhost".to_owned();
    let rcgen::CertifiedKey { cert, signing_key } = rcgen::generate_simple_self_signed([name]).unwrap();
    let key = PrivatePkcs8KeyDer::from(signing_key.serialize_der());
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key.into())
        .unwrap();
    (cert.pem(), TlsAcceptor::from(Arc::new(config)))
}

trait Wire: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Wire for T {}

/// One connection, to its end.
async fn serve(stream: TcpStream, offer: Offer, manner: Manner, seen: &Arc<Seen>, acceptor: TlsAcceptor) {
    let mut wire: Box<dyn Wire> = Box::new(stream);
    let mut session = session(offer, manner, seen);
    if offer == Offer::Tls {
        // Who does not trust the certificate ends it here.
        let Ok(encrypted) = acceptor.accept(wire).await else { return };
        wire = Box::new(encrypted);
        session.tls_active();
    }
    let mut wire = BufReader::new(wire);
    if matches!(manner, Manner::Silent) {
        return until_gone(&mut wire).await;
    }
    wire.write_all(&session.greeting().buffer().unwrap()).await.unwrap();
    let mut within_mail = false;
    loop {
        let mut line = Vec::new();
        if wire.read_until(b'\n', &mut line).await.unwrap_or(0) == 0 {
            return;
        }
        if within_mail && matches!(manner, Manner::HangsUp) {
            return;
        }
        let answer = session.process(&line);
        let mail_is_over = within_mail && answer.action != Action::NoReply;
        within_mail = answer.code == 354 || (within_mail && !mail_is_over);
        match manner {
            Manner::NeverAnswers if mail_is_over => return until_gone(&mut wire).await,
            Manner::NeverSaysGoodbye if answer.code == 221 => return until_gone(&mut wire).await,
            _ => {}
        }
        // Who has left does not want an answer.
        if wire.write_all(&answer.buffer().unwrap()).await.is_err() || answer.action == Action::Close {
            return;
        }
        if answer.action == Action::UpgradeTls {
            let Ok(encrypted) = acceptor.accept(wire.into_inner()).await else { return };
            wire = BufReader::new(Box::new(encrypted));
            session.tls_active();
        }
    }
}

async fn until_gone(wire: &mut BufReader<Box<dyn Wire>>) {
    let mut rest = Vec::new();
    // A connection that is reset has gone as well.
    drop(wire.read_to_end(&mut rest).await);
}

fn session(offer: Offer, manner: Manner, seen: &Arc<Seen>) -> Session<Clerk> {
    let mut builder = SessionBuilder::new("mail.test");
    if offer != Offer::Clear {
        builder.enable_start_tls();
    }
    if offer == Offer::Login {
        builder.enable_auth(AuthMechanism::Plain);
    }
    let mail = Received { encrypted: offer != Offer::Clear, ..Received::default() };
    builder.build(IpAddr::V4(Ipv4Addr::LOCALHOST), Clerk { manner, mail, seen: Arc::clone(seen) })
}

/// Answers the questions of one session.
struct Clerk {
    manner: Manner,
    mail: Received,
    seen: Arc<Seen>,
}

impl Clerk {
    fn answer(&self, about: &str) -> Response {
        let Manner::Refuses(refusals) = self.manner else { return mailin::response::OK };
        match refusals.iter().find(|(refused, ..)| *refused == about) {
            Some((_, code, text)) => Response::custom(*code, (*text).to_owned()),
            None => mailin::response::OK,
        }
    }
}

impl Handler for Clerk {
    fn helo(&mut self, _: IpAddr, domain: &str) -> Response {
        domain.clone_into(&mut self.mail.hello);
        mailin::response::OK
    }

    fn auth_plain(&mut self, _: &str, user: &str, password: &str) -> Response {
        self.mail.login = Some(user.to_owned());
        if password == "hunter2" { mailin::response::AUTH_OK } else { mailin::response::INVALID_CREDENTIALS }
    }

    fn mail(&mut self, _: IpAddr, _: &str, from: &str) -> Response {
        from.clone_into(&mut self.mail.from);
        self.answer(from)
    }

    fn rcpt(&mut self, to: &str) -> Response {
        self.mail.to.push(to.to_owned());
        self.answer(to)
    }

    fn data(&mut self, line: &[u8]) -> std::io::Result<()> {
        self.mail.content.extend_from_slice(line);
        Ok(())
    }

    fn data_end(&mut self) -> Response {
        self.seen.mails.lock().unwrap().push(self.mail.clone());
        self.answer(".")
    }
}
