//! `APP_FINISHED_CONFIGURATION`: sent once for each installation, when `FINISH_CONFIGURATION` says (docs/wix.md 6).

use serde_json::{Value, json};

use crate::harness::{Flow, Jar, Response, Stage, guid, parameter, shared};

fn finish(stage: &Stage, id: &str) -> Response {
    stage.api("POST", &format!("/v1/instances/{id}/finish-configuration"))
}

#[test]
fn two_requests_send_one_event_and_get_the_same_response() {
    let stage = shared();
    for custom in [false, true] {
        let id = if custom { stage.install().instance } else { stage.wix.new_instance() };
        let first = finish(stage, &id).expect(200).json();
        assert_eq!(first["instance_id"], id.as_str(), "{first}");
        assert_eq!(finish(stage, &id).expect(200).json(), first);
        assert_eq!(stage.instance(&id)["configured_at"], first["configured_at"]);

        // This Wix accepts the bare token only, so the Worker did not send `Bearer`.
        let events = stage.wix.bi_events(&id, 1);
        assert_eq!(events[0]["event_name"], "APP_FINISHED_CONFIGURATION", "{events:?}");
        assert_eq!(stage.wix.called_endpoints(&id).iter().filter(|name| *name == "bi_event").count(), 1);
    }
}

#[test]
fn ten_concurrent_requests_send_one_event() {
    let stage = shared();
    let id = stage.wix.new_instance();
    stage.wix.add_fault(&id, "bi_event", 1, &json!({ "kind": "delay", "delay_ms": 500 }));
    let responses: Vec<Value> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..10).map(|_| scope.spawn(|| finish(stage, &id).expect(200).json())).collect();
        threads.into_iter().map(|thread| thread.join().expect("a response")).collect()
    });
    assert!(responses.iter().all(|response| *response == responses[0]), "{responses:?}");
    stage.wix.bi_events(&id, 1);
}

#[test]
fn a_revoked_token_is_replaced() {
    let stage = shared();
    let id = stage.wix.new_instance();
    stage.token(&id).expect(200);
    stage.wix.revoke_tokens(&id, false);
    finish(stage, &id).expect(200);
    stage.wix.bi_events(&id, 1);
}

#[test]
fn a_failure_of_wix_is_502_and_the_next_request_sends_the_event() {
    let stage = shared();
    let id = stage.wix.new_instance();
    stage.wix.fail_with(&id, "bi_event", 4, 500);
    finish(stage, &id).expect(502);
    assert_eq!(stage.instance(&id).get("configured_at"), None);
    finish(stage, &id).expect(200);
    stage.wix.bi_events(&id, 1);
}

#[test]
fn a_new_installation_needs_a_new_event() {
    let stage = shared();
    let id = stage.wix.new_instance();
    finish(stage, &id).expect(200);
    stage.wix.remove(&id);
    finish(stage, &id).expect(410);
    stage.wix.reinstall(&id);
    assert_eq!(stage.instance(&id).get("configured_at"), None);
    finish(stage, &id).expect(200);
    stage.wix.bi_events(&id, 2);
}

#[test]
fn an_unknown_instance_is_404() {
    finish(shared(), &guid()).expect(404);
    finish(shared(), "x").expect(400);
    shared().api("GET", &format!("/v1/instances/{}/finish-configuration", guid())).expect(405);
}

#[test]
fn with_on_install_webhook_and_redirect_send_one_event() {
    let stage = Stage::with(|values| values.with("FINISH_CONFIGURATION", "on-install"));
    let id = stage.install().instance;
    stage.wix.bi_events(&id, 1);
    // This request shares the flight of the deferred tasks, so they have ended when it is answered.
    finish(&stage, &id).expect(200);
    stage.wix.bi_events(&id, 1);

    let by_webhook_alone = stage.wix.new_instance();
    stage.wix.bi_events(&by_webhook_alone, 1);

    // A repeated consent is no new installation.
    let site = stage.wix.of_instance("instances", &id)[0]["site_id"].as_str().expect("a site").to_owned();
    let mut jar = Jar::default();
    let callback = Flow::begin(&stage, &mut jar, None).consent(&site);
    assert_eq!(parameter(&callback, "instanceId"), id);
    let again = jar.get(&callback).expect(302);
    stage.worker.log.wait_for("the deferred task of the second consent", |entry| {
        entry["route"] == "task finish-configuration" && entry["request_id"] == again.request_id()
    });
    stage.wix.bi_events(&id, 1);

    // A reinstallation is a new installation.
    stage.wix.remove(&id);
    stage.wix.reinstall(&id);
    stage.wix.bi_events(&id, 2);
    // Noted after Wix has answered.
    stage.wait_until(&id, |record| record["configured_at"].is_i64());
}

#[test]
fn a_failing_event_does_not_fail_the_install() {
    let stage = Stage::with(|values| values.with("FINISH_CONFIGURATION", "on-install"));
    stage.wix.switch(&json!({ "permission_send_bi_events": false }));
    let installed = stage.install();
    assert_eq!(installed.response.status, 302);
    let line = stage.worker.log.wait_for("the failed task", |entry| {
        entry["route"] == "task finish-configuration" && entry["level"] == "error"
    });
    assert_eq!(line["instance_id"], installed.instance.as_str(), "{line}");
    assert_eq!(stage.instance(&installed.instance)["status"], "installed");
}

#[test]
fn with_never_no_event_is_sent() {
    let stage = Stage::with(|values| values.with("FINISH_CONFIGURATION", "never"));
    let id = stage.install().instance;
    assert_eq!(finish(&stage, &id).expect(409).code(), "finish_configuration_disabled");
    assert!(!stage.wix.called_endpoints(&id).contains(&"bi_event".to_owned()));
}
