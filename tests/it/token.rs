//! Access tokens for the app's back end: both token models, kept as long as they are good, one call for many (contract 5).

use serde_json::{Value, json};

use crate::harness::{API_KEY, Answer, Stage, guid, next_second, now, parameter, shared};

const BY_INSTANCE: &str = "oauth2_token client_credentials";
const BY_REFRESH_TOKEN: &str = "oauth_access refresh_token";

fn force(stage: &Stage, id: &str) -> Answer {
    stage.worker.ask("POST", &format!("/v1/instances/{id}/token")).key(API_KEY).json(&json!({ "force": true })).send()
}

fn access_token(answer: &Answer) -> String {
    answer.json()["access_token"].as_str().unwrap_or_else(|| panic!("no token: {answer:?}")).to_owned()
}

/// Seconds of life left, as the answer says.
fn life(answer: &Answer) -> i64 {
    answer.json()["expires_at"].as_i64().unwrap_or_else(|| panic!("no end: {answer:?}")) - now()
}

/// Whether Wix takes the token, and whose it is.
fn owner(stage: &Stage, token: &str) -> Value {
    stage.wix.post("/oauth2/token-info", &json!({ "token": token }))
}

#[test]
fn an_instance_known_from_its_webhook_gets_a_token_of_hours_by_client_credentials() {
    let stage = shared();
    let id = stage.wix.installed();
    let answer = stage.token(&id).expect(200);
    assert_eq!(answer.header("content-type"), Some("application/json"), "{answer:?}");
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{answer:?}");
    let mut fields: Vec<String> =
        answer.json().as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect();
    fields.sort();
    assert_eq!(fields, ["access_token", "expires_at", "token_type"], "{answer:?}");
    assert_eq!(answer.json()["token_type"], "Bearer");
    assert!((14_390..=14_400).contains(&life(&answer)), "{answer:?}");
    assert_eq!(stage.wix.called(&id), [BY_INSTANCE]);
    let info = owner(stage, &access_token(&answer));
    assert_eq!((&info["active"], &info["instanceId"]), (&json!(true), &json!(id)), "{info}");
}

#[test]
fn an_instance_of_the_redirect_flow_gets_a_token_of_minutes_by_its_refresh_token() {
    let stage = shared();
    let id = stage.install().instance;
    let answer = force(stage, &id).expect(200);
    assert!((290..=300).contains(&life(&answer)), "{answer:?}");
    assert_eq!(stage.wix.called(&id)[2..], [BY_REFRESH_TOKEN]);
    let info = owner(stage, &access_token(&answer));
    assert_eq!((&info["active"], &info["instanceId"]), (&json!(true), &json!(id)), "{info}");
    assert_eq!(stage.instance(&id)["auth"], "custom");
}

#[test]
fn the_token_of_the_install_itself_is_used_while_it_is_good() {
    let stage = shared();
    let installed = stage.install();
    let answer = stage.token(&installed.instance).expect(200);
    let given = parameter(&installed.answer.location(), "access_token");
    assert_eq!(access_token(&answer), given);
    assert_eq!(stage.wix.called(&installed.instance).len(), 2);
}

#[test]
fn a_good_token_is_given_again_without_asking_wix() {
    let stage = shared();
    let id = stage.wix.installed();
    let first = stage.token(&id).expect(200).json();
    for _ in 0..3 {
        assert_eq!(stage.token(&id).expect(200).json(), first);
    }
    assert_eq!(stage.wix.called(&id), [BY_INSTANCE]);
}

#[test]
fn force_mints_anew() {
    let stage = shared();
    let id = stage.wix.installed();
    let first = access_token(&stage.token(&id).expect(200));
    let forced = access_token(&force(stage, &id).expect(200));
    assert_ne!(first, forced);
    assert_eq!(stage.wix.called(&id), [BY_INSTANCE, BY_INSTANCE]);
    assert_eq!(access_token(&stage.token(&id).expect(200)), forced);
}

#[test]
fn an_empty_body_and_false_are_the_same_as_no_body() {
    let stage = shared();
    let id = stage.wix.installed();
    let path = format!("/v1/instances/{id}/token");
    let first = stage.token(&id).expect(200).json();
    for body in ["", "{}", r#"{"force":false}"#, " \n"] {
        assert_eq!(
            stage.worker.ask("POST", &path).key(API_KEY).body(body).send().expect(200).json(),
            first,
            "{body:?}"
        );
    }
}

#[test]
fn a_body_that_is_not_understood_is_refused() {
    let stage = shared();
    let id = stage.wix.installed();
    let path = format!("/v1/instances/{id}/token");
    for body in ["{", "[]", "true", r#"{"force":"yes"}"#, r#"{"Force":true}"#, "force=true"] {
        let answer = stage.worker.ask("POST", &path).key(API_KEY).body(body).send().expect(400);
        assert_eq!(answer.code(), "bad_request", "{body}");
    }
    let large = vec![b' '; 16 * 1024 + 1];
    stage.worker.ask("POST", &path).key(API_KEY).body(large).send().expect(413);
    assert_eq!(stage.wix.called(&id), Vec::<String>::new());
}

