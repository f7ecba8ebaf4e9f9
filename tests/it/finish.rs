//! `APP_FINISHED_CONFIGURATION`: once for an installation, when the operator wants it (Wix's rules 6).

use serde_json::{Value, json};

use crate::harness::{Answer, Flow, Jar, Stage, guid, parameter, shared};

fn finish(stage: &Stage, id: &str) -> Answer {
    stage.api("POST", &format!("/v1/instances/{id}/finish-configuration"))
}

#[test]
fn asked_twice_it_is_sent_once_and_the_answer_is_the_same() {
    let stage = shared();
    for custom in [false, true] {
        let id = if custom { stage.install().instance } else { stage.wix.installed() };
        let first = finish(stage, &id).expect(200).json();
        assert_eq!(first["instance_id"], id.as_str(), "{first}");
        assert_eq!(finish(stage, &id).expect(200).json(), first);
        assert_eq!(stage.instance(&id)["configured_at"], first["configured_at"]);

        // This Wix takes the bare token alone; one with `Bearer` would have been refused.
        let events = stage.wix.bi_events(&id, 1);
        assert_eq!(events[0]["event_name"], "APP_FINISHED_CONFIGURATION", "{events:?}");
        assert_eq!(stage.wix.called(&id).iter().filter(|name| *name == "bi_event").count(), 1);
    }
}

#[test]
fn ten_at_once_send_one() {
    let stage = shared();
    let id = stage.wix.installed();
    stage.wix.fault(&id, "bi_event", 1, &json!({ "kind": "delay", "delay_ms": 500 }));
    let answers: Vec<Value> = std::thread::scope(|scope| {
        let asking: Vec<_> = (0..10).map(|_| scope.spawn(|| finish(stage, &id).expect(200).json())).collect();
        asking.into_iter().map(|thread| thread.join().expect("an answer")).collect()
    });
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    stage.wix.bi_events(&id, 1);
}

#[test]
fn a_token_that_died_is_replaced_once() {
    let stage = shared();
    let id = stage.wix.installed();
    stage.token(&id).expect(200);
    stage.wix.expire(&id, false);
    finish(stage, &id).expect(200);
    stage.wix.bi_events(&id, 1);
}

#[test]
fn a_failure_of_wixs_is_said_and_the_next_attempt_sends() {
    let stage = shared();
    let id = stage.wix.installed();
    stage.wix.fails(&id, "bi_event", 4, 500);
    finish(stage, &id).expect(502);
    assert_eq!(stage.instance(&id).get("configured_at"), None);
    finish(stage, &id).expect(200);
    stage.wix.bi_events(&id, 1);
}

#[test]
fn a_new_installation_is_to_be_finished_anew() {
    let stage = shared();
    let id = stage.wix.installed();
    finish(stage, &id).expect(200);
    stage.wix.remove(&id);
    finish(stage, &id).expect(410);
    stage.wix.reinstall(&id);
    assert_eq!(stage.instance(&id).get("configured_at"), None);
    finish(stage, &id).expect(200);
    stage.wix.bi_events(&id, 2);
}

#[test]
fn an_unknown_instance_is_not_finished() {
    finish(shared(), &guid()).expect(404);
    finish(shared(), "x").expect(400);
    shared().api("GET", &format!("/v1/instances/{}/finish-configuration", guid())).expect(405);
}

#[test]
fn on_install_it_is_sent_once_an_installation_though_webhook_and_redirect_both_come() {
    let stage = Stage::with(|values| values.with("FINISH_CONFIGURATION", "on-install"));
    let id = stage.install().instance;
    stage.wix.bi_events(&id, 1);
    // Asked for once more: whatever else was on its way has come to its end when this is answered.
    finish(&stage, &id).expect(200);
    stage.wix.bi_events(&id, 1);

    let by_webhook_alone = stage.wix.installed();
    stage.wix.bi_events(&by_webhook_alone, 1);

    // Consent given again is no new installation.
    let site = stage.wix.of_instance("instances", &id)[0]["site_id"].as_str().expect("a site").to_owned();
    let mut jar = Jar::default();
    let callback = Flow::begin(&stage, &mut jar, None).agree(&site);
    assert_eq!(parameter(&callback, "instanceId"), id);
    let again = jar.get(&callback).expect(302);
    stage.worker.log.wait_for("the work after the second consent", |entry| {
        entry["route"] == "task finish-configuration" && entry["request_id"] == again.request_id()
    });
    stage.wix.bi_events(&id, 1);

    // A removed app that comes back is.
    stage.wix.remove(&id);
    stage.wix.reinstall(&id);
    stage.wix.bi_events(&id, 2);
    assert!(stage.instance(&id)["configured_at"].is_i64());
}

#[test]
fn a_failing_event_does_not_fail_the_install() {
    let stage = Stage::with(|values| values.with("FINISH_CONFIGURATION", "on-install"));
    stage.wix.switch(&json!({ "permission_send_bi_events": false }));
    let installed = stage.install();
    assert_eq!(installed.answer.status, 302);
    let line = stage.worker.log.wait_for("the failed task", |entry| {
        entry["route"] == "task finish-configuration" && entry["level"] == "error"
    });
    assert_eq!(line["instance_id"], installed.instance.as_str(), "{line}");
    assert_eq!(stage.instance(&installed.instance)["status"], "installed");
}

#[test]
fn never_is_never() {
    let stage = Stage::with(|values| values.with("FINISH_CONFIGURATION", "never"));
    let id = stage.install().instance;
    assert_eq!(finish(&stage, &id).expect(409).code(), "finish_configuration_disabled");
    assert!(!stage.wix.called(&id).contains(&"bi_event".to_owned()));
}
