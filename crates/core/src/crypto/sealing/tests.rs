use super::*;
use crate::testing::Fake;
use crate::testing::world::{APP_ID, INSTANCE, VICTIM};
use base64::engine::general_purpose::STANDARD;

const PLAIN: &str = "OAUTH2.a refresh token nobody may see";

struct Ids {
    app: AppId,
    instance: InstanceId,
}

impl Ids {
    fn new() -> Self {
        Self { app: AppId::parse(APP_ID).unwrap(), instance: InstanceId::parse(INSTANCE).unwrap() }
    }

    fn place(&self) -> Place<'_> {
        Place { app: &self.app, instance: &self.instance, field: "refresh_token" }
    }
}

fn key(id: &str, fill: &str) -> SealingKey {
    SealingKey::parse(&format!("{id}:{}", STANDARD.encode(fill.repeat(32)))).unwrap()
}

fn sealed(fake: &Fake, key: &SealingKey, plain: &str) -> String {
    fake.clock().run(seal(fake, key, Ids::new().place(), plain)).unwrap()
}

fn opened(keys: &[SealingKey], place: Place<'_>, envelope: &str) -> Result<String, OpenError> {
    let fake = Fake::default();
    fake.clock().run(open(&fake, keys, place, envelope))
}

fn open_here(keys: &[SealingKey], envelope: &str) -> Result<String, OpenError> {
    opened(keys, Ids::new().place(), envelope)
}

#[test]
fn what_was_sealed_opens_in_its_place() {
    let key = key("k1", "a");
    for plain in [PLAIN, "", "ü€😀", &"x".repeat(100_000)] {
        let envelope = sealed(&Fake::default(), &key, plain);
        assert_eq!(open_here(std::slice::from_ref(&key), &envelope).as_deref(), Ok(plain));
    }
}

#[test]
fn a_sealed_value_moved_elsewhere_does_not_open() {
    let keys = [key("k1", "a")];
    let envelope = sealed(&Fake::default(), &keys[0], PLAIN);
    let ids = Ids::new();
    let other_app = AppId::parse(VICTIM).unwrap();
    let other_instance = InstanceId::parse(VICTIM).unwrap();
    for place in [
        Place { instance: &other_instance, ..ids.place() },
        Place { app: &other_app, ..ids.place() },
        Place { field: "access_token", ..ids.place() },
    ] {
        assert_eq!(opened(&keys, place, &envelope), Err(OpenError::Refused), "{}", place.associated_data());
    }
}

#[test]
fn a_value_sealed_with_a_key_that_is_gone_does_not_open() {
    let envelope = sealed(&Fake::default(), &key("old", "a"), PLAIN);
    assert_eq!(open_here(&[key("new", "a")], &envelope), Err(OpenError::UnknownKey));
    assert_eq!(open_here(&[], &envelope), Err(OpenError::UnknownKey));
    assert_eq!(open_here(&[key("old", "b")], &envelope), Err(OpenError::Refused), "another key under the same name");
}

#[test]
fn after_a_key_rotation_old_values_open() {
    let (old, new) = (key("2025", "a"), key("2026", "b"));
    let envelope = sealed(&Fake::default(), &old, PLAIN);
    assert_eq!(open_here(&[new, old], &envelope).as_deref(), Ok(PLAIN));
}

#[test]
fn a_sealed_value_altered_in_any_byte_does_not_open() {
    let keys = [key("k1", "a")];
    let envelope = sealed(&Fake::default(), &keys[0], PLAIN);
    for at in 0..envelope.len() {
        let mut altered = envelope.clone().into_bytes();
        altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
        let altered = String::from_utf8(altered).unwrap();
        assert!(open_here(&keys, &altered).is_err(), "character {at}");
    }
    for end in 0..envelope.len() {
        assert!(open_here(&keys, &envelope[..end]).is_err(), "cut off at {end}");
    }
}

#[test]
fn what_is_no_envelope_is_told_apart() {
    let keys = [key("k1", "a")];
    let envelope = sealed(&Fake::default(), &keys[0], PLAIN);
    for text in [
        "",
        "plain",
        "s1",
        "s1.k1",
        "s1.k1..",
        "s1.k1.AAAA.AAAA",
        &envelope.replacen("s1", "s2", 1),
        &format!("{envelope}.more"),
        &format!("{envelope}="),
        &envelope.replacen("s1.", "s1..", 1),
    ] {
        assert_eq!(open_here(&keys, text), Err(OpenError::NotSealed), "{text}");
    }
}

#[test]
fn an_envelope_shows_nothing_of_what_is_in_it() {
    let key = key("k1", "a");
    let envelope = sealed(&Fake::default(), &key, PLAIN);
    assert!(envelope.starts_with("s1.k1."));
    assert!(!envelope.contains("OAUTH2") && !envelope.contains(&URL_SAFE_NO_PAD.encode(PLAIN)[..8]), "{envelope}");
}

#[test]
fn no_nonce_is_used_twice() {
    let fake = Fake::default();
    let key = key("k1", "a");
    assert_ne!(sealed(&fake, &key, PLAIN), sealed(&fake, &key, PLAIN));
    fake.fail_random();
    assert!(fake.clock().run(seal(&fake, &key, Ids::new().place(), PLAIN)).is_err());
}

#[test]
fn a_sealing_key_is_an_id_and_32_bytes() {
    let good = STANDARD.encode([7; 32]);
    for id in ["k1", "a", "2026-01_B", &"k".repeat(32)] {
        assert_eq!(SealingKey::parse(&format!("{id}:{good}")).unwrap().id(), id);
    }
    // Base64 that lost its padding, or is of the other alphabet.
    let other = STANDARD.encode([0xfb; 32]);
    for key in [good.trim_end_matches('='), &other, &other.replace('+', "-").replace('/', "_")] {
        assert!(SealingKey::parse(&format!("k1:{key}")).is_ok(), "{key}");
    }
    for text in [
        good.clone(),
        format!(":{good}"),
        format!("{}:{good}", "k".repeat(33)),
        format!("k.1:{good}"),
        format!("k 1:{good}"),
        format!("ü:{good}"),
        "k1:".to_owned(),
        "k1:not base64!".to_owned(),
        format!("k1:{}", STANDARD.encode([7; 31])),
        format!("k1:{}", STANDARD.encode([7; 33])),
        format!("k1:{}", "07".repeat(32)),
        format!("k1:{}", STANDARD.encode([0; 32])),
        format!("k1:{}", STANDARD.encode([0xff; 32])),
    ] {
        let problem = SealingKey::parse(&text).err().unwrap_or_else(|| panic!("{text}")).to_string();
        assert!(!problem.contains(&good[..8]));
    }
}
