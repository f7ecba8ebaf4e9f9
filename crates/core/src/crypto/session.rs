//! The session of the operator's console: a cookie that names an API key until it expires. The server stores nothing.
//!
//! The value is `base64url(version ‖ expires at ‖ name ‖ HMAC-SHA256)`. The MAC also covers the app and the hash of the key,
//! so that a session ends with its entry in `API_KEYS`. Whether the key may have a session is decided at each use.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq as _;

use super::SealingKey;
use super::mac::{MAC, MacKey};
use crate::values::{AppId, CLOCK_SKEW, Timestamp};

/// How long a session lasts, in seconds.
pub const LIFE: u64 = 8 * 3_600;
/// With the prefix `__Host-` (RFC 6265bis) the browser accepts the cookie only from this host, over https, for all paths.
pub const COOKIE: &str = "__Host-wix-edge-session";

const VERSION: u8 = 1;
/// The length of what precedes the name.
const HEAD: usize = 1 + 8;

/// A key that authenticates sessions.
#[derive(Clone)]
pub struct SessionKey(MacKey);

/// The API key of a session: its name and its hash.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    /// The name of its entry.
    pub name: &'a str,
    /// The SHA-256 of the key.
    pub hash: &'a [u8; 32],
}

impl SessionKey {
    /// Derives the key.
    #[must_use]
    pub fn derive(key: &SealingKey) -> Self {
        Self(MacKey::derive(key, b"wix-edge session v1"))
    }

    fn mac(&self, app: &AppId, hash: &[u8; 32], payload: &[u8]) -> [u8; MAC] {
        self.0.mac(&[app.as_str().as_bytes(), hash, payload])
    }
}

/// Issues the value of the cookie, and tells when it expires.
#[must_use]
pub fn issue(key: &SessionKey, app: &AppId, subject: Subject<'_>, now: Timestamp) -> (String, Timestamp) {
    let expires_at = now.plus(LIFE);
    let mut bytes = vec![VERSION];
    bytes.extend_from_slice(&expires_at.0.to_be_bytes());
    bytes.extend_from_slice(subject.name.as_bytes());
    let mac = key.mac(app, subject.hash, &bytes);
    bytes.extend_from_slice(&mac);
    (URL_SAFE_NO_PAD.encode(bytes), expires_at)
}

/// A session that has not expired. Whether it was issued here is known when its key is [found](Self::is_of).
pub struct Claimed {
    payload: Vec<u8>,
    mac: [u8; MAC],
}

impl Claimed {
    /// Reads the value of the cookie.
    #[must_use]
    pub fn read(value: &str, now: Timestamp) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(value).ok()?;
        let (payload, mac) = bytes.split_last_chunk::<MAC>()?;
        let (&version, rest) = payload.split_first()?;
        let (expires_at, _) = rest.split_first_chunk::<8>()?;
        let expires_at = Timestamp(u64::from_be_bytes(*expires_at));
        // A clock that was set back does not lengthen a session.
        let is_valid = expires_at > now && expires_at.since(now) <= LIFE + CLOCK_SKEW;
        (version == VERSION && is_valid).then(|| Self { payload: payload.to_vec(), mac: *mac })
    }

    /// Whether it was issued by this app to this API key.
    #[must_use]
    pub fn is_of(&self, keys: &[SessionKey], app: &AppId, subject: Subject<'_>) -> bool {
        self.payload.get(HEAD..) == Some(subject.name.as_bytes())
            && keys.iter().any(|key| key.mac(app, subject.hash, &self.payload).ct_eq(&self.mac).into())
    }
}

#[cfg(test)]
mod tests;
