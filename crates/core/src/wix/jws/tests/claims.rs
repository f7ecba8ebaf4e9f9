//! Claims: their types and times, and that the signature is checked before them.

use serde_json::json;

use super::*;

#[test]
fn a_duplicate_claim_is_refused() {
    let twice = format!(r#"{{"data":"{{}}","iat":{START},"iat":{}}}"#, START + 1);
    let data_twice = format!(r#"{{"data":"a","data":"b","iat":{START}}}"#);
    for claims in [twice, data_twice] {
        assert!(is_malformed(&check_now(sign(Key::Wix, HEADER, &claims))), "{claims}");
    }
    assert!(is_malformed(&check_now(sign(Key::Wix, r#"{"alg":"none","alg":"RS256"}"#, &valid_claims()))));
}

#[test]
fn a_claim_of_another_type_is_refused() {
    let end = START + 100;
    for claims in [
        json!({"data": "{}", "iat": START, "exp": "1770825600"}),
        json!({"data": "{}", "iat": START, "exp": -1}),
        json!({"data": "{}", "iat": START, "exp": true}),
        json!({"data": "{}", "iat": START, "exp": 1e300}),
        json!({"data": "{}", "iat": START.to_string(), "exp": end}),
        json!({"data": "{}", "iat": null, "exp": end}),
        json!({"data": "{}", "iat": -5, "exp": end}),
        json!({"data": "{}", "exp": end}),
        json!({"data": "{}", "iat": START, "nbf": "soon"}),
        json!({"data": {}, "iat": START}),
        json!({"data": {"request": {}, "metadata": {}}, "iat": START}),
        json!({"data": null, "iat": START}),
        json!({"iat": START, "exp": end}),
        json!([]),
        json!("text"),
        json!(null),
    ] {
        assert!(is_malformed(&check_now(sign(Key::Wix, HEADER, &claims.to_string()))), "{claims}");
    }
    for claims in ["", "{", "not json", r#"{"data":"{}","iat":1e999}"#, r#"{"data":"{}","iat":NaN}"#] {
        assert!(is_malformed(&check_now(sign(Key::Wix, HEADER, claims))), "{claims}");
    }
}

#[test]
fn an_exp_of_null_is_refused() {
    let claims = json!({"data": "{}", "iat": START, "exp": null}).to_string();
    assert!(
        is_malformed(&check_now(sign(Key::Wix, HEADER, &claims))),
        "docs/wix.md, 4.4: `exp` must be a number if it is present"
    );
}

#[test]
fn optional_and_unknown_claims_are_accepted() {
    for claims in [
        json!({"data": "{}", "iat": START}),
        json!({"data": "{}", "iat": START, "exp": START + 1, "iss": "x", "aud": ["y"], "jti": 1}),
        json!({"data": "not even json", "iat": START}),
        json!({"data": "{}", "iat": 1_767_225_600.75}),
        json!({"data": "{}", "iat": START, "nbf": START + 60}),
    ] {
        let claims = check_now(sign(Key::Wix, HEADER, &claims.to_string())).unwrap();
        assert_eq!(claims.issued_at, Timestamp(START));
    }
}

#[test]
fn a_message_that_is_not_valid_yet_is_refused() {
    for claims in [json!({"data": "{}", "iat": START, "nbf": START + 61}), json!({"data": "{}", "iat": START + 61})] {
        assert!(is_not_now(&check_now(sign(Key::Wix, HEADER, &claims.to_string()))), "{claims}");
    }
}

#[test]
fn the_signature_is_checked_before_the_claims() {
    for claims in [
        "not json".to_owned(),
        json!({"data": {}, "iat": "x"}).to_string(),
        json!({"data": "{}", "iat": START + 99_999}).to_string(),
        json!({"data": "{}", "iat": 1, "exp": 2}).to_string(),
    ] {
        assert!(is_bad_signature(&check_now(sign(Key::Other, HEADER, &claims))), "{claims}");
    }
    let unreadable = format!("{}.%%%.{}", URL_SAFE_NO_PAD.encode(HEADER), URL_SAFE_NO_PAD.encode([7; 256]));
    assert!(is_bad_signature(&check_now(unreadable)));
}

#[test]
fn an_array_as_header_or_claims_is_refused() {
    assert!(is_malformed(&check_now(sign(Key::Wix, r#"["RS256",null]"#, &valid_claims()))));
    let claims = json!(["{}", START, START + 60, null]).to_string();
    assert!(is_malformed(&check_now(sign(Key::Wix, HEADER, &claims))));
}
