//! The `state` of an install flow (RFC 6749, 10.12): signed, ten minutes long, and tied to one browser and one flow.
//!
//! `state` is `base64url(version ‖ purpose ‖ issued at ‖ flow ‖ HMAC-SHA256)`, and the flow's name 12 random bytes and a
//! tag of the origin where it began. The browser gets a cookie of its own for
//! each flow, so two installs in two tabs do not disturb each other; the cookie's value is another HMAC of the same
//! flow, which nobody can make who has only seen the `state`. Nothing is kept on the server.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::App;
use crate::error::Error;
use crate::platform::{Platform, PlatformError};
use crate::request::Request;
use crate::seal::SealingKey;
use crate::secret::Key32;
use crate::time::Timestamp;

/// How long a person may take from the first redirect to the last, in seconds.
pub const LIFE: u64 = 600;
/// How far the clocks of two data centres may differ, in seconds.
const SKEW: u64 = 60;

/// Longest state looked at; ours have 78 characters.
const LIMIT: usize = 512;

const VERSION: u8 = 1;
const PAYLOAD: usize = 1 + 1 + 8 + 16;
const MAC: usize = 32;
/// The last bytes of the flow's name: see [`origin_tag`]. The rest of it is random.
const ORIGIN_TAG: usize = 4;

/// Which flow a state belongs to; a state of one is refused by the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Custom authentication: `/install` to `/redirect`.
    Install = 1,
    /// External install: `/connect` to `/connected`.
    Connect = 2,
}

/// A key for signing states, derived from a sealing key, so that rotating that one rotates this.
#[derive(Clone)]
pub struct StateKey(Key32);

impl StateKey {
    /// HKDF-SHA256 (RFC 5869) with a label of our own.
    ///
    /// # Panics
    /// Never: HKDF gives up to 255 times the hash's length. A key of zeros would be worse than a panic.
    #[must_use]
    pub fn derive(key: &SealingKey) -> Self {
        let mut bytes = [0; 32];
        #[expect(
            clippy::expect_used,
            reason = "HKDF gives up to 255 times the hash's length; no key is better than zeros"
        )]
        Hkdf::<Sha256>::new(None, key.key().expose())
            .expand(b"wix-edge state v1", &mut bytes)
            .expect("32 bytes of HKDF");
        Self(Key32::new(bytes))
    }

    fn mac(&self, label: &[u8], payload: &[u8]) -> [u8; MAC] {
        #[expect(clippy::expect_used, reason = "HMAC takes keys of every length; no MAC is better than zeros")]
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.expose()).expect("HMAC takes any key");
        mac.update(label);
        mac.update(payload);
        mac.finalize().into_bytes().into()
    }
}

/// A state just issued, with the cookie that belongs to it.
pub struct Issued {
    /// The `state` parameter.
    pub state: String,
    /// The whole `Set-Cookie` value.
    pub set_cookie: String,
}

/// Names one flow.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Flow(String);

impl Flow {
    /// 22 characters of base64url.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a state was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StateError {
    /// Not issued here, altered, or of another flow.
    Invalid,
    /// Issued here, more than ten minutes ago.
    Expired,
    /// Issued here, to another browser, or the browser keeps no cookie.
    OtherBrowser,
    /// Issued at another origin of this Worker, where the browser keeps the cookie.
    OtherOrigin,
}

/// A state that came back to the browser that began the flow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Returned {
    /// Which flow.
    pub flow: Flow,
    /// When it began.
    pub began_at: Timestamp,
}

/// Where a request arrived, as its state remembers it: a flow that begins at one origin of the Worker and ends at another
/// finds no cookie there. A hint for a better answer, and no proof of anything.
#[must_use]
pub fn origin_tag(origin: &str) -> [u8; ORIGIN_TAG] {
    let hash = Sha256::digest(origin);
    std::array::from_fn(|at| hash.get(at).copied().unwrap_or_default())
}

