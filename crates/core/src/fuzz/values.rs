//! The parsers by themselves.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value;
use sha2::Sha256;

use super::stub::{HERE, NOW, Stub, hold};
use super::{APP_ID, APP_SECRET, INSTANCE, PUBLIC_KEY, SEALING_KEY, at_once, configured};
use crate::crypto::state::{self, Purpose};
use crate::crypto::{self, Place, PublicKey, SealingKey, StateKey};
use crate::values::{AppId, AppSecret, CLOCK_SKEW, InstanceId};
use crate::web::{ApiKey, Scope};
use crate::wix::event::BODY_LIMIT;
use crate::wix::jws::{self, Claims};
use crate::wix::signed_instance;

/// The body of a webhook: nothing is accepted without a signature, and what is accepted with one is a JWS by RS256.
pub fn jwt(data: &[u8]) {
    let keys = PublicKey::parse_all(PUBLIC_KEY).unwrap_or_default();
    let verify = |genuine| {
        at_once(jws::verify(&Stub::new(genuine), &keys, NOW, hold(data, jws::limits(BODY_LIMIT)).ok().flatten()))
    };
    assert!(verify(false).is_err(), "accepted without a signature");
    if let Ok(claims) = verify(true) {
        assert!(is_what_was_signed(data, &claims), "another reader reads another message");
    }
}

/// The same for the claims of a message whose form is right.
pub fn claims(data: &[u8]) {
    jwt(token(data).as_bytes());
}

/// A message of Wix's form; the stub says whether the signature is good.
pub(super) fn token(claims: &[u8]) -> String {
    let header = URL_SAFE_NO_PAD.encode(r#"{"kid":"TeStKiD1","alg":"RS256"}"#);
    format!("{header}.{}.{}", URL_SAFE_NO_PAD.encode(claims), URL_SAFE_NO_PAD.encode([1; 256]))
}

/// Read once more, without any of the code under test. That reader refuses text and numbers in fields that nobody reads
/// here (no UTF-8, half a surrogate pair, 1e999); there is nothing to compare then.
fn is_what_was_signed(body: &[u8], claims: &Claims) -> bool {
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

/// A state and, on the next line, the browser's cookies: the one that was issued is accepted with the cookie that was
/// issued with it, and no other.
pub fn state(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (state, cookies) = text.split_once('\n').map_or((text, None), |(state, cookies)| (state, Some(cookies)));
    let Ok(key) = SealingKey::parse(SEALING_KEY) else { return };
    let keys = [StateKey::derive(&key)];
    let Ok(issued) = state::issue(&Stub::new(false), &keys, Purpose::Install, NOW, HERE) else { return };
    let cookie = issued.set_cookie.split(';').next().unwrap_or_default();
    assert!(state::check(&keys, Purpose::Connect, NOW, state, cookies, HERE).is_err(), "a state of the other flow");
    if state::check(&keys, Purpose::Install, NOW, state, cookies, HERE).is_ok() {
        assert_eq!(state, issued.state, "a state that was not issued");
        assert!(cookies.is_some_and(|cookies| cookies.contains(cookie)), "a cookie that was not issued");
    }
}

/// A signed instance as it comes, and then as the data that the app secret signs.
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
        assert_eq!(signature.trim_end_matches('='), sign(signed), "a value that was not signed");
    }
    let signed = URL_SAFE_NO_PAD.encode(data);
    if let Ok(instance) = verify(&format!("{}.{signed}", sign(&signed))) {
        // See `is_what_was_signed`.
        let Ok(fields) = serde_json::from_slice::<Value>(data) else { return };
        let text = |name: &str| fields.get(name).and_then(Value::as_str);
        let same = text("instanceId").is_some_and(|id| id.eq_ignore_ascii_case(instance.instance.as_str()));
        assert!(same, "the instance is another one");
        assert!(text("appDefId").is_none_or(|id| id.eq_ignore_ascii_case(APP_ID)), "it is of another app");
        assert!(text("signDate").or(text("expirationDate")).is_some(), "it has no date");
    }
}

/// `WIX_PUBLIC_KEYS`: every key that is read can be written and read again.
pub fn public_keys(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(keys) = PublicKey::parse_all(text) else { return };
    assert!(!keys.is_empty(), "no key and no complaint");
    for key in keys {
        assert!((256..=512).contains(&key.signature_len()), "a key of another length");
        assert_eq!(PublicKey::parse_all(&STANDARD.encode(key.der())), Ok(vec![key]));
    }
}

/// The whole configuration, a line for each `NAME=value`: a fault quotes no value.
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
                assert!(url.starts_with("https://") || url.starts_with("http://"), "no URL: {url}");
            }
            assert!(!wix.api_url.ends_with('/'), "a slash at the end");
            assert_eq!(wix.site_url.path(), "/");
        }
        Err(faults) => {
            assert!(!faults.is_empty(), "refused without a fault");
            // No message of ours has this word: it can only come from a value.
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
        assert!((1..=64).contains(&key.client.len()) && key.client.is_ascii(), "a client of another form");
        assert_eq!(parts.next().map(str::len), Some(64), "a hash of another length");
        assert!(parts.next().is_some() || !key.allows(Scope::Admin), "admin without being named");
    }
}

/// A sealed value: without the cipher's consent nothing opens.
pub fn sealed(data: &[u8]) {
    let Ok(envelope) = std::str::from_utf8(data) else { return };
    let (Ok(key), Ok(app), Ok(id)) =
        (SealingKey::parse(SEALING_KEY), AppId::parse(APP_ID), InstanceId::parse(INSTANCE))
    else {
        return;
    };
    let place = Place { app: &app, instance: &id, field: "refresh_token" };
    let keys = [key];
    let open = |genuine| at_once(crypto::open(&Stub::new(genuine), &keys, place, envelope));
    assert!(open(false).is_err(), "opened against the cipher's word");
    if open(true).is_ok() {
        assert!(envelope.starts_with("s1.k1."), "opened with another key");
    }
}
