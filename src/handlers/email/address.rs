//! Who a mail is from and to: from a text to a mailbox that cannot bring a header with it. Pure.

use lettre::Address;
use lettre::address::AddressError;
use lettre::message::Mailbox;

/// Why a text names no mailbox.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// What could begin a header of its own.
    #[error("holds a line break or another control character")]
    Control,
    /// RFC 5321.
    #[error("is no mail address: {0}")]
    Address(AddressError),
    /// Servers would have to know SMTPUTF8.
    #[error("has a character before the @ that is not ASCII")]
    NotAscii,
    /// RFC 5321 knows it, but not all that reads mails does, and some read another address.
    #[error("has a half in quotation marks or square brackets, which not everything that reads mails understands")]
    Unusual,
}

/// Whether a text would not stay in its line of the header. Everything that becomes part of a header is asked this.
pub fn has_control(text: &str) -> bool {
    text.contains(char::is_control)
}

/// Reads `ada@example.org` or `Ada Lovelace <ada@example.org>`, exactly one.
///
/// Only the last angle brackets hold the address. All before them is the name, whatever it looks like, and is quoted
/// when it is written: names come from payloads, and must not be able to add a recipient.
///
/// What this gives can be written into a header and be read back. `"ada lovelace"@example.org` and `ada@[192.0.2.1]`
/// cannot, not even by lettre itself.
///
/// # Errors
/// [`Error`], without the text.
pub fn mailbox(text: &str) -> Result<Mailbox, Error> {
    if has_control(text) {
        return Err(Error::Control);
    }
    let text = text.trim();
    match text.strip_suffix('>').and_then(|text| text.rsplit_once('<')) {
        None => address(text).map(Mailbox::from),
        Some((name, inside)) => {
            let name = unquoted(name.trim());
            Ok(Mailbox::new((!name.is_empty()).then(|| name.to_owned()), address(inside.trim())?))
        }
    }
}

/// A name as people write it in quotation marks, without them.
fn unquoted(name: &str) -> &str {
    name.strip_prefix('"').and_then(|name| name.strip_suffix('"')).unwrap_or(name)
}

fn address(text: &str) -> Result<Address, Error> {
    let (user, domain) = text.rsplit_once('@').ok_or(Error::Address(AddressError::MissingParts))?;
    if !user.is_ascii() {
        return Err(Error::NotAscii);
    }
    // Every server knows the ASCII form of a domain.
    let domain = idna::domain_to_ascii(domain).map_err(|_| Error::Address(AddressError::InvalidDomain))?;
    let address = Address::new(user, domain).map_err(Error::Address)?;
    let read_back = address.to_string().parse::<Mailbox>();
    if read_back.is_ok_and(|mailbox| mailbox.email == address) { Ok(address) } else { Err(Error::Unusual) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> String {
        mailbox(text).unwrap().to_string()
    }

    #[test]
    fn an_address_may_have_a_name() {
        for (text, name, address) in [
            ("ada@example.org", None, "ada@example.org"),
            (" <ada@example.org> ", None, "ada@example.org"),
            ("Ada <ada@example.org>", Some("Ada"), "ada@example.org"),
            ("\"Lovelace, Ada\" <ada@example.org>", Some("Lovelace, Ada"), "ada@example.org"),
            ("Lovelace, Ada <ada+a.b@example.org>", Some("Lovelace, Ada"), "ada+a.b@example.org"),
            ("Ada <ada@bücher.example>", Some("Ada"), "ada@xn--bcher-kva.example"),
        ] {
            let mailbox = mailbox(text).unwrap();
            assert_eq!((mailbox.name.as_deref(), mailbox.email.as_ref()), (name, address), "{text}");
        }
    }

    #[test]
    fn a_name_cannot_add_a_recipient() {
        let written = written("Eve <eve@example.net>, \"x <ada@example.org>");
        assert_eq!(written, r#""Eve <eve@example.net>, \"x" <ada@example.org>"#);
    }

    #[test]
    fn what_is_not_exactly_one_address_is_refused() {
        for text in ["", "ada", "@example.org", "ada@", "a@b.example, c@d.example", "a b@c.example", "Ada <>", "<a@b"] {
            assert!(matches!(mailbox(text), Err(Error::Address(_))), "{text}: {:?}", mailbox(text));
        }
        assert_eq!(mailbox("jürgen@example.org"), Err(Error::NotAscii));
    }

    #[test]
    fn an_address_that_would_not_be_read_back_is_refused() {
        for address in [
            r#""ada lovelace"@example.net"#,
            r#""ada"@example.net"#,
            r#""a@b"@example.net"#,
            "ops@[192.0.2.1]",
            "ops@[IPv6:::1]",
        ] {
            assert_eq!(mailbox(address), Err(Error::Unusual), "{address}");
            assert_eq!(mailbox(&format!("Ada <{address}>")), Err(Error::Unusual), "{address}");
        }
    }

    #[test]
    fn a_line_break_is_refused_wherever_it_is() {
        for text in ["a@b.example\r\nBcc: eve@example.net", "Ada\nX: y <a@b.example>", "a\0@b.example", "a@b.example\n"]
        {
            assert_eq!(mailbox(text), Err(Error::Control), "{text:?}");
        }
    }
}
