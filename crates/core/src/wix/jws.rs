//! The signed body of a webhook or a service plugin call: a compact JWS (RFC 7515) by RS256, and by no other algorithm
//! (docs/wix.md, 4.3, 4.4 and 4.8).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};

use super::plugin;
use crate::crypto::{Crypto, PublicKey};
use crate::runtime::PlatformError;
use crate::values::{CLOCK_SKEW, Timestamp, json};

/// The longest encoded header. Wix's have about 40 characters.
const HEADER_LIMIT: usize = 2048;
/// The longest encoded signature. RSA keys have at most 4096 bits.
const SIGNATURE_LIMIT: usize = 1024;

/// How long the parts of a JWS may be, in bytes.
#[derive(Debug, Clone, Copy)]
pub struct JwsLimits {
    /// The whole JWS.
    pub body: usize,
    /// The encoded header.
    pub header: usize,
    /// The encoded signature.
    pub signature: usize,
}

/// A compact JWS whose claims were not read.
pub struct HeldJws<H> {
    /// The encoded header.
    pub header: Vec<u8>,
    /// The encoded signature.
    pub signature: Vec<u8>,
    /// Header and claims, encoded: the bytes that are signed.
    pub held: H,
}

/// The claims of a verified webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// The envelope, as JSON text.
    pub data: String,
    /// When Wix signed the message.
    pub issued_at: Timestamp,
}

/// Why a message is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JwsError {
    /// It is not a JWS in Wix's form.
    #[error("{0}")]
    Malformed(&'static str),
    /// It is not signed by RS256 with any of the keys.
    #[error("{0}")]
    BadSignature(&'static str),
    /// It is signed, but not valid at this time.
    #[error("{0}")]
    NotNow(&'static str),
    /// It is signed, but not by Wix for this app.
    #[error("{0}")]
    NotForUs(&'static str),
    /// The platform failed.
    #[error(transparent)]
    Platform(#[from] PlatformError),
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    crit: Option<IgnoredAny>,
}

#[derive(Deserialize)]
pub(super) struct RawClaims {
    data: String,
    iat: f64,
    #[serde(default, deserialize_with = "present")]
    exp: Option<f64>,
    #[serde(default, deserialize_with = "present")]
    nbf: Option<f64>,
}

/// A time must be a number. serde alone would accept `null`.
pub(super) fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    f64::deserialize(deserializer).map(Some)
}

/// The limits of a message with at most `body` bytes.
#[must_use]
pub fn limits(body: usize) -> JwsLimits {
    JwsLimits { body, header: HEADER_LIMIT, signature: SIGNATURE_LIMIT }
}

/// Verifies a webhook and parses its claims.
pub async fn verify<P: Crypto>(
    platform: &P,
    keys: &[PublicKey],
    now: Timestamp,
    jws: Option<HeldJws<P::Held>>,
) -> Result<Claims, JwsError> {
    check_claims(&open(platform, keys, jws).await?, now)
}

/// Verifies the signature of a message. Returns its claims, which are copied into wasm only then.
pub async fn open<P: Crypto>(
    platform: &P,
    keys: &[PublicKey],
    jws: Option<HeldJws<P::Held>>,
) -> Result<Vec<u8>, JwsError> {
    let jws = jws.ok_or(JwsError::Malformed("the body must be a JWT: three parts separated by dots"))?;
    check_header(&jws.header)?;
    let signature = decode(jws.signature, "the signature must be base64url")?;
    if !is_by_any(platform, keys, &jws.held, &signature).await? {
        return Err(JwsError::BadSignature("none of WIX_PUBLIC_KEYS made the signature"));
    }
    decode(platform.held_claims(&jws.held), "the claims must be base64url")
}

/// Whether one of the keys signed the message. A signature is as long as the modulus of its key (RFC 8017, 8.2.2).
async fn is_by_any<P: Crypto>(
    platform: &P,
    keys: &[PublicKey],
    held: &P::Held,
    signature: &[u8],
) -> Result<bool, PlatformError> {
    for key in keys.iter().filter(|key| key.signature_len() == signature.len()) {
        if platform.verify_rs256(key, held, signature).await? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn check_header(header: &[u8]) -> Result<(), JwsError> {
    let header = decode(header, "the JWT header must be base64url")?;
    let header: Header = json::object(&header)
        .map_err(|_| JwsError::Malformed("the JWT header must be a JSON object with the text `alg`"))?;
    if header.alg != "RS256" {
        return Err(JwsError::BadSignature("the JWT's algorithm must be RS256"));
    }
    if header.crit.is_some() {
        return Err(JwsError::BadSignature("the JWT must not require extensions (crit)"));
    }
    Ok(())
}

fn check_claims(claims: &[u8], now: Timestamp) -> Result<Claims, JwsError> {
    let claims: RawClaims = json::object(claims).map_err(|_| match json::object::<plugin::RawClaims<'_>>(claims) {
        Ok(_) => {
            JwsError::Malformed("this is a service plugin call: the base URI of the plugin must end with /plugins")
        }
        Err(_) => JwsError::Malformed("the claims must have a text `data` and a number `iat`"),
    })?;
    let issued_at = numeric_date(claims.iat)?;
    if issued_at > now.plus(CLOCK_SKEW) {
        return Err(JwsError::NotNow("the message was issued in the future"));
    }
    if let Some(exp) = claims.exp
        && numeric_date(exp)?.plus(CLOCK_SKEW) <= now
    {
        return Err(JwsError::NotNow("the message has expired"));
    }
    if let Some(nbf) = claims.nbf
        && numeric_date(nbf)? > now.plus(CLOCK_SKEW)
    {
        return Err(JwsError::NotNow("the message is not valid yet"));
    }
    Ok(Claims { data: claims.data, issued_at })
}

/// Parses a `NumericDate` (RFC 7519): seconds, whose fraction is dropped.
pub(super) fn numeric_date(seconds: f64) -> Result<Timestamp, JwsError> {
    const LATEST: f64 = 253_402_300_799.0; // the end of the year 9999
    if !(0.0..=LATEST).contains(&seconds) {
        return Err(JwsError::Malformed("a time in the claims must be a date"));
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and the year 9999")]
    Ok(Timestamp(seconds as u64))
}

fn decode(text: impl AsRef<[u8]>, otherwise: &'static str) -> Result<Vec<u8>, JwsError> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| JwsError::Malformed(otherwise))
}

#[cfg(test)]
mod tests;
