//! The `state` of an install flow (RFC 6749, 10.12): signed, valid for ten minutes, bound to one browser and one flow.
//!
//! `state` is `base64url(version ‖ purpose ‖ issued at ‖ flow ‖ ref ‖ HMAC-SHA256)`. The flow's name is 12 random bytes and
//! a tag of the origin where the flow began. Version 2 has the app's `ref`, which is signed and not encrypted; version 1 has
//! none. Each flow has a cookie of its own, so that installations in two tabs do not interfere. The cookie's value is
//! another HMAC over the same bytes: the `state` alone, which is in URLs, does not give it away. The server stores nothing.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::mac::{MAC, MacKey};
use super::{SealingKey, cookies_named};
use crate::runtime::{Entropy, PlatformError};
use crate::values::{CLOCK_SKEW, Ref, Timestamp};

/// How long a flow may take, in seconds.
pub const LIFE: u64 = 600;
/// The longest state that is parsed, in characters: base64url of the longest `ref` and what is around it. Without a `ref`
/// a state has 78 characters.
pub const LIMIT: usize = ((PAYLOAD + Ref::BYTES + MAC) * 4).div_ceil(3);

/// A state without a `ref`.
const PLAIN: u8 = 1;
/// A state with a `ref`.
const WITH_REF: u8 = 2;
/// The length of what every version has before the signature.
const PAYLOAD: usize = 1 + 1 + 8 + 16;
/// The last bytes of the flow's name: see [`origin_tag`]. The rest is random.
const ORIGIN_TAG: usize = 4;

/// The kind of flow. A state of one kind is refused by the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "Flow"))]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// Custom authentication: `/install` to `/redirect`.
    Install = 1,
    /// External install: `/connect` to `/connected`.
    Connect = 2,
}

impl Purpose {
    /// The name, as the app API has it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Install => "install",
            Self::Connect => "connect",
        }
    }

    /// Reads [`Self::as_str`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Install, Self::Connect].into_iter().find(|purpose| purpose.as_str() == text)
    }
}

/// A key that signs states.
#[derive(Clone)]
pub struct StateKey(pub(super) MacKey);

impl StateKey {
    /// Derives the key.
    #[must_use]
    pub fn derive(key: &SealingKey) -> Self {
        Self(MacKey::derive(key, b"wix-edge state v1"))
    }

    fn mac(&self, label: &[u8], payload: &[u8]) -> [u8; MAC] {
        self.0.mac(&[label, payload])
    }
}

/// A new state with its cookie.
pub struct Issued {
    /// The `state` parameter.
    pub state: String,
    /// The whole `Set-Cookie` value.
    pub set_cookie: String,
}

/// The name of one flow.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Flow(String);

impl Flow {
    /// 22 characters of base64url.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a state is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// It was not issued here, was altered, or belongs to the other kind of flow.
    #[error("not issued here")]
    Invalid,
    /// It was issued here and has expired.
    #[error("expired")]
    Expired,
    /// It was issued to another browser, or the browser accepts no cookies.
    #[error("issued to another browser")]
    OtherBrowser,
    /// It was issued at another origin of this Worker, to which the browser sends the cookie.
    #[error("issued at another origin")]
    OtherOrigin,
}

/// A state that was returned by the browser in which the flow began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Returned {
    /// The flow.
    pub flow: Flow,
    /// When it began.
    pub began_at: Timestamp,
    /// The `ref` that the app gave to the flow.
    pub reference: Option<Ref>,
}

/// A refused state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Why it is refused.
    pub error: StateError,
    /// The `ref` of a state that was issued here for this kind of flow.
    pub reference: Option<Ref>,
}

impl From<StateError> for Refused {
    fn from(error: StateError) -> Self {
        Self { error, reference: None }
    }
}

/// A tag of the origin at which a request arrived. A flow that begins at one origin of the Worker and ends at another has
/// no cookie there. The tag allows a better response, and proves nothing.
#[must_use]
pub fn origin_tag(origin: &str) -> [u8; ORIGIN_TAG] {
    let hash = Sha256::digest(origin);
    std::array::from_fn(|at| hash.get(at).copied().unwrap_or_default())
}