/// Issues a state and its cookie.
pub fn issue<P: Platform>(
    platform: &P,
    keys: &[StateKey],
    purpose: Purpose,
    now: Timestamp,
    origin: [u8; ORIGIN_TAG],
) -> Result<Issued, PlatformError> {
    let mut random = [0; 16 - ORIGIN_TAG];
    platform.random(&mut random)?;
    let flow = [&random[..], &origin].concat();
    let key = keys.first().ok_or_else(|| PlatformError("no key to sign a state with".to_owned()))?;
    let mut bytes = Vec::with_capacity(PAYLOAD + MAC);
    bytes.push(VERSION);
    bytes.push(purpose as u8);
    bytes.extend_from_slice(&now.0.to_be_bytes());
    bytes.extend_from_slice(&flow);
    let set_cookie = format!(
        "{}={}; Max-Age={LIFE}; Path=/; Secure; HttpOnly; SameSite=None; Partitioned",
        cookie_name(&URL_SAFE_NO_PAD.encode(flow)),
        URL_SAFE_NO_PAD.encode(key.mac(b"cookie", &bytes)),
    );
    let signature = key.mac(b"state", &bytes);
    bytes.extend_from_slice(&signature);
    Ok(Issued { state: URL_SAFE_NO_PAD.encode(bytes), set_cookie })
}

/// Checks the state that a request brings back, given once, against the request's cookies.
pub fn returned<P: Platform>(app: &App<P>, request: &Request<P::Inbound>, purpose: Purpose) -> Result<Returned, Error> {
    let state = request.parameter("state")?.filter(|state| state.len() <= LIMIT);
    let state = state.ok_or(StateError::Invalid)?;
    let cookies = app.platform.header(&request.inbound, "cookie");
    let origin = origin_tag(&request.origin());
    Ok(check(&app.config().state_keys, purpose, app.now(), &state, cookies.as_deref(), origin)?)
}

/// Checks a state against the browser's `Cookie` header.
pub fn check(
    keys: &[StateKey],
    purpose: Purpose,
    now: Timestamp,
    state: &str,
    cookies: Option<&str>,
    origin: [u8; ORIGIN_TAG],
) -> Result<Returned, StateError> {
    let bytes = URL_SAFE_NO_PAD.decode(state).map_err(|_| StateError::Invalid)?;
    let (payload, signature) = bytes.split_at_checked(PAYLOAD).ok_or(StateError::Invalid)?;
    let key =
        keys.iter().find(|key| bool::from(key.mac(b"state", payload).ct_eq(signature))).ok_or(StateError::Invalid)?;
    let [VERSION, signed_purpose, rest @ ..] = payload else { return Err(StateError::Invalid) };
    if *signed_purpose != purpose as u8 {
        return Err(StateError::Invalid);
    }
    let (issued, flow) = rest.split_first_chunk::<8>().ok_or(StateError::Invalid)?;
    let began_at = Timestamp(u64::from_be_bytes(*issued));
    if began_at.since(now) > SKEW {
        return Err(StateError::Invalid);
    }
    if now.since(began_at) > LIFE {
        return Err(StateError::Expired);
    }
    let absent = if flow.ends_with(&origin) { StateError::OtherBrowser } else { StateError::OtherOrigin };
    let flow = URL_SAFE_NO_PAD.encode(flow);
    let name = cookie_name(&flow);
    let cookie = cookies.and_then(|cookies| cookie(cookies, &name)).ok_or(absent)?;
    let expected = URL_SAFE_NO_PAD.encode(key.mac(b"cookie", payload));
    if bool::from(expected.as_bytes().ct_eq(cookie.as_bytes())) {
        Ok(Returned { flow: Flow(flow), began_at })
    } else {
        Err(StateError::OtherBrowser)
    }
}

/// `__Host-` (RFC 6265bis): the browser takes it from this host alone, over a safe connection, for every path.
fn cookie_name(flow: &str) -> String {
    format!("__Host-wix-edge-{flow}")
}

fn cookie<'a>(cookies: &'a str, name: &str) -> Option<&'a str> {
    cookies.split(';').find_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix('='))
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
