//! The signature of a request to the app, by the Standard Webhooks specification: HMAC-SHA256 of id, timestamp and body.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::crypto::any_base64;
use crate::values::{SigningSecret, Timestamp};

const PREFIX: &str = "whsec_";

/// Parses one of `EVENTS_SECRETS`: `whsec_` and the base64 of 24 to 64 bytes.
pub fn parse_secret(text: &str) -> Result<SigningSecret, &'static str> {
    let encoded = text.strip_prefix(PREFIX).ok_or("a secret must begin with whsec_")?;
    let bytes = any_base64(encoded).ok_or("a secret must be whsec_ and base64")?;
    if !(24..=64).contains(&bytes.len()) {
        return Err("a secret must have 24 to 64 bytes");
    }
    if bytes.iter().all(|byte| Some(byte) == bytes.first()) {
        return Err("a secret must be random: all bytes of this one are equal");
    }
    Ok(SigningSecret::new(bytes))
}

/// The headers of a request. Every secret signs, separated by a space.
pub fn headers(secrets: &[SigningSecret], id: &str, at: Timestamp, body: &str) -> [(&'static str, String); 3] {
    let timestamp = at.0.to_string();
    let signatures: Vec<String> = secrets.iter().map(|secret| sign(secret, id, &timestamp, body)).collect();
    [("webhook-id", id.to_owned()), ("webhook-timestamp", timestamp), ("webhook-signature", signatures.join(" "))]
}

fn sign(secret: &SigningSecret, id: &str, timestamp: &str, body: &str) -> String {
    // A key of any length is accepted (RFC 2104, 3).
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.expose()) else { return String::new() };
    for part in [id, ".", timestamp, ".", body] {
        mac.update(part.as_bytes());
    }
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}
