use super::*;
use crate::testing::Fake;
use crate::testing::world::{APP_ID, INSTANCE, VICTIM};
use base64::engine::general_purpose::STANDARD;

const PLAIN: &str = "OAUTH2.a secret refresh token";

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

fn opened(keys: &[SealingKey], place: Place<'_>, sealed_value: &str) -> Result<String, OpenError> {
    let fake = Fake::default();
    fake.clock().run(open(&fake, keys, place, sealed_value))
}

fn open_here(keys: &[SealingKey], sealed_value: &str) -> Result<String, OpenError> {
    opened(keys, Ids::new().place(), sealed_value)
}

#[test]
fn a_sealed_value_opens_in_its_place() {
    let key = key("k1", "a");
    for plain in [PLAIN, "", "ü€😀", &"x".repeat(100_000)] {
        let sealed_value = sealed(&Fake::default(), &key, plain);
        assert_eq!(open_here(std::slice::from_ref(&key), &sealed_value).as_deref(), Ok(plain));
    }
}

#[test]
fn a_sealed_value_does_not_open_in_another_place() {
    let keys = [key("k1", "a")];
    let sealed_value = sealed(&Fake::default(), &keys[0], PLAIN);
    let ids = Ids::new();
    let other_app = AppId::parse(VICTIM).unwrap();
    let other_instance = InstanceId::parse(VICTIM).unwrap();
    for place in [
        Place { instance: &other_instance, ..ids.place() },
        Place { app: &other_app, ..ids.place() },
        Place { field: "access_token", ..ids.place() },
    ] {
        assert_eq!(opened(&keys, place, &sealed_value), Err(OpenError::Refused), "{}", place.associated_data());
    }
}

#[test]
fn a_value_sealed_with_a_missing_key_does_not_open() {
    let sealed_value = sealed(&Fake::default(), &key("old", "a"), PLAIN);
    assert_eq!(open_here(&[key("new", "a")], &sealed_value), Err(OpenError::UnknownKey));
    assert_eq!(open_here(&[], &sealed_value), Err(OpenError::UnknownKey));
    assert_eq!(open_here(&[key("old", "b")], &sealed_value), Err(OpenError::Refused), "another key with the same id");
}

#[test]
fn after_a_key_rotation_older_values_open() {
    let (old, new) = (key("2025", "a"), key("2026", "b"));
    let sealed_value = sealed(&Fake::default(), &old, PLAIN);
    assert_eq!(open_here(&[new, old], &sealed_value).as_deref(), Ok(PLAIN));
}

#[test]
fn a_sealed_value_altered_in_any_byte_does_not_open() {
    let keys = [key("k1", "a")];
    let sealed_value = sealed(&Fake::default(), &keys[0], PLAIN);
    for at in 0..sealed_value.len() {
        let mut altered = sealed_value.clone().into_bytes();
        altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
        let altered = String::from_utf8(altered).unwrap();
        assert!(open_here(&keys, &altered).is_err(), "character {at}");
    }
    for end in 0..sealed_value.len() {
        assert!(open_here(&keys, &sealed_value[..end]).is_err(), "cut off at {end}");
    }
}

#[test]
fn malformed_text_is_reported_as_not_sealed() {
    let keys = [key("k1", "a")];
    let sealed_value = sealed(&Fake::default(), &keys[0], PLAIN);
    for text in [
        "",
        "plain",
        "s1",
        "s1.k1",
        "s1.k1..",
        "s1.k1.AAAA.AAAA",
        &sealed_value.replacen("s1", "s2", 1),
        &format!("{sealed_value}.more"),
        &format!("{sealed_value}="),
        &sealed_value.replacen("s1.", "s1..", 1),
    ] {
        assert_eq!(open_here(&keys, text), Err(OpenError::NotSealed), "{text}");
    }
}

#[test]
fn a_sealed_value_shows_no_plain_text() {
    let key = key("k1", "a");
    let sealed_value = sealed(&Fake::default(), &key, PLAIN);
    assert!(sealed_value.starts_with("s1.k1."));
    assert!(
        !sealed_value.contains("OAUTH2") && !sealed_value.contains(&URL_SAFE_NO_PAD.encode(PLAIN)[..8]),
        "{sealed_value}"
    );
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
    // Base64 without its padding, or with the URL-safe alphabet.
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
        let problem = SealingKey::parse(&text).err().unwrap_or_else(|| panic!("{text} must be refused")).to_string();
        assert!(!problem.contains(&good[..8]));
    }
}
