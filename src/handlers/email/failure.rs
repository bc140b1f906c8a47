//! What a mail server can come to other than taking the mail, and what follows. Pure.

use std::fmt;

use lettre::Address;
use lettre::transport::smtp;

use crate::handle::HandlerError;
use crate::handlers::excerpt::printable;

/// As much of a server's text as the attempt keeps.
const SHOWN_BYTES: usize = 500;

/// Where the conversation stood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Connecting, encrypting, and the first words.
    Connection,
    /// The credentials.
    Login,
    /// `MAIL FROM`.
    Sender(Address),
    /// `RCPT TO`.
    Recipient(Address),
    /// `DATA`, to its end.
    Content,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connection => f.write_str("the connection"),
            Self::Login => f.write_str("the login"),
            Self::Sender(address) => write!(f, "the sender <{address}>"),
            Self::Recipient(address) => write!(f, "the recipient <{address}>"),
            Self::Content => f.write_str("the mail"),
        }
    }
}

/// One thing that went wrong with the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// At which step.
    pub step: Step,
    /// The server's code, if it was an answer: 400 to 599.
    pub code: Option<u16>,
    /// What the server said, or why there is no answer.
    pub text: String,
}

impl Fault {
    /// What lettre tells about a step.
    pub fn at(step: Step, error: &smtp::Error) -> Self {
        // What is around the root are only kinds of errors, and the root again.
        let mut root: &dyn std::error::Error = error;
        while let Some(source) = root.source() {
            root = source;
        }
        Self { step, code: error.status().map(u16::from), text: shown(&root.to_string()) }
    }

    /// Whether the server is there for another question: 421 announces that it goes.
    pub fn leaves_the_server(&self) -> bool {
        self.code.is_some_and(|code| code != 421)
    }
}

fn shown(text: &str) -> String {
    let bytes = text.as_bytes();
    printable(&bytes[..bytes.len().min(SHOWN_BYTES)])
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            Some(code) => write!(f, "{} was refused: {code} {}", self.step, self.text),
            None => write!(f, "{} failed: {}", self.step, self.text),
        }
    }
}

/// Why a server did not take a mail; nobody got it, unless the answer was lost at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Which server, as `host:port`.
    pub server: String,
    /// What went wrong: at least one thing, and each recipient that was refused.
    pub faults: Vec<Fault>,
}

impl Failure {
    /// What follows: 5xx is permanent, all else is worth another attempt. Of several answers the worst decides, as
    /// no attempt can end well with it.
    pub fn verdict(self) -> HandlerError {
        let permanent = self.faults.iter().any(|fault| fault.code.is_some_and(|code| code >= 500));
        if permanent { HandlerError::permanent(self) } else { HandlerError::retry(self) }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.server)?;
        for (index, fault) in self.faults.iter().enumerate() {
            let between = if index == 0 { "" } else { "; " };
            write!(f, "{between}{fault}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handle::Kind;

    fn fault(code: Option<u16>) -> Fault {
        Fault { step: Step::Recipient("bob@example.org".parse().unwrap()), code, text: "why".into() }
    }

    fn failure(codes: &[Option<u16>]) -> Failure {
        Failure { server: "mail:25".into(), faults: codes.iter().copied().map(fault).collect() }
    }

    #[test]
    fn every_code_has_its_verdict_and_so_has_none() {
        assert_eq!(failure(&[None]).verdict().kind(), Kind::Retry);
        for code in 400..=599 {
            let expected = if code < 500 { Kind::Retry } else { Kind::Permanent };
            assert_eq!(failure(&[Some(code)]).verdict().kind(), expected, "{code}");
        }
    }

    #[test]
    fn of_several_refusals_the_worst_decides_and_all_are_told() {
        let error = failure(&[Some(450), Some(550), None]).verdict();
        assert_eq!(error.kind(), Kind::Permanent);
        let told: Vec<String> = error.to_string().split("; ").map(str::to_owned).collect();
        let server_and_first = "mail:25: the recipient <bob@example.org> was refused: 450 why";
        let second = "the recipient <bob@example.org> was refused: 550 why";
        assert_eq!(told, [server_and_first, second, "the recipient <bob@example.org> failed: why"]);
    }

    #[test]
    fn what_a_server_says_is_cut_and_made_harmless() {
        assert_eq!(shown(&format!("a\r\nb{}", "x".repeat(10_000))), format!("a  b{}", "x".repeat(496)));
    }
}
