//! Wix's signed webhook body: a compact JWS (RFC 7515), RS256 and nothing else (Wix's rules 4.3 and 4.4).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};

use crate::json;
use crate::platform::{HeldJws, JwsLimits, Platform, PlatformError};
use crate::public_key::PublicKey;
use crate::time::Timestamp;

/// How far Wix's clock may differ from ours, in seconds.
pub const SKEW: u64 = 60;
/// Wix's header has about 40 characters; a far longer one is not Wix's.
const HEADER_LIMIT: usize = 2048;

/// Claims of a message whose signature is Wix's and whose time is right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// The envelope, as JSON text.
    pub data: String,
    /// When Wix made the message.
    pub issued_at: Timestamp,
}

/// Why a message was not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JwtError {
    /// It is no JWS of the form that Wix sends.
    Malformed(&'static str),
    /// It is not signed by any of the keys, or by no RS256.
    BadSignature(&'static str),
    /// It is signed, and not valid now.
    NotNow(&'static str),
    /// The platform failed.
    Platform(PlatformError),
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    crit: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct RawClaims {
    data: String,
    iat: f64,
    #[serde(default, deserialize_with = "present")]
    exp: Option<f64>,
    #[serde(default, deserialize_with = "present")]
    nbf: Option<f64>,
}

/// A time that is there must be a number; `null` is none.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    f64::deserialize(deserializer).map(Some)
}

/// How long a message of Wix's may be, with `body` bytes in all. RSA keys have at most 4096 bits.
#[must_use]
pub fn limits(body: usize) -> JwsLimits {
    JwsLimits { body, header: HEADER_LIMIT, signature: 1024 }
}

/// Verifies the message and reads its claims. The signature is checked before anything of the claims is looked at, or even
/// copied to here.
pub async fn verify<P: Platform>(
    platform: &P,
    keys: &[PublicKey],
    now: Timestamp,
    jws: Option<HeldJws<P::Held>>,
) -> Result<Claims, JwtError> {
    let jws = jws.ok_or(JwtError::Malformed("the body is not a JWT: three parts with dots between them"))?;
    check_header(&jws.header)?;
    let signature = decode(jws.signature, "the signature is not base64url")?;
    if !is_by_any(platform, keys, &jws.held, &signature).await.map_err(JwtError::Platform)? {
        return Err(JwtError::BadSignature("the signature is by none of WIX_PUBLIC_KEYS"));
    }
    check_claims(&decode(platform.held_claims(&jws.held), "the claims are not base64url")?, now)
}

/// Whether one of the keys signed the message. A signature is as long as its key's modulus (RFC 8017, 8.2.2).
async fn is_by_any<P: Platform>(
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

fn check_header(header: &str) -> Result<(), JwtError> {
    let header = decode(header, "the JWT header is not base64url")?;
    let header: Header =
        json::object(&header).map_err(|_| JwtError::Malformed("the JWT header is not a JSON object"))?;
    if header.alg != "RS256" {
        return Err(JwtError::BadSignature("the JWT's algorithm is not RS256"));
    }
    if header.crit.is_some() {
        return Err(JwtError::BadSignature("the JWT demands an extension"));
    }
    Ok(())
}

fn check_claims(claims: &[u8], now: Timestamp) -> Result<Claims, JwtError> {
    let claims: RawClaims = json::object(claims)
        .map_err(|_| JwtError::Malformed("the claims have no text `data` with a number `iat` beside it"))?;
    let issued_at = numeric_date(claims.iat)?;
    if issued_at > now.plus(SKEW) {
        return Err(JwtError::NotNow("the message is from the future"));
    }
    if let Some(exp) = claims.exp
        && numeric_date(exp)?.plus(SKEW) <= now
    {
        return Err(JwtError::NotNow("the message has expired"));
    }
    if let Some(nbf) = claims.nbf
        && numeric_date(nbf)? > now.plus(SKEW)
    {
        return Err(JwtError::NotNow("the message is not valid yet"));
    }
    Ok(Claims { data: claims.data, issued_at })
}

/// RFC 7519's `NumericDate`: seconds, perhaps with a fraction, which is dropped.
fn numeric_date(seconds: f64) -> Result<Timestamp, JwtError> {
    const LATEST: f64 = 253_402_300_799.0; // the end of the year 9999
    if !(0.0..=LATEST).contains(&seconds) {
        return Err(JwtError::Malformed("a time in the claims is no date"));
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and the year 9999")]
    Ok(Timestamp(seconds as u64))
}

fn decode(text: impl AsRef<[u8]>, otherwise: &'static str) -> Result<Vec<u8>, JwtError> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| JwtError::Malformed(otherwise))
}

#[cfg(test)]
#[path = "jwt_tests.rs"]
mod tests;
