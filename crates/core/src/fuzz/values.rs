//! Fuzz targets for single parsers.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value;
use sha2::Sha256;

use super::stub::{HERE, NOW, Stub, hold};
use super::{APP_ID, APP_SECRET, INSTANCE, PUBLIC_KEY, SEALING_KEY, configured, poll_once};
use crate::crypto::state::{self, Purpose};
use crate::crypto::{self, Place, PublicKey, SealingKey, StateKey};
use crate::instances::Line;
use crate::values::{AppId, AppSecret, CLOCK_SKEW, InstanceId, Ref};
use crate::web::{ApiKey, Scope};
use crate::wix::event::BODY_LIMIT;
use crate::wix::jws::{self, Claims};
use crate::wix::signed_instance;

/// The body of a webhook: no body is accepted without a valid signature, and with one only a JWS by RS256.
pub fn jwt(data: &[u8]) {
    let keys = PublicKey::parse_all(PUBLIC_KEY).unwrap_or_default();
    let verify = |genuine| {
        poll_once(jws::verify(&Stub::new(genuine), &keys, NOW, hold(data, jws::limits(BODY_LIMIT)).ok().flatten()))
    };
    assert!(verify(false).is_err(), "a body without a valid signature is accepted");
    if let Ok(claims) = verify(true) {
        assert!(agrees_with_another_reader(data, &claims), "another reader must read the same message");
    }
}

/// The claims of a well-formed message.
pub fn claims(data: &[u8]) {
    jwt(token(data).as_bytes());
}

/// A line of an import. Another reader must find the same installation in a line that is accepted.
pub fn import_line(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    if let Ok(line) = Line::parse(text, NOW) {
        let again = serde_json::from_str::<Value>(text).unwrap_or_default();
        let id = again.get("instance_id").and_then(Value::as_str).and_then(|id| InstanceId::parse(id).ok());
        assert_eq!(id.as_ref(), Some(&line.instance), "another reader must read the same installation");
    }
}

/// A message as Wix forms it. The stub decides whether its signature is valid.
pub(super) fn token(claims: &[u8]) -> String {
    let header = URL_SAFE_NO_PAD.encode(r#"{"kid":"TeStKiD1","alg":"RS256"}"#);
    format!("{header}.{}.{}", URL_SAFE_NO_PAD.encode(claims), URL_SAFE_NO_PAD.encode([1; 256]))
}

/// Reads the message again without the code under test, and compares. The other reader refuses some values in fields
/// that the code under test skips (invalid UTF-8, half a surrogate pair, 1e999); then there is nothing to compare.
fn agrees_with_another_reader(body: &[u8], claims: &Claims) -> bool {
    let text = String::from_utf8_lossy(body);
    let parts: Vec<Option<Value>> = text
        .trim_ascii()
        .split('.')
        .map(|part| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap_or_default()).ok())
        .collect();
    let [Some(header), Some(all), _] = parts.as_slice() else { return parts.len() == 3 };
    let critical = header.get("crit").is_some_and(|crit| !crit.is_null());
    let number = |name: &str| all.get(name).and_then(Value::as_f64);
    let now = u32::try_from(NOW.0).map_or(0.0, f64::from);
    let late = number("exp").is_some_and(|exp| exp + 60.0 < now);
    let early = number("nbf").is_some_and(|nbf| nbf > now + 61.0);
    let issued = number("iat").is_some_and(|iat| iat.floor().to_string() == claims.issued_at.0.to_string());
    header.get("alg").and_then(Value::as_str) == Some("RS256")
        && !(critical || late || early)
        && issued
        && claims.issued_at.0 <= NOW.0 + CLOCK_SKEW
        && all.get("data").and_then(Value::as_str) == Some(&claims.data)
}

/// A state and, on the next line, the browser's cookies: only the issued state is accepted, with the cookie issued
/// beside it.
pub fn state(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (state, cookies) = text.split_once('\n').map_or((text, None), |(state, cookies)| (state, Some(cookies)));
    let Ok(key) = SealingKey::parse(SEALING_KEY) else { return };
    let keys = [StateKey::derive(&key)];
    let issue = |reference: Option<Ref>| {
        state::issue(&Stub::new(false), &keys, Purpose::Install, NOW, HERE, reference.as_ref()).ok()
    };
    let issued = [None, Ref::parse("Kunde 7")].map(issue);
    assert!(
        state::check(&keys, Purpose::Connect, NOW, state, cookies, HERE).is_err(),
        "a state of the other flow is accepted"
    );
    if state::check(&keys, Purpose::Install, NOW, state, cookies, HERE).is_ok() {
        let issued = issued.iter().flatten().find(|issued| issued.state == state);
        let cookie = issued.and_then(|issued| issued.set_cookie.split(';').next());
        assert!(cookie.is_some(), "a state that was not issued is accepted");
        let is_issued = cookies.zip(cookie).is_some_and(|(cookies, cookie)| cookies.contains(cookie));
        assert!(is_issued, "a cookie that was not issued is accepted");
    }
}

