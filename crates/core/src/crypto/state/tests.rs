use super::*;
use crate::fuzz::stub::HERE;
use crate::testing::Fake;
use crate::testing::clock::START;

const NOW: Timestamp = Timestamp(START);

fn key(fill: char) -> StateKey {
    let text = format!("k:{}", base64::engine::general_purpose::STANDARD.encode(fill.to_string().repeat(32)));
    StateKey::derive(&SealingKey::parse(&text).unwrap())
}

fn keys() -> Vec<StateKey> {
    vec![key('a')]
}

/// Begins a flow. Returns the state, and the cookie as the browser sends it back.
fn begin(fake: &Fake, keys: &[StateKey]) -> (String, String) {
    begin_with(fake, keys, "")
}

/// The same with a `ref`, unless it is empty.
fn begin_with(fake: &Fake, keys: &[StateKey], reference: &str) -> (String, String) {
    let issued = issue(fake, keys, Purpose::Install, NOW, HERE, Ref::parse(reference).as_ref()).unwrap();
    let pair = issued.set_cookie.split(';').next().unwrap().to_owned();
    (issued.state, pair)
}

fn check_install(keys: &[StateKey], now: u64, state: &str, cookie: &str) -> Result<(), StateError> {
    check(keys, Purpose::Install, Timestamp(now), state, Some(cookie), HERE)
        .map(|_| ())
        .map_err(|refused| refused.error)
}

