use super::*;
use crate::crypto::{Keys, StateKey};
use crate::testing::clock::START;
use crate::testing::world::{APP_ID, SEALING_KEY};
use crate::values::Key32;

const NOW: Timestamp = Timestamp(START);
const HASH: [u8; 32] = [7; 32];
const OPERATOR: Subject<'_> = Subject { name: "operator", hash: &HASH };

fn sealing() -> SealingKey {
    SealingKey::parse(&format!("k1:{SEALING_KEY}")).unwrap()
}

fn app() -> AppId {
    AppId::parse(APP_ID).unwrap()
}

fn issued() -> String {
    issue(&SessionKey::derive(&sealing()), &app(), OPERATOR, NOW).0
}

fn is_accepted(value: &str, now: u64, subject: Subject<'_>) -> bool {
    let keys = [SessionKey::derive(&sealing())];
    Claimed::read(value, Timestamp(now)).is_some_and(|claimed| claimed.is_of(&keys, &app(), subject))
}

#[test]
fn a_session_is_valid_for_eight_hours() {
    let (value, expires_at) = issue(&SessionKey::derive(&sealing()), &app(), OPERATOR, NOW);
    assert_eq!(expires_at, Timestamp(START + 28_800));
    for (now, wanted) in [
        (START, true),
        (START + 28_799, true),
        (START + 28_800, false),
        (START + 28_801, false),
        (u64::MAX, false),
        (START - 60, true),
        (START - 61, false),
        (0, false),
    ] {
        assert_eq!(is_accepted(&value, now, OPERATOR), wanted, "{now}");
    }
}

#[test]
fn every_bit_is_authenticated() {
    let bytes = URL_SAFE_NO_PAD.decode(issued()).unwrap();
    for bit in 0..bytes.len() * 8 {
        let mut forged = bytes.clone();
        forged[bit / 8] ^= 1 << (bit % 8);
        assert!(!is_accepted(&URL_SAFE_NO_PAD.encode(forged), START, OPERATOR), "bit {bit}");
    }
    for length in 0..bytes.len() {
        assert!(!is_accepted(&URL_SAFE_NO_PAD.encode(&bytes[..length]), START, OPERATOR), "{length} bytes");
    }
    for text in ["", "=", "%", &format!("{}A", issued()), &format!("{}=", issued())] {
        assert!(!is_accepted(text, START, OPERATOR), "{text}");
    }
}

#[test]
fn a_session_belongs_to_one_key_of_one_app() {
    let value = issued();
    assert!(is_accepted(&value, START, OPERATOR));
    assert!(!is_accepted(&value, START, Subject { name: "another", ..OPERATOR }));
    assert!(!is_accepted(&value, START, Subject { name: "operato", ..OPERATOR }));
    assert!(!is_accepted(&value, START, Subject { hash: &[8; 32], ..OPERATOR }));
    let claimed = Claimed::read(&value, NOW).unwrap();
    let other = AppId::parse("22222222-2222-4333-8444-555555555555").unwrap();
    assert!(!claimed.is_of(&[SessionKey::derive(&sealing())], &other, OPERATOR));
}

#[test]
fn a_rotated_sealing_key_opens_sessions_as_long_as_it_is_listed() {
    let new = SealingKey::parse(&format!("k2:{}", SEALING_KEY.replace('B', "C"))).unwrap();
    let keys = Keys::new(vec![new.clone(), sealing()]).unwrap();
    let claimed = Claimed::read(&issued(), NOW).unwrap();
    assert!(claimed.is_of(keys.session(), &app(), OPERATOR));
    assert!(!claimed.is_of(&[SessionKey::derive(&new)], &app(), OPERATOR));
}

#[test]
fn the_key_of_sessions_is_neither_the_sealing_key_nor_that_of_states() {
    let bytes = |key: &Key32| *key.expose();
    let session = bytes(&SessionKey::derive(&sealing()).0.0);
    assert_ne!(session, bytes(sealing().key()));
    let state = StateKey::derive(&sealing());
    assert!(!Claimed::read(&issued(), NOW).unwrap().is_of(&[SessionKey(state.0)], &app(), OPERATOR));
}
