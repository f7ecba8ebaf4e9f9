//! Access tokens for the app's back end: both authentication models, caching, refusals, retries.

use serde_json::{Value, json};

use crate::harness::{API_KEY, Response, Stage, guid, next_second, now, parameter, shared};

const CLIENT_CREDENTIALS: &str = "oauth2_token client_credentials";
const REFRESH_TOKEN: &str = "oauth_access refresh_token";

fn force(stage: &Stage, id: &str) -> Response {
    stage
        .worker
        .request("POST", &format!("/v1/instances/{id}/token"))
        .key(API_KEY)
        .json(&json!({ "force": true }))
        .send()
}

fn access_token(response: &Response) -> String {
    response.json()["access_token"].as_str().unwrap_or_else(|| panic!("must have a token: {response:?}")).to_owned()
}

/// The remaining lifetime of the token, in seconds.
fn life(response: &Response) -> i64 {
    response.json()["expires_at"].as_i64().unwrap_or_else(|| panic!("must have an expiration: {response:?}")) - now()
}

/// Introspects the token at Wix.
fn introspect(stage: &Stage, token: &str) -> Value {
    stage.wix.post("/oauth2/token-info", &json!({ "token": token }))
}

#[test]
fn an_oauth_instance_gets_a_four_hour_token_by_client_credentials() {
    let stage = shared();
    let id = stage.wix.new_instance();
    let response = stage.token(&id).expect(200);
    assert_eq!(response.header("content-type"), Some("application/json"), "{response:?}");
    assert_eq!(response.header("cache-control"), Some("no-store"), "{response:?}");
    let mut fields: Vec<String> =
        response.json().as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect();
    fields.sort();
    assert_eq!(fields, ["access_token", "expires_at", "token_type"], "{response:?}");
    assert_eq!(response.json()["token_type"], "Bearer");
    assert!((14_390..=14_400).contains(&life(&response)), "{response:?}");
    assert_eq!(stage.wix.called_endpoints(&id), [CLIENT_CREDENTIALS]);
    let info = introspect(stage, &access_token(&response));
    assert_eq!((&info["active"], &info["instanceId"]), (&json!(true), &json!(id)), "{info}");
}

#[test]
fn a_custom_instance_gets_a_five_minute_token_by_its_refresh_token() {
    let stage = shared();
    let id = stage.install().instance;
    let response = force(stage, &id).expect(200);
    assert!((290..=300).contains(&life(&response)), "{response:?}");
    assert_eq!(stage.wix.called_endpoints(&id)[2..], [REFRESH_TOKEN]);
    let info = introspect(stage, &access_token(&response));
    assert_eq!((&info["active"], &info["instanceId"]), (&json!(true), &json!(id)), "{info}");
    assert_eq!(stage.instance(&id)["auth"], "custom");
}

#[test]
fn the_token_of_the_exchange_is_returned_while_it_is_valid() {
    let stage = shared();
    let installed = stage.install();
    let response = stage.token(&installed.instance).expect(200);
    let given = parameter(&installed.response.location(), "access_token");
    assert_eq!(access_token(&response), given);
    assert_eq!(stage.wix.called_endpoints(&installed.instance).len(), 2);
}

#[test]
fn a_cached_token_is_returned_without_a_call_to_wix() {
    let stage = shared();
    let id = stage.wix.new_instance();
    let first = stage.token(&id).expect(200).json();
    for _ in 0..3 {
        assert_eq!(stage.token(&id).expect(200).json(), first);
    }
    assert_eq!(stage.wix.called_endpoints(&id), [CLIENT_CREDENTIALS]);
}

#[test]
fn force_mints_a_new_token() {
    let stage = shared();
    let id = stage.wix.new_instance();
    let first = access_token(&stage.token(&id).expect(200));
    let forced = access_token(&force(stage, &id).expect(200));
    assert_ne!(first, forced);
    assert_eq!(stage.wix.called_endpoints(&id), [CLIENT_CREDENTIALS, CLIENT_CREDENTIALS]);
    assert_eq!(access_token(&stage.token(&id).expect(200)), forced);
}

#[test]
fn an_empty_body_and_force_false_equal_no_body() {
    let stage = shared();
    let id = stage.wix.new_instance();
    let path = format!("/v1/instances/{id}/token");
    let first = stage.token(&id).expect(200).json();
    for body in ["", "{}", r#"{"force":false}"#, " \n"] {
        assert_eq!(
            stage.worker.request("POST", &path).key(API_KEY).body(body).send().expect(200).json(),
            first,
            "{body:?}"
        );
    }
}

#[test]
fn a_malformed_body_is_refused() {
    let stage = shared();
    let id = stage.wix.new_instance();
    let path = format!("/v1/instances/{id}/token");
    for body in ["{", "[]", "true", r#"{"force":"yes"}"#, r#"{"Force":true}"#, "force=true"] {
        let response = stage.worker.request("POST", &path).key(API_KEY).body(body).send().expect(400);
        assert_eq!(response.code(), "bad_request", "{body}");
    }
    let large = vec![b' '; 16 * 1024 + 1];
    stage.worker.request("POST", &path).key(API_KEY).body(large).send().expect(413);
    assert_eq!(stage.wix.called_endpoints(&id), Vec::<String>::new());
}

