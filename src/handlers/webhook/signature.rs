//! Standard Webhooks signatures: who has the secret can tell that a request is ours, whole and recent.

use std::fmt;

use base64::Engine as _;
use base64::alphabet::STANDARD as ALPHABET;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// A webhook's key, ready to sign with.
#[derive(Clone)]
pub struct Secret(Hmac<Sha256>);

/// Why a text is no secret. It never says what the text was.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// It is something else.
    #[error("it must be `whsec_` and then base64")]
    Prefix,
    /// The part after the prefix cannot be decoded.
    #[error("the part after `whsec_` is not base64")]
    Base64,
    /// There is nothing after the prefix.
    #[error("there is no key after `whsec_`")]
    Empty,
}

/// With padding or without: both are around.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &ALPHABET,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

impl Secret {
    /// Reads `whsec_…`.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, SecretError> {
        let encoded = text.strip_prefix("whsec_").ok_or(SecretError::Prefix)?;
        // The decoder's own error would print a character of the secret.
        let key = BASE64.decode(encoded).map_err(|_| SecretError::Base64)?;
        if key.is_empty() {
            return Err(SecretError::Empty);
        }
        Hmac::new_from_slice(&key).map(Self).map_err(|_| SecretError::Base64)
    }

    /// The value of `webhook-signature`.
    pub fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        let mut mac = self.0.clone();
        mac.update(format!("{id}.{timestamp}.").as_bytes());
        mac.update(body);
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_the_one_of_the_specifications_libraries() {
        let secret = Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signature = secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn padding_may_be_left_out() {
        let [padded, bare] = ["whsec_c2VjcmV0cw==", "whsec_c2VjcmV0cw"].map(|text| Secret::parse(text).unwrap());
        assert_eq!(padded.sign("a", 0, b""), bare.sign("a", 0, b""));
    }

    #[test]
    fn what_is_wrong_with_a_secret_is_said_without_the_secret() {
        assert!(matches!(Secret::parse("hunter2"), Err(SecretError::Prefix)));
        assert!(matches!(Secret::parse("whsec_hunter2!"), Err(SecretError::Base64)));
        assert!(matches!(Secret::parse("whsec_"), Err(SecretError::Empty)));
        let secret = Secret::parse("whsec_c2VjcmV0cw==").unwrap();
        assert_eq!(format!("{secret:?}"), "[redacted]");
    }
}
