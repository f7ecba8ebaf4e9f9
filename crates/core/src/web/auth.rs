//! Authorization of callers of the app API.

use sha2::{Digest as _, Sha256};

use super::{Call, Error, Platform, Scope};

/// Admits a request with a known API key that has the scope, and names the client in the log line.
pub fn authorize<P: Platform>(call: &Call<'_, P>, scope: Scope) -> Result<(), Error> {
    let header = call.header("authorization").ok_or(Error::Unauthorized)?;
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
    if known.allows(scope) { Ok(()) } else { Err(Error::Forbidden(scope)) }
}