#[test]
fn an_unknown_instance_is_404_and_an_invalid_id_400() {
    let stage = shared();
    let id = guid();
    let response = stage.token(&id).expect(404);
    assert_eq!(response.header("content-type"), Some("application/problem+json"), "{response:?}");
    assert_eq!((response.code(), &response.json()["status"]), ("unknown_instance".to_owned(), &json!(404)));
    for id in ["x", "3bbcabc7-ebb7-4fc8-8829-13ea0e14212", "3bbcabc7ebb74fc8882913ea0e142123", "%00", "..%2F.."] {
        assert_eq!(stage.token(id).expect(400).code(), "bad_request", "{id}");
    }
    assert_eq!(stage.wix.called_endpoints(&id), Vec::<String>::new());
}

#[test]
fn an_id_in_upper_case_is_the_same_id() {
    let stage = shared();
    let id = stage.wix.new_instance();
    stage.token(&id.to_uppercase()).expect(200);
    assert_eq!(stage.wix.called_endpoints(&id), [CLIENT_CREDENTIALS]);
}

#[test]
fn a_refused_instance_needs_a_reconnect_and_has_a_cool_down() {
    let stage = shared();
    let instances = [400, 401, 403, 404].map(|status| (status, stage.wix.new_instance()));
    next_second();
    for (status, id) in instances {
        stage.wix.refuse_with(&id, "oauth2_token", 50, status);
        let response = stage.token(&id).expect(409);
        assert_eq!(response.code(), "needs_reconnect", "{status}");
        assert_eq!(
            stage.wix.called_endpoints(&id),
            [CLIENT_CREDENTIALS, CLIENT_CREDENTIALS],
            "{status}: a refusal and its confirmation"
        );
        let record = stage.instance(&id);
        assert_eq!(
            (&record["status"], &record["last_token"]["outcome"]),
            (&json!("needs_reconnect"), &json!("refused"))
        );

        stage.token(&id).expect(409);
        force(stage, &id).expect(409);
        assert_eq!(stage.wix.calls(&id).len(), 2, "{status}: no call during the cool-down");
    }
}

#[test]
fn a_single_refusal_is_retried() {
    let stage = shared();
    let id = stage.wix.new_instance();
    stage.wix.refuse_with(&id, "oauth2_token", 1, 404);
    stage.token(&id).expect(200);
    assert_eq!(stage.instance(&id)["status"], "installed");
}

#[test]
fn a_reinstallation_ends_needs_reconnect() {
    let stage = shared();
    let id = stage.wix.new_instance();
    stage.wix.refuse_with(&id, "oauth2_token", 2, 401);
    stage.token(&id).expect(409);
    stage.wix.remove(&id);
    stage.wix.reinstall(&id);
    stage.token(&id).expect(200);
}

#[test]
fn client_credentials_replace_a_revoked_refresh_token() {
    let stage = shared();
    let id = stage.install().instance;
    next_second();
    stage.wix.revoke_tokens(&id, true);
    let response = force(stage, &id).expect(200);
    assert!(life(&response) > 14_000, "{response:?}");
    assert_eq!(stage.wix.called_endpoints(&id)[2..], [REFRESH_TOKEN, REFRESH_TOKEN, CLIENT_CREDENTIALS]);
    let record = stage.instance(&id);
    assert_eq!((&record["auth"], &record["status"]), (&json!("custom_healed"), &json!("installed")), "{record}");
    assert_eq!(record["last_token"]["outcome"], "healed", "{record}");

    force(stage, &id).expect(200);
    assert_eq!(
        stage.wix.called_endpoints(&id)[5..],
        [CLIENT_CREDENTIALS],
        "the revoked refresh token must not be used again"
    );
}

#[test]
fn a_transient_failure_is_retried() {
    let stage = shared();
    for kind in [
        json!({ "kind": "status", "status": 503 }),
        json!({ "kind": "cut" }),
        json!({ "kind": "cut_body" }),
        json!({ "kind": "rate_limited", "retry_after": 1 }),
    ] {
        let id = stage.wix.new_instance();
        stage.wix.add_fault(&id, "oauth2_token", 1, &kind);
        let response = stage.token(&id).expect(200);
        assert_eq!(stage.wix.called_endpoints(&id).len(), 2, "{kind}");
        let waits = kind.get("retry_after").is_some();
        assert!(!waits || response.took.as_millis() >= 1000, "Retry-After was not respected: {response:?}");
    }
}

#[test]
fn a_lasting_failure_of_wix_is_502_and_does_not_change_the_instance() {
    let stage = shared();
    let id = stage.wix.new_instance();
    stage.wix.fail_with(&id, "oauth2_token", 50, 500);
    assert_eq!(stage.token(&id).expect(502).code(), "wix_failed");
    assert_eq!(stage.instance(&id)["status"], "installed");
    let calls = stage.wix.calls(&id).len();
    assert!((2..=5).contains(&calls), "{calls} calls to Wix");
}