/// A signed instance: the input as the whole value, and then as data that is signed with the app secret.
pub fn signed_instance(data: &[u8]) {
    let Ok(app) = AppId::parse(APP_ID) else { return };
    let secret = AppSecret::new(APP_SECRET);
    let verify = |value: &str| signed_instance::verify([&secret], &app, NOW, value);
    let sign = |data: &str| {
        let mac = Hmac::<Sha256>::new_from_slice(APP_SECRET.as_bytes()).map(|mac| mac.chain_update(data));
        mac.map(|mac| URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())).unwrap_or_default()
    };
    if let Ok(value) = std::str::from_utf8(data)
        && verify(value).is_ok()
    {
        let (signature, signed) = value.split_once('.').unwrap_or_default();
        assert_eq!(signature.trim_end_matches('='), sign(signed), "a value without a valid signature is accepted");
    }
    let signed = URL_SAFE_NO_PAD.encode(data);
    if let Ok(instance) = verify(&format!("{}.{signed}", sign(&signed))) {
        // See `agrees_with_another_reader`.
        let Ok(fields) = serde_json::from_slice::<Value>(data) else { return };
        let text = |name: &str| fields.get(name).and_then(Value::as_str);
        let same = text("instanceId").is_some_and(|id| id.eq_ignore_ascii_case(instance.instance.as_str()));
        assert!(same, "the instance must be the one in the data");
        assert!(
            text("appDefId").is_none_or(|id| id.eq_ignore_ascii_case(APP_ID)),
            "a value of another app is accepted"
        );
        assert!(text("signDate").or(text("expirationDate")).is_some(), "a value without a date is accepted");
    }
}

/// `WIX_PUBLIC_KEYS`: every parsed key can be written and parsed again.
pub fn public_keys(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(keys) = PublicKey::parse_all(text) else { return };
    assert!(!keys.is_empty(), "a list without a key must be refused");
    for key in keys {
        assert!((256..=512).contains(&key.signature_len()), "a key must have 2048 to 4096 bits");
        assert_eq!(PublicKey::parse_all(&STANDARD.encode(key.der())), Ok(vec![key]));
    }
}

/// The whole configuration, with a line `NAME=value` for each value: no fault quotes a value.
pub fn config(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let lines = text.lines().filter_map(|line| line.split_once('='));
    let changes: Vec<(String, String)> = lines.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    match configured(&changes) {
        Ok(config) => {
            let (wix, keys) = (&config.instances.wix, &config.instances.keys);
            assert!(!wix.public_keys.is_empty() && !config.web.api_keys.is_empty());
            assert_eq!(keys.state().len(), keys.sealing().len());
            for url in [&wix.api_url, wix.site_url.as_str()] {
                assert!(url.starts_with("https://") || url.starts_with("http://"), "not a URL: {url}");
            }
            assert!(!wix.api_url.ends_with('/'), "the API URL must not end with a slash");
            assert_eq!(wix.site_url.path(), "/");
        }
        Err(faults) => {
            assert!(!faults.is_empty(), "a refused configuration must have a fault");
            // No fault text has this word, so it can only come from a value.
            assert!(faults.iter().all(|fault| !fault.problem.contains("planted")), "a fault quotes a value");
        }
    }
}

/// The entries of `API_KEYS`.
pub fn api_keys(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    for entry in text.split(',') {
        let Ok(key) = ApiKey::parse(entry) else { continue };
        let mut parts = entry.split(':');
        assert_eq!(parts.next(), Some(key.client.as_str()));
        assert!(
            (1..=64).contains(&key.client.len()) && key.client.is_ascii(),
            "a client must have a name of 1 to 64 ASCII characters"
        );
        // Whitespace around a hash is ignored.
        assert_eq!(parts.next().map(|hash| hash.trim().len()), Some(64), "a hash must have 64 digits");
        assert!(parts.next().is_some() || !key.allows(Scope::Admin), "the scope admin must be named");
    }
}

/// A sealed value: it opens only where the cipher accepts it, and only with its key.
pub fn sealed(data: &[u8]) {
    let Ok(envelope) = std::str::from_utf8(data) else { return };
    let (Ok(key), Ok(app), Ok(id)) =
        (SealingKey::parse(SEALING_KEY), AppId::parse(APP_ID), InstanceId::parse(INSTANCE))
    else {
        return;
    };
    let place = Place { app: &app, instance: &id, field: "refresh_token" };
    let keys = [key];
    let open = |genuine| poll_once(crypto::open(&Stub::new(genuine), &keys, place, envelope));
    assert!(open(false).is_err(), "a value opens that the cipher refused");
    if open(true).is_ok() {
        assert!(envelope.starts_with("s1.k1."), "a value opens with another key than the named one");
    }
}