#[test]
fn an_unknown_instance_and_what_is_no_id_are_told_apart() {
    let stage = shared();
    let id = guid();
    let answer = stage.token(&id).expect(404);
    assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{answer:?}");
    assert_eq!((answer.code(), &answer.json()["status"]), ("unknown_instance".to_owned(), &json!(404)));
    for id in ["x", "3bbcabc7-ebb7-4fc8-8829-13ea0e14212", "3bbcabc7ebb74fc8882913ea0e142123", "%00", "..%2F.."] {
        assert_eq!(stage.token(id).expect(400).code(), "bad_request", "{id}");
    }
    assert_eq!(stage.wix.called(&id), Vec::<String>::new());
}

#[test]
fn an_id_in_capitals_is_the_same_id() {
    let stage = shared();
    let id = stage.wix.installed();
    stage.token(&id.to_uppercase()).expect(200);
    assert_eq!(stage.wix.called(&id), [BY_INSTANCE]);
}

#[test]
fn what_wix_refuses_needs_a_reconnect_and_is_left_alone_for_a_while() {
    let stage = shared();
    let instances = [400, 401, 403, 404].map(|status| (status, stage.wix.installed()));
    next_second();
    for (status, id) in instances {
        stage.wix.refuses(&id, "oauth2_token", 50, status);
        let answer = stage.token(&id).expect(409);
        assert_eq!(answer.code(), "needs_reconnect", "{status}");
        assert_eq!(stage.wix.called(&id), [BY_INSTANCE, BY_INSTANCE], "{status}: one refusal alone is not believed");
        let record = stage.instance(&id);
        assert_eq!(
            (&record["status"], &record["last_token"]["outcome"]),
            (&json!("needs_reconnect"), &json!("refused"))
        );

        stage.token(&id).expect(409);
        force(stage, &id).expect(409);
        assert_eq!(stage.wix.calls(&id).len(), 2, "{status}: Wix was asked again at once");
    }
}

#[test]
fn one_refusal_alone_is_not_believed() {
    let stage = shared();
    let id = stage.wix.installed();
    stage.wix.refuses(&id, "oauth2_token", 1, 404);
    stage.token(&id).expect(200);
    assert_eq!(stage.instance(&id)["status"], "installed");
}

#[test]
fn a_new_installation_ends_the_need_to_reconnect() {
    let stage = shared();
    let id = stage.wix.installed();
    stage.wix.refuses(&id, "oauth2_token", 2, 401);
    stage.token(&id).expect(409);
    stage.wix.remove(&id);
    stage.wix.reinstall(&id);
    stage.token(&id).expect(200);
}

#[test]
fn a_dead_refresh_token_heals_by_client_credentials() {
    let stage = shared();
    let id = stage.install().instance;
    next_second();
    stage.wix.expire(&id, true);
    let answer = force(stage, &id).expect(200);
    assert!(life(&answer) > 14_000, "{answer:?}");
    assert_eq!(stage.wix.called(&id)[2..], [BY_REFRESH_TOKEN, BY_REFRESH_TOKEN, BY_INSTANCE]);
    let record = stage.instance(&id);
    assert_eq!((&record["auth"], &record["status"]), (&json!("custom_healed"), &json!("installed")), "{record}");
    assert_eq!(record["last_token"]["outcome"], "healed", "{record}");

    force(stage, &id).expect(200);
    assert_eq!(stage.wix.called(&id)[5..], [BY_INSTANCE], "the dead refresh token was tried again");
}

#[test]
fn wix_failing_for_the_moment_is_asked_again() {
    let stage = shared();
    for kind in [
        json!({ "kind": "status", "status": 503 }),
        json!({ "kind": "cut" }),
        json!({ "kind": "cut_body" }),
        json!({ "kind": "rate_limited", "retry_after": 1 }),
    ] {
        let id = stage.wix.installed();
        stage.wix.fault(&id, "oauth2_token", 1, &kind);
        let answer = stage.token(&id).expect(200);
        assert_eq!(stage.wix.called(&id).len(), 2, "{kind}");
        let waits = kind.get("retry_after").is_some();
        assert!(!waits || answer.took.as_millis() >= 1000, "Retry-After was not respected: {answer:?}");
    }
}

#[test]
fn wix_being_down_is_a_502_and_says_nothing_about_the_instance() {
    let stage = shared();
    let id = stage.wix.installed();
    stage.wix.fails(&id, "oauth2_token", 50, 500);
    assert_eq!(stage.token(&id).expect(502).code(), "wix_failed");
    assert_eq!(stage.instance(&id)["status"], "installed");
    let asked = stage.wix.calls(&id).len();
    assert!((2..=5).contains(&asked), "Wix was asked {asked} times");
}
