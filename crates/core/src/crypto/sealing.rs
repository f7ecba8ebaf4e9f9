//! Sealing: encryption of stored secrets, by AES-256-GCM with one of the operator's keys.
//!
//! The envelope is text: `s1.<key id>.<nonce>.<ciphertext and tag>`, the last two in base64url. The associated data
//! names app, instance and field, so that a value copied to another record cannot be opened.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use super::Crypto;
use crate::runtime::{Entropy, PlatformError};
use crate::values::{AppId, InstanceId, Key32};

/// One of the operator's sealing keys.
#[derive(Clone)]
pub struct SealingKey {
    id: String,
    key: Key32,
}

/// Why an entry of `SEALING_KEYS` cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealingKeyError {
    /// No colon.
    #[error("an entry must be of the form id:base64")]
    Form,
    /// The id.
    #[error("a key id must be 1 to 32 letters, digits, - or _")]
    Id,
    /// Not base64.
    #[error("a key must be base64")]
    NotBase64,
    /// Another length.
    #[error("a key must be 32 bytes")]
    Length,
    /// All bits equal.
    #[error("a key must be random: all bits of this one are equal")]
    NotRandom,
}

impl SealingKey {
    /// Parses `id:base64(32 bytes)`.
    pub fn parse(text: &str) -> Result<Self, SealingKeyError> {
        let (id, key) = text.split_once(':').ok_or(SealingKeyError::Form)?;
        let named = !id.is_empty()
            && id.len() <= 32
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        if !named {
            return Err(SealingKeyError::Id);
        }
        let bytes = any_base64(key).ok_or(SealingKeyError::NotBase64)?;
        let bytes = <[u8; 32]>::try_from(bytes).map_err(|_| SealingKeyError::Length)?;
        if bytes == [0; 32] || bytes == [0xff; 32] {
            return Err(SealingKeyError::NotRandom);
        }
        Ok(Self { id: id.to_owned(), key: Key32::new(bytes) })
    }

    /// The id, which envelopes contain.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The key bytes.
    #[must_use]
    pub fn key(&self) -> &Key32 {
        &self.key
    }
}

/// Decodes base64 in either alphabet (RFC 4648, 4 and 5), with or without padding.
#[must_use]
pub fn any_base64(text: &str) -> Option<Vec<u8>> {
    let text: String = text.split_whitespace().collect();
    let text = text.trim_end_matches('=');
    STANDARD_NO_PAD.decode(text).or_else(|_| URL_SAFE_NO_PAD.decode(text)).ok()
}

/// The place of a sealed value, to which the value is bound.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    /// The app.
    pub app: &'a AppId,
    /// The instance.
    pub instance: &'a InstanceId,
    /// The field of its record.
    pub field: &'static str,
}

impl Place<'_> {
    fn associated_data(self) -> String {
        format!("wix-edge/s1/{}/{}/{}", self.app, self.instance, self.field)
    }
}

/// Why a sealed value cannot be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// It is not an envelope of a known version.
    #[error("not a sealed value")]
    NotSealed,
    /// Its key is not among `SEALING_KEYS`.
    #[error("sealed with an unknown key")]
    UnknownKey,
    /// It was altered, or belongs to another place.
    #[error("altered, or of another place")]
    Refused,
    /// The platform failed.
    #[error(transparent)]
    Platform(#[from] PlatformError),
}

/// Seals a text.
pub async fn seal<P: Crypto + Entropy>(
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

/// Opens a sealed text with the key that its envelope names.
pub async fn open<P: Crypto>(
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
    let plain = platform.aes_gcm_open(key, nonce, associated.as_bytes(), &cipher).await?;
    plain.and_then(|plain| String::from_utf8(plain).ok()).ok_or(OpenError::Refused)
}

#[cfg(test)]
mod tests;
