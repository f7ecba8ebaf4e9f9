use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use serde_json::json;

use super::*;
use crate::world::World;

/// The message of section 12.1, signed by Wix, and its public key.
const GENUINE_KEY: &str = "-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAjUtCVyLGf8M0+qlYWrJv
NYXpCwV2viCFuf4TJcdxoocZT0GOghRA0q9tYko5Rt4uJXARwn3khou9qKnZYC1+
7+81HY3JSoY9Hc5FILrYuxhkdYEDwKd2A27x4k4MLlEV9YlU2Vugr3oGE3+smuNl
6RhPn7gHvdK7cK9Ss1cZIg+icNPjUD+tHiDa4tn4I8uJOQqvA+PNXok3AntDZvYD
ETlQctvZVLV5cNvP81JdYOf4huItqoZkATtXwJE8Cm0cvu9vm0IqZCn4KHxjTnBk
CMY5DcX4T+CyW9klcdmWINxGRQI8VAHORuvGi2gKTK0zZvk7FZHOTjLfEMdgJ/uY
vwIDAQAB
-----END PUBLIC KEY-----";
const GENUINE: &str = "eyJraWQiOiJMR3VhcGtTRCIsImFsZyI6IlJTMjU2In0.eyJkYXRhIjoie1wiZGF0YVwiOlwie1xcXCJhcHBJZFxcXCI6XFxcIjViYzIwNjJkLTAxMGItNDQ4Yy1hNjJhLWQ2YmIyNjljNWE0Y1xcXCIsIFxcXCJvcmlnaW5JbnN0YW5jZUlkXFxcIjpcXFwiMDc4NjRjMTYtM2E2Zi00ZGQyLTk5NzMtMDI4NzA1NzYyYjJjXFxcIn1cIixcImluc3RhbmNlSWRcIjpcIjNiYmNhYmM3LWViYjctNGZjOC04ODI5LTEzZWEwZTE0MjEyM1wiLFwiZXZlbnRUeXBlXCI6XCJBcHBJbnN0YWxsZWRcIn0iLCJpYXQiOjE2NDA3ODg1NTQsImV4cCI6MTY0NDM4ODU1NH0.efOBeS4YXRIFUMOQ1x8AiHX50zrzdmSg3hU03dYFtsXdcf2S_lvu2VlnvxuesEFUoqLTh3ALnMs7gQpLPkCeLscWWOwW6sEuue3ONFFizB92YUDlQGjKAg4duykz37wbFrkak38Gp1k6ghGQGN7GXmoYHRFvHpXlVxONPRn9cgt4SSxVbR4po5aUpbDOjB8VkoUzbtQPiVW2Dv4-L8E4kQSXvbXuDhMwEHWyboFNRB1W7ayQS6_TiXoy4cTu-4PLMFh3Wfg8YnfEmmL56qXbWyutLfPs94gAT2--6vSqJzNhDoauj-nzCQESwAz2VeBeldI_GoVZFt6XFVhgynPwdg";

/// Verifies a message under a PEM key, and returns its header and claims.
fn verified(pem_key: &str, jwt: &str) -> Option<(String, Value)> {
    let (input, signature) = jwt.rsplit_once('.')?;
    let (header, claims) = input.split_once('.')?;
    let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pem::parse(pem_key).ok()?.into_contents());
    key.verify(input.as_bytes(), &jws::decode(signature)?).ok()?;
    Some((String::from_utf8(jws::decode(header)?).ok()?, serde_json::from_slice(&jws::decode(claims)?).ok()?))
}

fn shared() -> Shared {
    Shared::new(World::default(), SigningKey::generate().unwrap(), String::new(), None, None).unwrap()
}

fn event() -> Event {
    let data = r#"{"appId":"11111111-2222-4333-8444-555555555555","originInstanceId":""}"#;
    let mut event =
        Event::new("AppInstalled", Some("aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"), data.to_owned(), 1_767_225_600_123);
    event.identity =
        Some(Identity { identity_type: "WIX_USER", wix_user_id: "66666666-7777-4888-8999-000000000000".to_owned() });
    event
}

