mod claims;
mod wycheproof;

use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::*;
use crate::fuzz::stub::hold;
use crate::testing::Fake;
use crate::testing::clock::START;
use crate::testing::jws::{
    self, GENUINE, GENUINE_KEY, HEADER, INVENTED, INVENTED_KEY, Key, OTHER_PUBLIC_KEY, PUBLIC_KEY, sign,
};
use crate::wix::event::BODY_LIMIT;

fn check(keys: &str, now: u64, body: impl AsRef<[u8]>) -> Result<Claims, JwsError> {
    let fake = Fake::default();
    let keys = PublicKey::parse_all(keys).unwrap();
    fake.clock().run(verify(
        &fake,
        &keys,
        Timestamp(now),
        hold(body.as_ref(), limits(BODY_LIMIT)).expect("a body within the limit"),
    ))
}

fn check_now(body: impl AsRef<[u8]>) -> Result<Claims, JwsError> {
    check(PUBLIC_KEY, START, body)
}

/// Valid claims.
fn valid_claims() -> String {
    json!({"data": "{}", "iat": START, "exp": START + 3_600_000}).to_string()
}

fn is_malformed(result: &Result<Claims, JwsError>) -> bool {
    matches!(result, Err(JwsError::Malformed(_)))
}

fn is_bad_signature(result: &Result<Claims, JwsError>) -> bool {
    matches!(result, Err(JwsError::BadSignature(_)))
}

fn is_not_now(result: &Result<Claims, JwsError>) -> bool {
    matches!(result, Err(JwsError::NotNow(_)))
}

#[test]
fn a_genuine_message_of_wix_is_accepted() {
    let claims = check(GENUINE_KEY, 1_640_788_600, GENUINE).unwrap();
    assert_eq!(claims.issued_at, Timestamp(1_640_788_554));
    let envelope: Value = serde_json::from_str(&claims.data).unwrap();
    assert_eq!(envelope["eventType"], "AppInstalled");
    assert_eq!(envelope["instanceId"], "3bbcabc7-ebb7-4fc8-8829-13ea0e142123");
    let inner: Value = serde_json::from_str(envelope["data"].as_str().unwrap()).unwrap();
    assert_eq!(inner["appId"], "5bc2062d-010b-448c-a62a-d6bb269c5a4c");
    assert_eq!(inner["originInstanceId"], "07864c16-3a6f-4dd2-9973-028705762b2c");
}

#[test]
fn a_message_is_valid_from_iat_to_exp_and_a_minute_on_both_sides() {
    const IAT: u64 = 1_640_788_554;
    const EXP: u64 = 1_644_388_554;
    for now in [IAT - 60, IAT, EXP - 1, EXP, EXP + 59] {
        assert!(check(GENUINE_KEY, now, GENUINE).is_ok(), "{now}");
    }
    for now in [0, IAT - 61, EXP + 60, EXP + 61, u64::MAX] {
        assert!(is_not_now(&check(GENUINE_KEY, now, GENUINE)), "{now}");
    }
}

#[test]
fn the_invented_message_of_the_wix_document_is_accepted() {
    let claims = check(INVENTED_KEY, 1_767_225_600, INVENTED).unwrap();
    assert_eq!(claims.issued_at, Timestamp(1_767_225_600));
    let envelope: Value = serde_json::from_str(&claims.data).unwrap();
    assert_eq!(envelope["webhookId"], "wId_1767225600123_-123456789__AbC123");
}

#[test]
fn any_of_several_keys_may_verify() {
    let keys = format!("{OTHER_PUBLIC_KEY}{INVENTED_KEY}{GENUINE_KEY}");
    assert!(check(&keys, 1_640_788_600, GENUINE).is_ok());
    assert!(check(&keys, START, INVENTED).is_ok());
    assert!(is_bad_signature(&check(&keys, START, sign(Key::Wix, HEADER, &valid_claims()))));
}

#[test]
fn a_retry_after_47_hours_is_accepted() {
    let late = START + 47 * 3600 + 11 * 60;
    assert!(check(PUBLIC_KEY, late, sign(Key::Wix, HEADER, &valid_claims())).is_ok());
}

#[test]
fn a_signature_with_one_bit_flipped_is_refused() {
    let token = sign(Key::Wix, HEADER, &valid_claims());
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    for at in [0, 1, 100, 254, 255] {
        for bit in [0, 7] {
            let mut flipped = signature.clone();
            flipped[at] ^= 1 << bit;
            let body = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(flipped));
            assert!(is_bad_signature(&check_now(body)), "bit {bit} of byte {at}");
        }
    }
    assert!(check_now(&token).is_ok());
}

