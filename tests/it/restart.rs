//! What is stored outlives the isolate that stored it, and what did not get through is seen to later.

use serde_json::json;

use crate::harness::{API_KEY, Flow, Jar, Stage, get, parameter};

#[test]
fn tokens_and_flows_are_found_again_in_the_store() {
    let stage = Stage::with(|values| values);
    let site = stage.wix.site();
    let mut jar = Jar::default();
    let callback = Flow::begin(&stage, &mut jar, None).agree(&site);
    let page = jar.get(&callback).expect(302).location();
    let custom = parameter(&callback, "instanceId");
    let plain = stage.wix.installed();
    let token = stage.token(&plain).expect(200).json();
    let records = (stage.instance(&custom), stage.instance(&plain));
    assert_eq!((stage.wix.calls(&custom).len(), stage.wix.calls(&plain).len()), (2, 1));

    let stage = stage.restart(|values| values);
    assert_eq!((stage.instance(&custom), stage.instance(&plain)), records);
    // A token of hours is kept in the store; one of minutes is asked for by the refresh token that is kept there.
    assert_eq!(stage.token(&plain).expect(200).json(), token);
    assert_eq!(stage.wix.calls(&plain).len(), 1);
    stage.token(&custom).expect(200);
    assert_eq!(stage.wix.called(&custom)[2..], ["oauth_access refresh_token"]);
    // Another isolate knows what a code was exchanged for.
    let again = stage.worker.at(&format!("/redirect?{}", callback.query().unwrap_or_default()));
    assert_eq!(jar.get(again).expect(302).location(), page);
    assert_eq!(stage.wix.calls(&custom).len(), 3);

    // A new sealing key before the old one: what the old one sealed still opens, and states are still good.
    let begun = Flow::begin(&stage, &mut jar, None).state;
    let stage = stage.restart(|values| {
        let keys = format!("new:{}=,{}", "B".repeat(42) + "A", values.get("SEALING_KEYS"));
        values.with("SEALING_KEYS", keys)
    });
    assert_eq!(stage.token(&plain).expect(200).json(), token);
    let code = stage.wix.code(&custom);
    jar.get(stage.callback(&code, &custom, &begun)).expect(302);

    // Without the old key its tokens are lost, and client credentials take over.
    let stage = stage.restart(|values| values.with("SEALING_KEYS", format!("other:{}=", "C".repeat(42) + "A")));
    stage.token(&custom).expect(200);
    // Nothing is recorded: the old key may come back.
    assert_eq!(stage.instance(&custom)["auth"], "custom");
    assert_ne!(stage.token(&plain).expect(200).json(), token);
}

#[test]
fn an_event_that_did_not_get_through_is_sent_by_the_cron_trigger_once() {
    let stage = Stage::with(|values| values.with("FINISH_CONFIGURATION", "on-install"));
    stage.wix.switch(&json!({ "permission_send_bi_events": false }));
    let id = stage.install().instance;
    // Webhook and redirect both try, and either may do so after the other has failed.
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
    let trigger = |stage: &Stage| get(stage.worker.at("/cdn-cgi/local/scheduled")).expect(200);
    // Not at once: first KV is given the time to show everybody the same.
    trigger(&stage);
    stage.wix.bi_events(&id, 0);

    let stage = stage.restart(|values| values.with("CLOCK_OFFSET_SECONDS", "600"));
    trigger(&stage);
    stage.wix.bi_events(&id, 1);
    assert!(stage.instance(&id)["configured_at"].is_i64());
    for _ in 0..2 {
        trigger(&stage);
    }
    stage.wix.bi_events(&id, 1);
    assert_eq!(
        stage.worker.ask("GET", "/v1/instances").key(API_KEY).send().expect(200).json()["instances"][0]["status"],
        "installed"
    );
}