#[test]
fn a_composed_message_has_the_format_of_the_genuine_one() {
    let (header, claims) = verified(GENUINE_KEY, GENUINE).unwrap();
    assert_eq!(header, r#"{"kid":"LGuapkSD","alg":"RS256"}"#);
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 3_600_000);

    let shared = shared();
    let composed = compose(&shared, &Switches::default(), &event()).unwrap();
    let (own_header, own_claims) = verified(&shared.own_key.public_pem(), &composed).unwrap();
    assert_eq!(own_header, header.replace("LGuapkSD", &shared.own_key.kid));
    assert_eq!(own_claims["exp"].as_i64().unwrap() - own_claims["iat"].as_i64().unwrap(), 3_600_000);
    let names = |claims: &Value| claims.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&own_claims), names(&claims));
}

#[test]
fn the_three_layers_are_compact_and_have_wixs_field_order() {
    let shared = shared();
    let jwt = compose(&shared, &Switches::default(), &Event { webhook_id: "wId_1".to_owned(), ..event() }).unwrap();
    let claims = String::from_utf8(jws::decode(jwt.split('.').nth(1).unwrap()).unwrap()).unwrap();
    assert!(claims.starts_with(r#"{"data":"{\"data\":"#), "{claims}");
    let read: Value = serde_json::from_str(&claims).unwrap();
    let envelope = read["data"].as_str().unwrap();
    assert_eq!(
        envelope,
        concat!(
            r#"{"data":"{\"appId\":\"11111111-2222-4333-8444-555555555555\",\"originInstanceId\":\"\"}","#,
            r#""instanceId":"aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee","eventType":"AppInstalled","#,
            r#""identity":"{\"identityType\":\"WIX_USER\",\"wixUserId\":\"66666666-7777-4888-8999-000000000000\"}","#,
            r#""webhookId":"wId_1"}"#
        )
    );
}

#[test]
fn identity_and_webhook_id_can_be_left_out() {
    let switches = Switches { webhook_identity: false, webhook_id: false, ..Switches::default() };
    let shared = shared();
    let jwt = compose(&shared, &switches, &event()).unwrap();
    let (_, claims) = verified(&shared.own_key.public_pem(), &jwt).unwrap();
    let envelope: Value = serde_json::from_str(claims["data"].as_str().unwrap()).unwrap();
    assert_eq!(envelope.as_object().unwrap().len(), 3);
}

#[test]
fn a_webhook_id_has_wixs_format() {
    let id = webhook_id(1_767_225_600_123);
    let rest = id.strip_prefix("wId_1767225600123_").unwrap();
    let (number, tail) = rest.split_once("__").unwrap();
    assert!(number.parse::<i64>().is_ok(), "{id}");
    assert!(!tail.is_empty(), "{id}");
}

#[test]
fn a_test_message_is_pretty_printed_and_has_no_identity() {
    let shared = shared();
    let jwt = test_message(&shared, &Switches::default(), "AppRemoved", "an-instance", r#"{"appId":"a:b,c"}"#).unwrap();
    let (_, claims) = verified(&shared.own_key.public_pem(), &jwt).unwrap();
    let envelope: Value = serde_json::from_str(claims["data"].as_str().unwrap()).unwrap();
    assert_eq!(envelope["data"], "{\n  \"appId\": \"a:b,c\"\n} ");
    assert!(envelope.get("identity").is_none());
}

#[test]
fn a_hand_made_message_can_violate_each_rule_separately() {
    let shared = shared();
    let own = shared.own_key.public_pem();
    let make = |raw: Value| compose_raw(&shared, &Switches::default(), &serde_json::from_value(raw).unwrap(), "{}");
    assert!(verified(&own, &make(json!({})).unwrap()).is_some());
    assert!(verified(&own, &make(json!({"key": "other"})).unwrap()).is_none());
    assert!(verified(&own, &make(json!({"corrupt_signature": true})).unwrap()).is_none());
    assert!(verified(&own, &make(json!({"alg": "RS512"})).unwrap()).is_none());
    assert!(make(json!({"alg": "none"})).unwrap().ends_with('.'));
    assert!(make(json!({"alg": "none", "corrupt_signature": true})).is_err());
    assert!(make(json!({"alg": "ES256"})).is_err());
    assert_eq!(make(json!({"body": "not a jwt\n"})).unwrap(), "not a jwt\n");
    let (_, claims) = verified(&own, &make(json!({"exp": "soon", "iat": 5, "envelope": {"a": 1}})).unwrap()).unwrap();
    assert_eq!(claims, json!({"data": {"a": 1}, "iat": 5, "exp": "soon"}));
    let (_, claims) = verified(&own, &make(json!({"omit_exp": true, "data_text": "no json"})).unwrap()).unwrap();
    assert!(claims.get("exp").is_none());
}