#[test]
fn parts_of_two_messages_are_refused() {
    let one = sign(Key::Wix, HEADER, &valid_claims());
    let other = sign(Key::Wix, r#"{"alg":"RS256"}"#, &valid_claims().replace("{}", "[]"));
    let (a, b): (Vec<&str>, Vec<&str>) = (one.split('.').collect(), other.split('.').collect());
    for mixed in [[a[0], b[1], a[2]], [b[0], a[1], a[2]], [a[0], a[1], b[2]]] {
        assert!(is_bad_signature(&check_now(mixed.join("."))), "{mixed:?}");
    }
}

#[test]
fn a_signature_with_another_key_is_refused() {
    assert!(is_bad_signature(&check_now(sign(Key::Other, HEADER, &valid_claims()))));
}

#[test]
fn a_key_in_the_header_is_not_used() {
    let key = PublicKey::parse_all(OTHER_PUBLIC_KEY).unwrap();
    let der = STANDARD.encode(key[0].der());
    for header in [
        json!({"alg": "RS256", "jwk": {"kty": "RSA", "n": URL_SAFE_NO_PAD.encode([0xc5; 256]), "e": "AQAB"}}),
        json!({"alg": "RS256", "jku": "https://evil.example/keys.json", "kid": "0"}),
        json!({"alg": "RS256", "x5u": "https://evil.example/key.pem"}),
        json!({"alg": "RS256", "x5c": [der]}),
        json!({"alg": "RS256", "kid": "../../dev/null"}),
    ] {
        assert!(is_bad_signature(&check_now(sign(Key::Other, &header.to_string(), &valid_claims()))), "{header}");
        assert!(
            check_now(sign(Key::Wix, &header.to_string(), &valid_claims())).is_ok(),
            "{header} must not change the result"
        );
    }
}

#[test]
fn no_algorithm_but_rs256_is_accepted() {
    let none = format!("{}.{}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#), URL_SAFE_NO_PAD.encode(valid_claims()));
    assert!(is_bad_signature(&check_now(none)));

    let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256"}"#);
    let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(valid_claims()));
    for key in [PUBLIC_KEY.as_bytes(), PUBLIC_KEY.trim().as_bytes()] {
        use hmac::{Hmac, KeyInit as _, Mac as _};
        let mac = Hmac::<sha2::Sha256>::new_from_slice(key).unwrap().chain_update(&signed).finalize().into_bytes();
        assert!(is_bad_signature(&check_now(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac)))));
    }

    for name in ["RS384", "RS512", "PS256", "ES256", "rs256", "RS256 ", "none", "None", ""] {
        let header = format!(r#"{{"alg":"{name}"}}"#);
        assert!(is_bad_signature(&check_now(sign(Key::Wix, &header, &valid_claims()))), "{name}");
    }
    for header in [r#"{"alg":null}"#, r#"{"alg":["RS256"]}"#, r#"{"kid":"RS256"}"#, "{}"] {
        assert!(is_malformed(&check_now(sign(Key::Wix, header, &valid_claims()))), "{header}");
    }
}

#[test]
fn a_body_that_is_not_a_compact_jws_is_refused() {
    let token = sign(Key::Wix, HEADER, &valid_claims());
    let parts: Vec<&str> = token.split('.').collect();
    let length = token.len();
    let standard = |part: &str| STANDARD.encode(URL_SAFE_NO_PAD.decode(part).unwrap()).trim_end_matches('=').to_owned();
    for body in [
        String::new(),
        " \n".to_owned(),
        ".".to_owned(),
        "..".to_owned(),
        "...".to_owned(),
        parts[0].to_owned(),
        format!("{}.{}", parts[0], parts[1]),
        format!("{token}."),
        format!("{token}.{}", parts[2]),
        format!(".{token}"),
        format!("\"{token}\""),
        format!("Bearer {token}"),
        format!("JWT={token}"),
        format!("{}=.{}.{}", parts[0], parts[1], parts[2]),
        format!("{}.{}.{}==", parts[0], parts[1], parts[2]),
        format!("{}.{}.{}", parts[0], parts[1], standard(parts[2])),
        r#"{"eventType":"AppInstalled"}"#.to_owned(),
    ] {
        assert!(is_malformed(&check_now(&body)), "{body}");
    }
    assert!(check_now(format!("{}.{}\n.{}", parts[0], parts[1], parts[2])).is_err());
    assert!(standard(parts[2]).contains(['+', '/']), "this signature must differ in the standard alphabet");
    for end in [length - 1, length - 2, length - 100] {
        assert!(check_now(&token[..end]).is_err(), "{end}");
    }
    assert!(is_malformed(&check_now([&[0xff], token.as_bytes()].concat())));
    assert!(is_malformed(&check_now([0xff; 100])));
}

#[test]
fn white_space_around_the_message_is_accepted() {
    let token = sign(Key::Wix, HEADER, &valid_claims());
    for body in [format!("{token}\n"), format!("{token}\r\n"), format!("\n  {token} \t")] {
        assert!(check_now(&body).is_ok(), "{body:?}");
    }
}

#[test]
fn a_header_over_the_limit_is_refused() {
    let header = |length| format!(r#"{{"alg":"RS256","kid":"{}"}}"#, "k".repeat(length));
    assert!(check_now(sign(Key::Wix, &header(1500), &valid_claims())).is_ok());
    assert!(is_malformed(&check_now(sign(Key::Wix, &header(1600), &valid_claims()))));
    assert!(is_malformed(&check_now(sign(Key::Wix, &header(100_000), &valid_claims()))));
}

#[test]
fn a_critical_extension_is_refused() {
    for crit in [json!(["exp"]), json!(["x"]), json!([]), json!("x"), json!(false)] {
        let header = json!({"alg": "RS256", "crit": crit}).to_string();
        assert!(is_bad_signature(&check_now(sign(Key::Wix, &header, &valid_claims()))), "{header}");
    }
}

#[test]
fn typ_and_unknown_header_fields_are_ignored() {
    for header in [r#"{"alg":"RS256"}"#, r#"{"alg":"RS256","typ":"JWT"}"#, r#"{"typ":7,"b64":1,"alg":"RS256"}"#] {
        assert!(check_now(sign(Key::Wix, header, &valid_claims())).is_ok(), "{header}");
    }
}

#[test]
fn a_signature_of_another_length_is_refused() {
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(HEADER), URL_SAFE_NO_PAD.encode(valid_claims()));
    for length in [0, 1, 255, 257, 512] {
        let body = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(vec![1; length]));
        assert!(is_bad_signature(&check_now(body)), "{length}");
    }
}

#[test]
fn a_message_in_the_form_of_wix_is_accepted() {
    let claims = check_now(jws::installed("aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee", START)).unwrap();
    assert!(claims.data.contains("AppInstalled"));
}
