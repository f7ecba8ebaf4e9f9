//! Persistence across restarts, and rechecks by the Cron Trigger.

use serde_json::json;

use crate::harness::{API_KEY, Flow, Jar, Stage, parameter};

#[test]
fn tokens_flows_and_sealing_keys_survive_a_restart() {
    let stage = Stage::with(|values| values);
    let site = stage.wix.site();
    let mut jar = Jar::default();
    let callback = Flow::begin(&stage, &mut jar, None).consent(&site);
    let redirected = jar.get(&callback).expect(302);
    // It tells the object that there is a refresh token.
    stage.worker.log.wait_for("the deferred task of the redirect", |entry| {
        entry["route"] == "task settle" && entry["request_id"] == redirected.request_id()
    });
    let page = redirected.location();
    let custom = parameter(&callback, "instanceId");
    let plain = stage.wix.new_instance();
    let token = stage.token(&plain).expect(200).json();
    let records = (stage.instance(&custom), stage.instance(&plain));
    assert_eq!((stage.wix.calls(&custom).len(), stage.wix.calls(&plain).len()), (2, 1));

    let stage = stage.restart(|values| values);
    assert_eq!((stage.instance(&custom), stage.instance(&plain)), records);
    // KV caches the four-hour token. For the five-minute token, KV has the refresh token.
    assert_eq!(stage.token(&plain).expect(200).json(), token);
    assert_eq!(stage.wix.calls(&plain).len(), 1);
    stage.token(&custom).expect(200);
    assert_eq!(stage.wix.called_endpoints(&custom)[2..], ["oauth_access refresh_token"]);
    // Another isolate reads the result of the exchange from KV.
    let again = stage.worker.at(&format!("/redirect?{}", callback.query().unwrap_or_default()));
    assert_eq!(jar.get(again).expect(302).location(), page);
    assert_eq!(stage.wix.calls(&custom).len(), 3);

    // A new sealing key before the old one: values sealed with the old one still open, and states are still valid.
    let begun = Flow::begin(&stage, &mut jar, None).state;
    let stage = stage.restart(|values| {
        let keys = format!("new:{}=,{}", "B".repeat(42) + "A", values.get("SEALING_KEYS"));
        values.with("SEALING_KEYS", keys)
    });
    assert_eq!(stage.token(&plain).expect(200).json(), token);
    let code = stage.wix.code(&custom);
    jar.get(stage.callback(&code, &custom, &begun)).expect(302);

    // Without the old key, the tokens that it sealed are lost, and the Worker uses client credentials.
    let stage = stage.restart(|values| values.with("SEALING_KEYS", format!("other:{}=", "C".repeat(42) + "A")));
    stage.token(&custom).expect(200);
    // The Worker does not record the loss, since the operator may restore the old key.
    assert_eq!(stage.instance(&custom)["auth"], "custom");
    assert_ne!(stage.token(&plain).expect(200).json(), token);
}

#[test]
fn the_cron_trigger_sends_a_failed_event_once() {
    let stage = Stage::with(|values| values.with("FINISH_CONFIGURATION", "on-install"));
    stage.wix.switch(&json!({ "permission_send_bi_events": false }));
    let id = stage.install().instance;
    // Webhook and redirect both try to send the event, possibly one after the other.
    for route in ["/webhook", "/redirect"] {
        let log = &stage.worker.log;
        let request = log.wait_for(route, |entry| entry["route"] == route && entry["instance_id"] == *id);
        log.wait_for("the failed task", |entry| {
            entry["request_id"] == request["request_id"]
                && entry["route"] == "task finish-configuration"
                && entry["level"] == "error"
        });
    }
    stage.wix.switch(&json!({ "permission_send_bi_events": true }));
    // The recheck is not due yet: it waits until KV is consistent.
    stage.worker.cron();
    stage.wix.bi_events(&id, 0);

    let stage = stage.restart(|values| values.with("CLOCK_OFFSET_SECONDS", "600"));
    stage.worker.cron();
    stage.wix.bi_events(&id, 1);
    assert!(stage.instance(&id)["configured_at"].is_i64());
    for _ in 0..2 {
        stage.worker.cron();
    }
    stage.wix.bi_events(&id, 1);
    assert_eq!(
        stage.worker.request("GET", "/v1/instances").key(API_KEY).send().expect(200).json()["instances"][0]["status"],
        "installed"
    );
}
