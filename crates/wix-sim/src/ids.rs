//! Random values (GUIDs, text, hex), fingerprints of secrets, and formats of times.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

/// The nil GUID, for which Wix answers 404 (section 1.2).
pub(crate) const NIL: &str = "00000000-0000-0000-0000-000000000000";

/// A random GUID, lower case with hyphens.
pub(crate) fn guid() -> String {
    Uuid::new_v4().to_string()
}

/// Whether the text is a GUID in the hyphenated form.
pub(crate) fn is_guid(text: &str) -> bool {
    text.len() == 36 && Uuid::try_parse(text).is_ok()
}

/// `count` random bytes: SHA-256 of random GUIDs, with 122 random bits in every 32 bytes.
pub(crate) fn random_bytes(count: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(count + 32);
    while bytes.len() < count {
        bytes.extend_from_slice(digest(&SHA256, Uuid::new_v4().as_bytes()).as_ref());
    }
    bytes.truncate(count);
    bytes
}

/// `length` random characters of the base64url alphabet.
pub(crate) fn random_text(length: usize) -> String {
    let mut text = URL_SAFE_NO_PAD.encode(random_bytes(length));
    text.truncate(length);
    text
}

/// `count` random lower-case hex characters.
pub(crate) fn random_hex(count: usize) -> String {
    let mut text = to_hex(&random_bytes(count.div_ceil(2)));
    text.truncate(count);
    text
}

/// Bytes as lower-case hex.
pub(crate) fn to_hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a `String` cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// SHA-256 as hex.
pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    to_hex(digest(&SHA256, bytes).as_ref())
}

/// The fingerprint of a secret: the first ten hex digits of its SHA-256.
pub(crate) fn fingerprint(secret: &str) -> String {
    let mut text = sha256_hex(secret.as_bytes());
    text.truncate(10);
    text
}

/// A time in Wix's format: ISO 8601, UTC, milliseconds.
pub(crate) fn iso(at_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(at_ms).map(|at| format!("{at:.3}")).unwrap_or_default()
}

/// A time as an HTTP date (RFC 9110 5.6.7), in whole seconds.
pub(crate) fn http_date(at_ms: i64) -> String {
    let at = jiff::Timestamp::from_millisecond(at_ms).unwrap_or_default();
    at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// Parses an ISO 8601 time to Unix milliseconds.
pub(crate) fn parse_iso(text: &str) -> Option<i64> {
    text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond)
}

#[cfg(test)]
mod tests;