#[test]
fn a_state_is_accepted_in_the_same_browser() {
    let (state, cookie) = begin(&Fake::default(), &keys());
    assert_eq!(check_install(&keys(), START, &state, &cookie), Ok(()));
    assert!(state.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')), "{state}");
}

#[test]
fn a_state_is_valid_for_600_seconds() {
    let (state, cookie) = begin(&Fake::default(), &keys());
    assert_eq!(check_install(&keys(), START + 600, &state, &cookie), Ok(()));
    for now in [START + 601, START + 86_400, u64::MAX] {
        assert_eq!(check_install(&keys(), now, &state, &cookie), Err(StateError::Expired), "{now}");
    }
}

#[test]
fn a_state_from_the_future_is_refused() {
    let (state, cookie) = begin(&Fake::default(), &keys());
    assert_eq!(check_install(&keys(), START - 60, &state, &cookie), Ok(()), "clocks may differ by a minute");
    for now in [START - 61, START - 601, 0] {
        assert_eq!(check_install(&keys(), now, &state, &cookie), Err(StateError::Invalid), "{now}");
    }
}

#[test]
fn a_state_altered_in_any_byte_is_refused() {
    for (reference, length) in [("", 58), ("7", 59), ("Kunde 😀", 58 + 10)] {
        let (state, cookie) = begin_with(&Fake::default(), &keys(), reference);
        let bytes = URL_SAFE_NO_PAD.decode(&state).unwrap();
        assert_eq!(bytes.len(), length);
        let refused = |altered: &str, at: usize| {
            let result = check(&keys(), Purpose::Install, NOW, altered, Some(&cookie), HERE);
            assert_eq!(result, Err(StateError::Invalid.into()), "{reference:?} at {at}");
        };
        for at in 0..bytes.len() {
            for bit in [0x01, 0x80] {
                let mut altered = bytes.clone();
                altered[at] ^= bit;
                refused(&URL_SAFE_NO_PAD.encode(altered), at);
            }
            let (start, end) = bytes.split_at(at);
            refused(&URL_SAFE_NO_PAD.encode([start, b"x", end].concat()), at);
            refused(&URL_SAFE_NO_PAD.encode([start, &end[1..]].concat()), at);
        }
        for at in 0..state.len() {
            let mut altered = state.clone().into_bytes();
            altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
            refused(&String::from_utf8(altered).unwrap(), at);
        }
    }
}

#[test]
fn a_state_of_another_length_is_refused() {
    let (state, cookie) = begin(&Fake::default(), &keys());
    for length in 0..state.len() {
        assert_eq!(check_install(&keys(), START, &state[..length], &cookie), Err(StateError::Invalid), "{length}");
    }
    let bytes = URL_SAFE_NO_PAD.decode(&state).unwrap();
    for text in [
        format!("{state}A"),
        format!("{state}="),
        format!("{state}\n"),
        format!(" {state}"),
        state.repeat(2),
        "A".repeat(1_000_000),
        URL_SAFE_NO_PAD.encode([bytes.as_slice(), &[0]].concat()),
        URL_SAFE_NO_PAD.encode(&bytes[..26]),
        URL_SAFE_NO_PAD.encode([0; 58]),
        "é".to_owned(),
    ] {
        assert_eq!(check_install(&keys(), START, &text, &cookie), Err(StateError::Invalid), "{}", text.len());
    }
}

#[test]
fn a_state_from_another_browser_is_refused() {
    let fake = Fake::default();
    let (state, cookie) = begin(&fake, &keys());
    let (_, other_flow) = begin(&fake, &keys());
    let (name, value) = cookie.split_once('=').unwrap();
    let (other_name, other_value) = other_flow.split_once('=').unwrap();
    for cookies in [
        None,
        Some(String::new()),
        Some("theme=dark; x".to_owned()),
        Some(other_flow.clone()),
        Some(format!("{name}={other_value}")),
        Some(format!("{other_name}={value}")),
        Some(format!("{name}=")),
        Some(name.to_owned()),
        Some(format!("{name}={value}A")),
        Some(format!("{name}={}", &value[..value.len() - 1])),
        Some(format!("{name}=\"{value}\"")),
        Some(format!("x{cookie}")),
        Some(format!("{name}x={value}")),
        Some(format!("{}={value}", name.to_lowercase())),
        Some(format!("x={cookie}")),
        Some(format!("{name}={state}")),
    ] {
        let result = check(&keys(), Purpose::Install, NOW, &state, cookies.as_deref(), HERE);
        assert_eq!(result, Err(StateError::OtherBrowser.into()), "{cookies:?}");
    }
}

#[test]
fn the_right_cookie_is_found_among_others() {
    let fake = Fake::default();
    let (first, one) = begin(&fake, &keys());
    let (second, two) = begin(&fake, &keys());
    for cookies in [
        format!("{one}; {two}"),
        format!("{two}; {one}"),
        format!("{one};{two}"),
        format!("  {two} ;  theme=dark; {one}  "),
        format!(";;=;a=b=c; {one}; {two}; "),
    ] {
        assert_eq!(check_install(&keys(), START, &first, &cookies), Ok(()), "{cookies}");
        assert_eq!(check_install(&keys(), START, &second, &cookies), Ok(()), "{cookies}");
    }
}

#[test]
fn the_cookie_cannot_be_made_from_the_state() {
    let (state, cookie) = begin(&Fake::default(), &keys());
    let value = URL_SAFE_NO_PAD.decode(cookie.split_once('=').unwrap().1).unwrap();
    let state = URL_SAFE_NO_PAD.decode(state).unwrap();
    assert_eq!(value.len(), 32);
    assert_ne!(value, state[26..], "the cookie must differ from the signature in the state, which is public");
}

#[test]
fn after_a_key_rotation_older_states_are_accepted() {
    let (old, new) = (key('a'), key('b'));
    let (state, cookie) = begin(&Fake::default(), std::slice::from_ref(&old));
    assert_eq!(check_install(&[new.clone(), old], START, &state, &cookie), Ok(()));
    assert_eq!(check_install(std::slice::from_ref(&new), START, &state, &cookie), Err(StateError::Invalid));
    assert_eq!(check_install(&[], START, &state, &cookie), Err(StateError::Invalid));
}

#[test]
fn a_new_state_is_signed_by_the_first_key() {
    let (first, second) = (key('a'), key('b'));
    let (state, cookie) = begin(&Fake::default(), &[first.clone(), second.clone()]);
    assert_eq!(check_install(&[first], START, &state, &cookie), Ok(()));
    assert_eq!(check_install(&[second], START, &state, &cookie), Err(StateError::Invalid));
}

#[test]
fn the_cookie_has_exactly_the_secure_attributes() {
    let issued = issue(&Fake::default(), &keys(), Purpose::Install, NOW, HERE, None).unwrap();
    let mut parts = issued.set_cookie.split("; ");
    let (name, value) = parts.next().unwrap().split_once('=').unwrap();
    assert!(name.starts_with("__Host-"), "{name}");
    assert!(value.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')), "{value}");
    let mut attributes: Vec<&str> = parts.collect();
    attributes.sort_unstable();
    assert_eq!(attributes, ["HttpOnly", "Max-Age=600", "Partitioned", "Path=/", "SameSite=None", "Secure"]);
}

#[test]
fn without_random_bytes_or_key_no_state_is_issued() {
    let fake = Fake::default();
    assert!(issue(&fake, &[], Purpose::Install, NOW, HERE, None).is_err());
    fake.fail_random();
    assert!(issue(&fake, &keys(), Purpose::Install, NOW, HERE, None).is_err());
}

#[test]
fn the_signing_key_is_not_the_sealing_key() {
    let sealing = SealingKey::parse("k:YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE=").unwrap();
    assert_ne!(StateKey::derive(&sealing).0.0.expose(), sealing.key().expose());
    assert_ne!(key('a').0.0.expose(), key('b').0.0.expose());
}

/// A state as this module signs it, with any content.
fn signed(version: u8, purpose: Purpose, rest: &[u8]) -> (String, String) {
    let flow = [&[7; 12][..], &HERE].concat();
    let payload = [&[version, purpose as u8][..], &NOW.0.to_be_bytes(), &flow, rest].concat();
    let mac = |label: &[u8]| keys()[0].mac(label, &payload);
    let cookie = format!("{}={}", cookie_name(&URL_SAFE_NO_PAD.encode(flow)), URL_SAFE_NO_PAD.encode(mac(b"cookie")));
    (URL_SAFE_NO_PAD.encode([&payload[..], &mac(b"state")].concat()), cookie)
}

#[test]
fn a_state_of_the_version_before_is_accepted_during_a_deployment() {
    let (state, cookie) = signed(1, Purpose::Install, b"");
    let returned = check(&keys(), Purpose::Install, NOW, &state, Some(&cookie), HERE).unwrap();
    assert_eq!(returned.reference, None);
    // Without a `ref`, an isolate of the version before accepts the state of this one.
    let bytes = URL_SAFE_NO_PAD.decode(begin(&Fake::default(), &keys()).0).unwrap();
    assert_eq!((bytes.len(), bytes[0]), (58, 1));
}

#[test]
fn a_signed_state_of_another_form_is_refused() {
    for (version, rest) in
        [(0, &b""[..]), (1, b"7"), (2, b""), (2, b"a\nb"), (2, b"\xff"), (2, &[b'a'; 513]), (3, b"7"), (255, b"")]
    {
        let (state, cookie) = signed(version, Purpose::Install, rest);
        assert_eq!(check_install(&keys(), START, &state, &cookie), Err(StateError::Invalid), "{version} {rest:?}");
    }
    let (state, cookie) = signed(2, Purpose::Install, b"7");
    assert_eq!(check_install(&keys(), START, &state, &cookie), Ok(()));
    let other = check(&keys(), Purpose::Connect, NOW, &state, Some(&cookie), HERE);
    assert_eq!(other, Err(StateError::Invalid.into()), "nor does it give its ref away");
}

#[test]
fn a_state_returns_the_ref_even_if_it_is_refused() {
    let longest = "😀".repeat(512);
    for reference in ["7", "a b&c=d#e%41+", "Käufer 😀", &longest] {
        let (state, cookie) = begin_with(&Fake::default(), &keys(), reference);
        assert!(state.len() <= LIMIT, "{}", state.len());
        let reference = Ref::parse(reference);
        let check = |now, cookies: Option<&str>, origin| {
            check(&keys(), Purpose::Install, Timestamp(now), &state, cookies, origin)
        };
        assert_eq!(check(START, Some(&cookie), HERE).unwrap().reference, reference);
        for (result, error) in [
            (check(START + 601, Some(&cookie), HERE), StateError::Expired),
            (check(START, None, HERE), StateError::OtherBrowser),
            (check(START, None, origin_tag("https://other.example")), StateError::OtherOrigin),
        ] {
            assert_eq!(result, Err(Refused { error, reference: reference.clone() }));
        }
        assert_eq!(check(START - 61, Some(&cookie), HERE), Err(StateError::Invalid.into()));
    }
    let (state, _) = begin_with(&Fake::default(), &keys(), &longest);
    assert_eq!((state.len(), LIMIT), (2808, 2808));
}
