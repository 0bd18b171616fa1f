//! Signatures by [Standard Webhooks](https://www.standardwebhooks.com): HMAC-SHA-256 over `id.timestamp.body`.
//!
//! Written here, since the published crate lags behind the specification; the specification's own vectors and the
//! library for Python are what it is held to. The receiver's half, [`verify`], stands beside it, so that both are held to
//! the same vectors. Neither id nor timestamp may hold a dot, which separates them.

use domain::time::Timestamp;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fmt;
use thiserror::Error;

/// Stands before a secret, so that one can be told from any other text.
const PREFIX: &str = "whsec_";
/// Stands before a signature with a symmetric key.
const SCHEME: &str = "v1,";
/// How far the receiver's clock may be off, in seconds.
pub const TOLERANCE_S: i64 = 5 * 60;

/// The header with the message's id; the same at each try.
pub const ID: &str = "webhook-id";
/// The header with the time of this try, in seconds since the epoch.
pub const TIMESTAMP: &str = "webhook-timestamp";
/// The header with the signatures, separated by spaces.
pub const SIGNATURE: &str = "webhook-signature";

/// What messages are signed with. It is shown nowhere by accident.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Says why a signature is not believed.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Refusal {
    /// The timestamp is none, or too far from now.
    #[error("the timestamp is not within five minutes of now")]
    Timestamp,
    /// No signature fits.
    #[error("no signature fits")]
    Signature,
}

impl Secret {
    /// Makes one that nobody can guess.
    #[must_use]
    pub fn fresh() -> Self {
        Self(adapters::clock::fresh_secret().to_vec())
    }

    /// Reads one as it is shown to people; `None` where it is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let key = data_encoding::BASE64.decode(text.strip_prefix(PREFIX)?.as_bytes()).ok()?;
        (!key.is_empty()).then_some(Self(key))
    }

    /// Writes it as people copy it into the receiver.
    #[must_use]
    pub fn reveal(&self) -> String {
        format!("{PREFIX}{}", data_encoding::BASE64.encode(&self.0))
    }

    /// Signs a message.
    #[must_use]
    pub fn sign(&self, id: &str, at: Timestamp, body: &[u8]) -> String {
        let code = self.code(id, &at.secs().to_string(), body);
        let code = code.map(|code| data_encoding::BASE64.encode(&code.finalize().into_bytes()));
        format!("{SCHEME}{}", code.unwrap_or_default())
    }

    /// Gives the code over a message. A key of any length will do, so there always is one.
    fn code(&self, id: &str, timestamp: &str, body: &[u8]) -> Option<Hmac<Sha256>> {
        let mut code = Hmac::<Sha256>::new_from_slice(&self.0).ok()?;
        for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
            code.update(part);
        }
        Some(code)
    }
}

/// Signs a message with each of several secrets: while they are being rotated, a receiver may know either.
#[must_use]
pub fn sign(secrets: &[Secret], id: &str, at: Timestamp, body: &[u8]) -> String {
    let signatures: Vec<String> = secrets.iter().map(|secret| secret.sign(id, at, body)).collect();
    signatures.join(" ")
}

/// Tells whether a message comes from somebody who knows the secret, and is not an old one that is played again. Codes are
/// compared in constant time.
///
/// # Errors
///
/// [`Refusal`].
pub fn verify(
    secret: &Secret,
    id: &str,
    timestamp: &str,
    signatures: &str,
    body: &[u8],
    now: Timestamp,
) -> Result<(), Refusal> {
    let at: i64 = timestamp.parse().map_err(|_| Refusal::Timestamp)?;
    if now.secs().abs_diff(at) > TOLERANCE_S.unsigned_abs() {
        return Err(Refusal::Timestamp);
    }
    let fits = |signature: &str| {
        let signature = signature.strip_prefix(SCHEME)?;
        let signature = data_encoding::BASE64.decode(signature.as_bytes()).ok()?;
        secret.code(id, timestamp, body)?.verify_slice(&signature).ok()
    };
    signatures.split(' ').find_map(fits).ok_or(Refusal::Signature)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    /// The specification's vectors; where they come from stands in the file.
    const VECTORS: &str = include_str!("../tests/standard_webhooks.json");

    fn secret() -> Secret {
        let vectors: Value = serde_json::from_str(VECTORS).unwrap();
        Secret::parse(vectors["secret"].as_str().unwrap()).unwrap()
    }

    #[test]
    fn every_vector_of_the_specification_is_judged_as_it_says() {
        let vectors: Value = serde_json::from_str(VECTORS).unwrap();
        let cases = vectors["cases"].as_array().unwrap();
        assert!(cases.len() >= 9, "they are all there");
        for case in cases {
            let text = |name: &str| case[name].as_str().unwrap();
            let sent = case["webhook-timestamp"].as_str().unwrap().parse().unwrap();
            let now = Timestamp::from_secs(case["now"].as_i64().unwrap_or(sent));
            let headers = [ID, TIMESTAMP, SIGNATURE].map(text);
            let judge = |[id, timestamp, signatures]: [&str; 3]| {
                verify(&secret(), id, timestamp, signatures, text("body").as_bytes(), now)
            };
            if text("name").contains("missing in turn") {
                assert_eq!(judge(headers), Ok(()));
                for missing in 0..3 {
                    let mut headers = headers;
                    headers[missing] = "";
                    assert!(judge(headers).is_err(), "{missing}");
                }
                continue;
            }
            assert_eq!(judge(headers).is_ok(), text("expect") == "ok", "{}", text("name"));
        }
    }

    #[test]
    fn what_is_signed_is_the_signature_of_the_specification() {
        let vectors: Value = serde_json::from_str(VECTORS).unwrap();
        let case = &vectors["cases"][0];
        let text = |name: &str| case[name].as_str().unwrap();
        let at = Timestamp::from_secs(text("webhook-timestamp").parse().unwrap());
        assert_eq!(secret().sign(text("webhook-id"), at, text("body").as_bytes()), text("webhook-signature"));
    }

    #[test]
    fn a_message_signed_with_two_secrets_is_believed_by_either_receiver_and_by_no_third() {
        let (old, new, other) = (Secret::fresh(), Secret::fresh(), Secret::fresh());
        let now = Timestamp::from_secs(1_795_000_000);
        let signed = sign(&[new.clone(), old.clone()], "evt_1", now, b"{}");
        let judge = |secret: &Secret, body: &[u8]| verify(secret, "evt_1", "1795000000", &signed, body, now);
        assert_eq!((judge(&old, b"{}"), judge(&new, b"{}")), (Ok(()), Ok(())));
        assert_eq!(judge(&other, b"{}"), Err(Refusal::Signature));
        assert_eq!(judge(&old, b"{ }"), Err(Refusal::Signature), "not one byte may differ");
    }

    #[test]
    fn a_secret_reads_back_is_long_and_is_not_shown_by_accident() {
        let secret = Secret::fresh();
        assert_eq!(Secret::parse(&secret.reveal()), Some(secret.clone()));
        assert_eq!(secret.0.len(), 32);
        assert_eq!(format!("{secret:?}"), "Secret(…)");
        for text in ["", "whsec_", "whsec_%", "C2FVsBQIhrscChlQIMV+b5sSYspob7oD"] {
            assert_eq!(Secret::parse(text), None, "{text}");
        }
    }
}
