//! Sealing: how secrets are kept. AES-256-GCM under an operator's key, bound to the place they were put.
//!
//! The envelope is text: `s1.<key id>.<nonce>.<cipher text and tag>`, the last two in base64url. The associated data
//! names app, instance and field, so that a value moved to another record does not open.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use crate::id::{AppId, InstanceId};
use crate::platform::{Platform, PlatformError};
use crate::secret::Key32;

/// One of the operator's sealing keys.
#[derive(Clone)]
pub struct SealingKey {
    id: String,
    key: Key32,
}

impl SealingKey {
    /// Reads `id:base64(32 bytes)`.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let (id, key) = text.split_once(':').ok_or("an entry must be of the form id:base64")?;
        let named = !id.is_empty()
            && id.len() <= 32
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        if !named {
            return Err("a key id must be 1 to 32 letters, digits, - or _");
        }
        let bytes = any_base64(key).ok_or("a key must be base64")?;
        let bytes = <[u8; 32]>::try_from(bytes).map_err(|_| "a key must be 32 bytes")?;
        if bytes == [0; 32] || bytes == [0xff; 32] {
            return Err("a key must be random: this one has the same bit everywhere");
        }
        Ok(Self { id: id.to_owned(), key: Key32::new(bytes) })
    }

    /// The name under which the envelope remembers it.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The key itself.
    #[must_use]
    pub fn key(&self) -> &Key32 {
        &self.key
    }
}

/// Base64 in either alphabet (RFC 4648, 4 and 5), with or without its padding.
#[must_use]
pub fn any_base64(text: &str) -> Option<Vec<u8>> {
    let text: String = text.split_whitespace().collect();
    let text = text.trim_end_matches('=');
    STANDARD_NO_PAD.decode(text).or_else(|_| URL_SAFE_NO_PAD.decode(text)).ok()
}

/// What a sealed value is, and whose.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    /// The app.
    pub app: &'a AppId,
    /// The instance.
    pub instance: &'a InstanceId,
    /// The field, as in the key of its record.
    pub field: &'static str,
}

impl Place<'_> {
    fn associated_data(self) -> String {
        format!("wix-edge/s1/{}/{}/{}", self.app, self.instance, self.field)
    }
}

/// Why a sealed value did not open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OpenError {
    /// It is no envelope of a version known here.
    NotSealed,
    /// The key that sealed it is not among `SEALING_KEYS`.
    UnknownKey,
    /// It was changed, or belongs to another place.
    Refused,
    /// The platform failed.
    Platform(PlatformError),
}

/// Seals with the first of the keys.
pub async fn seal<P: Platform>(
    platform: &P,
    key: &SealingKey,
    place: Place<'_>,
    plain: &str,
) -> Result<String, PlatformError> {
    let mut nonce = [0; 12];
    platform.random(&mut nonce)?;
    let associated = place.associated_data();
    let cipher = platform.aes_gcm_seal(key, nonce, associated.as_bytes(), plain.as_bytes()).await?;
    Ok(format!("s1.{}.{}.{}", key.id, URL_SAFE_NO_PAD.encode(nonce), URL_SAFE_NO_PAD.encode(cipher)))
}

/// Opens with the key that the envelope names.
pub async fn open<P: Platform>(
    platform: &P,
    keys: &[SealingKey],
    place: Place<'_>,
    envelope: &str,
) -> Result<String, OpenError> {
    let mut parts = envelope.split('.');
    let (Some("s1"), Some(id), Some(nonce), Some(cipher), None) =
        (parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(OpenError::NotSealed);
    };
    let key = keys.iter().find(|key| key.id == id).ok_or(OpenError::UnknownKey)?;
    let nonce = URL_SAFE_NO_PAD.decode(nonce).map_err(|_| OpenError::NotSealed)?;
    let nonce = <[u8; 12]>::try_from(nonce).map_err(|_| OpenError::NotSealed)?;
    let cipher = URL_SAFE_NO_PAD.decode(cipher).map_err(|_| OpenError::NotSealed)?;
    let associated = place.associated_data();
    let plain = platform.aes_gcm_open(key, nonce, associated.as_bytes(), &cipher).await.map_err(OpenError::Platform)?;
    plain.and_then(|plain| String::from_utf8(plain).ok()).ok_or(OpenError::Refused)
}

#[cfg(test)]
#[path = "seal_tests.rs"]
mod tests;
