use serde_json::json;

use super::*;
use crate::testing::clock::START;
use crate::testing::jws::plugin_claims;
use crate::testing::world::{APP_ID, INSTANCE};

const NOW: Timestamp = Timestamp(START);

fn app() -> AppId {
    AppId::parse(APP_ID).unwrap()
}

/// The claims of a call with another value at this place; null removes it.
fn changed(pointer: &str, value: Value) -> String {
    let mut claims = plugin_claims(&json!({"a": 1}), INSTANCE, START);
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = claims.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    if value.is_null() {
        parent.remove(name)
    } else {
        parent.insert(name.to_owned(), value)
    };
    claims.to_string()
}

fn refusal(claims: &str) -> JwsError {
    match parse(&app(), claims.as_bytes(), NOW) {
        Ok(_) => panic!("it must be refused: {claims}"),
        Err(error) => error,
    }
}

fn refused(pointer: &str, value: Value) -> JwsError {
    refusal(&changed(pointer, value))
}

fn assert_accepted(claims: &str) {
    let problem = parse(&app(), claims.as_bytes(), NOW).err();
    assert!(problem.is_none(), "{claims}: {problem:?}");
}

#[test]
fn request_and_metadata_are_the_bytes_that_wix_sent() {
    let request = r#"{ "big":1e400, "half":"\ud800", "twice":1,"twice":2 }"#;
    let metadata = "{\n \"appExtensionType\": \"T\", \"languages\": [\"\u{e9}\"]}";
    let data = format!(r#"{{"metadata":{metadata},"request": {request}}}"#);
    let claims = format!(r#"{{"iss":"wix.com","aud":"{APP_ID}","exp":{},"iat":{START},"data":{data}}}"#, START + 1);
    let Ok(call) = parse(&app(), claims.as_bytes(), NOW) else { panic!("it must be accepted") };
    assert_eq!((call.request, call.metadata), (request, metadata));
    assert_eq!((call.instance, call.request_id, call.issued_at), (None, None, NOW));
}

#[test]
fn the_caller_and_the_app_must_be_named() {
    for (pointer, values) in [
        ("/iss", vec![json!(null), json!("wix"), json!("https://wix.com"), json!(["wix.com"]), json!(7)]),
        ("/aud", vec![json!(null), json!(INSTANCE), json!(format!("{APP_ID} ")), json!([APP_ID]), json!({})]),
        ("/iat", vec![json!(null)]),
        ("/exp", vec![json!(null)]),
    ] {
        for value in values {
            assert!(matches!(refused(pointer, value.clone()), JwsError::NotForUs(_)), "{pointer} {value}");
        }
    }
}

#[test]
fn times_count_to_the_second_but_for_a_fast_clock_of_wixs() {
    assert_accepted(&changed("/exp", json!(START + 1)));
    assert_accepted(&changed("/iat", json!(START + 60)));
    assert_accepted(&changed("/nbf", json!(START)));
    let half_a_second_later = serde_json::from_str(&format!("{START}.5")).unwrap();
    for (pointer, value) in [
        ("/exp", json!(START)),
        ("/exp", json!(START - 1)),
        ("/exp", json!(0)),
        ("/iat", json!(START + 61)),
        ("/nbf", json!(START + 1)),
        ("/nbf", half_a_second_later),
    ] {
        assert!(matches!(refused(pointer, value.clone()), JwsError::NotNow(_)), "{pointer} {value}");
    }
    for (pointer, value) in
        [("/exp", json!("1999999999")), ("/iat", json!(-1)), ("/nbf", json!(true)), ("/exp", json!(1e300))]
    {
        assert!(matches!(refused(pointer, value.clone()), JwsError::Malformed(_)), "{pointer} {value}");
    }
}

#[test]
fn the_data_must_have_a_request_and_metadata() {
    let long = json!({"appExtensionType": "x".repeat(9000)});
    for (pointer, values) in [
        ("/data", vec![json!(null), json!({}), json!([]), json!(7), json!("x")]),
        ("/data/request", vec![json!(null), json!([]), json!("{}"), json!(7)]),
        ("/data/metadata", vec![json!(null), json!([]), json!("{}"), json!({}), long]),
        ("/data/metadata/appExtensionType", vec![json!(null), json!(7), json!({})]),
        ("/data/metadata/instanceId", vec![json!("x"), json!(7), json!({}), json!(INSTANCE.replace('-', ""))]),
    ] {
        for value in values {
            assert!(matches!(refused(pointer, value.clone()), JwsError::Malformed(_)), "{pointer} {value}");
        }
    }
    for twice in [r#""iss":"wix.com","iss":"wix.com""#, r#""data":{"request":{},"request":{},"metadata":{}}"#] {
        assert!(matches!(refusal(&format!("{{{twice}}}")), JwsError::Malformed(_)), "{twice}");
    }
    for no_object in ["", "[]", "null", "{", "\u{0}"] {
        assert!(matches!(refusal(no_object), JwsError::Malformed(_)), "{no_object}");
    }
}

#[test]
fn the_metadata_need_not_name_an_installation_or_a_request() {
    for (pointer, value) in [
        ("/data/metadata/instanceId", json!(null)),
        ("/data/metadata/instanceId", json!("")),
        ("/data/metadata/requestId", json!(null)),
        ("/data/metadata/requestId", json!("with\na line")),
        ("/data/metadata/identity", json!(null)),
    ] {
        assert_accepted(&changed(pointer, value));
    }
}

#[test]
fn a_webhook_is_refused_with_its_address() {
    let webhook = json!({"data": "{}", "iat": START, "exp": START + 60}).to_string();
    assert!(refusal(&webhook).to_string().contains("/webhook"));
}
