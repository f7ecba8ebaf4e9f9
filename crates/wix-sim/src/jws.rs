//! Compact JWS: base64url, and the HMAC of Wix's tokens (sections 1.3, 2.3 and 8).

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Encodes base64url without padding.
pub(crate) fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Decodes base64url, with or without padding.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok()
}

/// HMAC-SHA256.
pub(crate) fn hmac_sha256(key: &[u8], message: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message).as_ref().to_vec()
}

/// Whether `tag` is the HMAC-SHA256 of the message, compared in constant time.
pub(crate) fn hmac_matches(key: &[u8], message: &[u8], tag: &[u8]) -> bool {
    hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, key), message, tag).is_ok()
}

/// The signing input: header and claims in base64url, joined by a dot.
pub(crate) fn signing_input(header: &str, claims: &str) -> String {
    format!("{}.{}", encode(header), encode(claims))
}

/// A compact JWS signed with HS256.
pub(crate) fn hs256(key: &[u8], kid: &str, claims: &str) -> String {
    let input = signing_input(&format!(r#"{{"kid":"{kid}","alg":"HS256"}}"#), claims);
    let signature = encode(hmac_sha256(key, input.as_bytes()));
    format!("{input}.{signature}")
}

#[cfg(test)]
mod tests;