/// Issues a state and its cookie.
pub fn issue<P: Entropy>(
    platform: &P,
    keys: &[StateKey],
    purpose: Purpose,
    now: Timestamp,
    origin: [u8; ORIGIN_TAG],
    reference: Option<&Ref>,
) -> Result<Issued, PlatformError> {
    let mut random = [0; 16 - ORIGIN_TAG];
    platform.random(&mut random)?;
    let flow = [&random[..], &origin].concat();
    let key = keys.first().ok_or_else(|| PlatformError("there is no key to sign a state with".to_owned()))?;
    let reference = reference.map(Ref::as_str).unwrap_or_default();
    let mut bytes = Vec::with_capacity(PAYLOAD + reference.len() + MAC);
    bytes.push(if reference.is_empty() { PLAIN } else { WITH_REF });
    bytes.push(purpose as u8);
    bytes.extend_from_slice(&now.0.to_be_bytes());
    bytes.extend_from_slice(&flow);
    bytes.extend_from_slice(reference.as_bytes());
    let set_cookie = format!(
        "{}={}; Max-Age={LIFE}; Path=/; Secure; HttpOnly; SameSite=None; Partitioned",
        cookie_name(&URL_SAFE_NO_PAD.encode(flow)),
        URL_SAFE_NO_PAD.encode(key.mac(b"cookie", &bytes)),
    );
    let signature = key.mac(b"state", &bytes);
    bytes.extend_from_slice(&signature);
    Ok(Issued { state: URL_SAFE_NO_PAD.encode(bytes), set_cookie })
}

/// Verifies a state against the browser's `Cookie` header.
pub fn check(
    keys: &[StateKey],
    purpose: Purpose,
    now: Timestamp,
    state: &str,
    cookies: Option<&str>,
    origin: [u8; ORIGIN_TAG],
) -> Result<Returned, Refused> {
    let bytes = URL_SAFE_NO_PAD.decode(state).map_err(|_| StateError::Invalid)?;
    let (payload, signature) = bytes.split_last_chunk::<MAC>().ok_or(StateError::Invalid)?;
    let key =
        keys.iter().find(|key| bool::from(key.mac(b"state", payload).ct_eq(signature))).ok_or(StateError::Invalid)?;
    let (payload_without_ref, reference) = payload.split_at_checked(PAYLOAD).ok_or(StateError::Invalid)?;
    let [version, signed_purpose, rest @ ..] = payload_without_ref else { return Err(StateError::Invalid.into()) };
    let reference = match (*version, str::from_utf8(reference)) {
        (PLAIN, Ok("")) => None,
        (WITH_REF, Ok(text)) => Some(Ref::parse(text).ok_or(StateError::Invalid)?),
        _ => return Err(StateError::Invalid.into()),
    };
    if *signed_purpose != purpose as u8 {
        return Err(StateError::Invalid.into());
    }
    let (issued, flow) = rest.split_first_chunk::<8>().ok_or(StateError::Invalid)?;
    let began_at = Timestamp(u64::from_be_bytes(*issued));
    if began_at.since(now) > CLOCK_SKEW {
        return Err(StateError::Invalid.into());
    }
    let error = if now.since(began_at) > LIFE {
        StateError::Expired
    } else {
        let absent = if flow.ends_with(&origin) { StateError::OtherBrowser } else { StateError::OtherOrigin };
        let flow = URL_SAFE_NO_PAD.encode(flow);
        let name = cookie_name(&flow);
        let expected = URL_SAFE_NO_PAD.encode(key.mac(b"cookie", payload));
        match cookies.and_then(|cookies| cookies_named(cookies, &name).next()) {
            Some(cookie) if bool::from(expected.as_bytes().ct_eq(cookie.as_bytes())) => {
                return Ok(Returned { flow: Flow(flow), began_at, reference });
            }
            Some(_) => StateError::OtherBrowser,
            None => absent,
        }
    };
    Err(Refused { error, reference })
}

/// With the prefix `__Host-` (RFC 6265bis) the browser accepts the cookie only from this host, over https, for all paths.
fn cookie_name(flow: &str) -> String {
    format!("__Host-wix-edge-{flow}")
}

#[cfg(test)]
mod tests;
