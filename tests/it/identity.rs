//! `POST /v1/identity`: introspects a signed instance or an access token of a front end (docs/wix.md 8 and 1.5).

use serde_json::{Value, json};

use crate::harness::{API_KEY, Response, Stage, guid, now, shared};

fn request(stage: &Stage, body: &Value) -> Response {
    stage.worker.request("POST", "/v1/identity").key(API_KEY).json(body).send()
}

/// A signed instance from the simulator, with changes.
fn signed(stage: &Stage, id: &str, changes: &Value) -> String {
    let mut body = json!({ "instance_id": id });
    for (name, value) in changes.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    stage.wix.post("/_sim/signed-instance", &body)["instance"].as_str().expect("a value").to_owned()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("must be a string: {value}"))
}

#[test]
fn a_signed_instance_identifies_its_instance_and_user() {
    let stage = shared();
    let id = stage.wix.new_instance();
    let value = signed(stage, &id, &json!({}));
    let response = request(stage, &json!({ "instance": value })).expect(200);
    assert_eq!(response.header("cache-control"), Some("no-store"), "{response:?}");
    let identity = response.json();
    let site = &stage.wix.of_instance("instances", &id)[0]["site_id"];
    assert_eq!((&identity["instance_id"], &identity["site_id"]), (&json!(id), site), "{identity}");
    assert_eq!((&identity["permissions"], &identity["demo_mode"]), (&json!("OWNER"), &json!(false)), "{identity}");
    let life = identity["expires_at"].as_i64().expect("an expiration") - now();
    assert!((14_390..=14_400).contains(&life), "{identity}");
    assert_eq!(stage.wix.called_endpoints(&id), Vec::<String>::new());
    let entry = stage.worker.log.of_request(response.request_id());
    assert_eq!((&entry["route"], &entry["instance_id"]), (&json!("/v1/identity"), &json!(id)), "{entry}");
}

#[test]
fn a_signed_instance_that_is_forged_or_expired_is_refused() {
    let stage = shared();
    let id = stage.wix.new_instance();
    let genuine = signed(stage, &id, &json!({}));
    for value in [
        signed(stage, &id, &json!({ "secret": "another-secret-0123456789" })),
        signed(stage, &id, &json!({ "overrides": { "aid": guid() } })),
        signed(stage, &id, &json!({ "overrides": { "appDefId": guid() } })),
        signed(stage, &id, &json!({ "overrides": { "expirationDate": "2020-01-01T00:00:00.000Z" } })),
        signed(stage, &id, &json!({ "overrides": { "instanceId": "" } })),
        format!("{genuine}A"),
        genuine.replace('.', ""),
    ] {
        let response = request(stage, &json!({ "instance": value })).expect(422);
        assert_eq!(response.code(), "not_genuine");
        assert!(!stage.worker.log.of_request(response.request_id()).to_string().contains(&value));
    }
    for body in [json!({}), json!({ "instance": genuine, "access_token": "t" }), json!({ "token": genuine })] {
        assert_eq!(request(stage, &body).expect(400).code(), "bad_request", "{body}");
    }
}

#[test]
fn an_access_token_is_introspected_once_a_minute() {
    let stage = shared();
    let id = stage.wix.new_instance();
    let token = stage.token(&id).expect(200).json()["access_token"].clone();
    for _ in 0..3 {
        let identity = request(stage, &json!({ "access_token": token })).expect(200).json();
        assert_eq!(identity["instance_id"], id.as_str(), "{identity}");
        assert_eq!(identity["subject"], json!({ "type": "app", "id": stage.wix.app.app_id }), "{identity}");
        assert!(identity["expires_at"].is_i64(), "{identity}");
    }
    assert_eq!(stage.wix.called_endpoints(&id).iter().filter(|name| *name == "token_info").count(), 1);
}

#[test]
fn an_access_token_that_is_revoked_or_unknown_is_refused() {
    let stage = shared();
    let id = stage.wix.new_instance();
    let token = stage.token(&id).expect(200).json()["access_token"].clone();
    stage.wix.revoke_tokens(&id, false);
    let visitor = signed(stage, &id, &json!({ "overrides": { "aid": guid() } }));
    for token in [text(&token), "OauthNG.JWS.made.up.token", visitor.as_str(), ""] {
        let response = request(stage, &json!({ "access_token": token })).expect(422);
        assert_eq!(response.code(), "not_genuine", "{response:?}");
    }
}
