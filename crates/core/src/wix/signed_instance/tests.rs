use serde_json::json;

use super::*;
use crate::testing::clock::START;
use crate::testing::world::{APP_ID, APP_SECRET, INSTANCE, SITE};

/// The test vector in docs/wix.md, 12.3: signed on 1 January 2026 at midnight, and valid for four hours.
const VECTOR: &str = concat!(
    "mqB7uX5GM_J7o4Fw5b4dXH9Fo48CAt1k6UDG3xMQA9I.",
    "eyJpbnN0YW5jZUlkIjoiYWFhYWFhYWEtYmJiYi00Y2NjLThkZGQtZWVlZWVlZWVlZWVlIiwiYXBwRGVmSWQiOiIxMTExMTExMS0yMjIyLTQzMzMtODQ0",
    "NC01NTU1NTU1NTU1NTUiLCJzaWduRGF0ZSI6IjIwMjYtMDEtMDFUMDA6MDA6MDAuMDAwWiIsInVpZCI6IjY2NjY2NjY2LTc3NzctNDg4OC04OTk5LTAw",
    "MDAwMDAwMDAwMCIsInBlcm1pc3Npb25zIjoiT1dORVIiLCJkZW1vTW9kZSI6ZmFsc2UsImV4cGlyYXRpb25EYXRlIjoiMjAyNi0wMS0wMVQwNDowMDow",
    "MC4wMDBaIn0",
);
const SIGNED_AT: u64 = 1_767_225_600;

fn check(now: u64, value: &str) -> Result<SignedInstance, Unproven> {
    let secrets = [AppSecret::new("another-secret-before"), AppSecret::new(APP_SECRET)];
    verify(&secrets, &AppId::parse(APP_ID).unwrap(), Timestamp(now), value)
}

fn fields() -> Value {
    let date = |seconds: u64| DateTime::from_timestamp(i64::try_from(seconds).unwrap(), 0).unwrap().to_rfc3339();
    json!({
        "instanceId": INSTANCE, "appDefId": APP_ID, "metaSiteId": SITE,
        "signDate": date(START), "expirationDate": date(START + LIFE),
    })
}

fn with(name: &str, value: Value) -> Value {
    let mut fields = fields();
    fields[name] = value;
    fields
}

#[test]
fn the_test_vector_verifies_during_its_lifetime() {
    for now in [SIGNED_AT - 300, SIGNED_AT, SIGNED_AT + LIFE - 1] {
        assert_eq!(check(now, VECTOR).unwrap().instance.as_str(), INSTANCE);
    }
    for now in [SIGNED_AT - 301, SIGNED_AT + LIFE, START + 1_000_000_000] {
        assert!(check(now, VECTOR).is_err(), "{now}");
    }
}

#[test]
fn an_altered_value_is_refused() {
    for place in (0..VECTOR.len()).step_by(7) {
        let mut value = VECTOR.as_bytes().to_vec();
        value[place] = if value[place] == b'A' { b'B' } else { b'A' };
        assert!(check(SIGNED_AT, std::str::from_utf8(&value).unwrap()).is_err(), "{place}");
    }
    let (signature, data) = VECTOR.split_once('.').unwrap();
    for value in [
        String::new(),
        ".".to_owned(),
        data.to_owned(),
        format!(".{data}"),
        format!("{signature}."),
        format!("{VECTOR}.{data}"),
        format!("{data}.{signature}"),
        format!("{}.{data}", &signature[..20]),
        format!("{VECTOR}{}", " ".repeat(LIMIT)),
    ] {
        assert!(check(SIGNED_AT, &value).is_err(), "{}", value.len());
    }
}

#[test]
fn a_value_under_another_secret_is_refused() {
    let secrets = [AppSecret::new("another-secret-before")];
    let app = AppId::parse(APP_ID).unwrap();
    assert!(verify(&secrets, &app, Timestamp(SIGNED_AT), VECTOR).is_err());
    assert!(verify([], &app, Timestamp(SIGNED_AT), VECTOR).is_err());
}

#[test]
fn base64_padding_is_accepted() {
    let (signature, data) = VECTOR.split_once('.').unwrap();
    assert!(check(SIGNED_AT, &format!("{signature}=.{data}")).is_ok());
}

#[test]
fn the_site_is_read_if_it_is_present() {
    let signed = check(START, &sign(APP_SECRET, &fields())).unwrap();
    assert_eq!(signed.site.unwrap().as_str(), SITE);
    let signed = check(START, &sign(APP_SECRET, &with("metaSiteId", Value::Null))).unwrap();
    assert_eq!(signed.site, None);
}

#[test]
fn a_signed_value_with_invalid_fields_or_dates_is_refused() {
    for fields in [
        with("appDefId", json!("33333333-2222-4333-8444-555555555555")),
        with("appDefId", json!("")),
        with("aid", json!("12121212-3434-4565-8787-909090909091")),
        with("instanceId", json!("")),
        with("instanceId", json!(null)),
        with("instanceId", json!("00000000-0000-0000-0000-000000000000")),
        with("signDate", json!("2099-01-01T00:00:00.000Z")),
        with("signDate", json!("yesterday")),
        with("expirationDate", json!("2020-01-01T00:00:00.000Z")),
        with("expirationDate", json!(1)),
        json!({"instanceId": INSTANCE}),
        json!([INSTANCE, APP_ID, SITE, "2020-01-01T00:00:00Z", "2099-01-01T00:00:00Z", null]),
        json!("text"),
    ] {
        assert!(check(START, &sign(APP_SECRET, &fields)).is_err(), "{fields}");
    }
}

#[test]
fn without_an_expiration_date_the_lifetime_is_four_hours() {
    let value = sign(APP_SECRET, &with("expirationDate", Value::Null));
    assert!(check(START + LIFE - 1, &value).is_ok());
    assert!(check(START + LIFE, &value).is_err());
}

/// Signs fields as Wix does: docs/wix.md, 8.
pub(crate) fn sign(secret: &str, fields: &Value) -> String {
    let data = URL_SAFE_NO_PAD.encode(fields.to_string());
    let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap().chain_update(&data);
    format!("{}.{data}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}
