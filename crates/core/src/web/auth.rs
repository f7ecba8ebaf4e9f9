//! Authorization of callers of the app API: by an API key, or by the session of the operator's console.

use sha2::{Digest as _, Sha256};

use super::{ApiKey, Call, Error, Platform, Scope};
use crate::crypto::cookies_named;
use crate::crypto::session::{COOKIE, Claimed, LIFE, Subject, issue};
use crate::values::Timestamp;

/// What a session may do. It never gives out tokens, nor calls Wix: no page of a browser needs that.
const OF_SESSION: [Scope; 3] = [Scope::Instances, Scope::Events, Scope::Admin];

/// Admits a request that has the scope by its API key, or by a session if it has no `Authorization` header. Names the
/// client in the log line.
pub fn authorize<P: Platform>(call: &Call<'_, P>, scope: Scope) -> Result<(), Error> {
    let is_allowed = if let Some(header) = call.header("authorization") {
        key_of(call, &header)?.allows(scope)
    } else {
        key_of_session(call)?;
        OF_SESSION.contains(&scope)
    };
    if is_allowed { Ok(()) } else { Err(Error::Forbidden(scope)) }
}

/// Signs the console in. Returns the `Set-Cookie` value, and when the session expires. A session cannot be exchanged for
/// another one: the request must have an API key.
pub fn sign_in<P: Platform>(call: &Call<'_, P>) -> Result<(String, Timestamp), Error> {
    let header = call.header("authorization").ok_or(Error::Unauthorized)?;
    let key = key_of(call, &header)?;
    if !key.allows(Scope::Admin) {
        return Err(Error::Forbidden(Scope::Admin));
    }
    let settings = call.cx.settings;
    let session_key = settings.keys.session().first().ok_or(Error::Unauthorized)?;
    let (value, expires_at) = issue(session_key, &settings.wix.app_id, subject(key), call.cx.now());
    Ok((set_cookie(&value, LIFE), expires_at))
}

/// Signs the console out. Returns the `Set-Cookie` value.
pub fn sign_out<P: Platform>(call: &Call<'_, P>) -> String {
    // An expired session is signed out too.
    let _ = key_of_session(call);
    set_cookie("", 0)
}

fn set_cookie(value: &str, life: u64) -> String {
    format!("{COOKIE}={value}; Max-Age={life}; Path=/; Secure; HttpOnly; SameSite=Strict")
}

fn subject(key: &ApiKey) -> Subject<'_> {
    Subject { name: &key.client, hash: key.hash() }
}

/// The API key that the request has.
fn key_of<'a, P: Platform>(call: &Call<'a, P>, header: &str) -> Result<&'a ApiKey, Error> {
    let (scheme, key) = header.split_once(' ').ok_or(Error::Unauthorized)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Error::Unauthorized);
    }
    // RFC 9110, 11.4 allows several spaces between scheme and key. Keys are printable ASCII and not empty.
    let key = key.trim_start_matches(' ');
    if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Error::Unauthorized);
    }
    let hash: [u8; 32] = Sha256::digest(key).into();
    // All keys are compared, so that the time does not reveal which one matches.
    let keys = call.settings.api_keys.iter();
    let known = keys.fold(None, |found, known| if known.has_hash(&hash) { Some(known) } else { found });
    let known = known.ok_or(Error::Unauthorized)?;
    call.cx.trace().client(&known.client);
    Ok(known)
}

/// The API key whose session the request has. Only a page of this origin can send such a request: a browser sets
/// `Sec-Fetch-Site` itself, and no page can change it.
fn key_of_session<'a, P: Platform>(call: &Call<'a, P>) -> Result<&'a ApiKey, Error> {
    if call.header("sec-fetch-site").as_deref() != Some("same-origin") {
        return Err(Error::Unauthorized);
    }
    let header = call.header("cookie").ok_or(Error::Unauthorized)?;
    let mut cookies = cookies_named(&header, COOKIE);
    // A browser has one cookie of this name.
    let (Some(value), None) = (cookies.next(), cookies.next()) else { return Err(Error::Unauthorized) };
    let claimed = Claimed::read(value, call.cx.now()).ok_or(Error::Unauthorized)?;
    let settings = call.cx.settings;
    let is_issuer = |key: &&ApiKey| {
        key.allows(Scope::Admin) && claimed.is_of(settings.keys.session(), &settings.wix.app_id, subject(key))
    };
    let known = call.settings.api_keys.iter().find(is_issuer).ok_or(Error::Unauthorized)?;
    call.cx.trace().client(&known.client);
    Ok(known)
}
