//! Contested removals, and clones.

use std::sync::LazyLock;

use serde_json::{Value, json};

use crate::harness::{Message, Stage, next_second, now, request, shared};

/// Lets Wix confirm the setup two hours later, which contests an earlier removal.
fn finish_configuration(stage: &Stage, instance: &str) {
    stage.api("POST", &format!("/v1/instances/{instance}/finish-configuration")).expect(200);
}

fn post(stage: &Stage, message: &Message) {
    stage.worker.request("POST", "/webhook").body(message.sign()).send().expect(200);
}

/// A Worker whose clock is two hours ahead, so that webhooks of the simulator are old.
static TWO_HOURS_LATER: LazyLock<Stage> =
    LazyLock::new(|| Stage::with(|values| values.with("CLOCK_OFFSET_SECONDS", "7200")));

#[test]
fn a_contested_removal_is_undone_if_wix_knows_the_instance() {
    let stage = &*TWO_HOURS_LATER;
    let id = stage.wix.new_instance();
    let in_an_hour = now() + 3_600;
    finish_configuration(stage, &id);
    post(stage, &Message::removed(stage, &id).at(in_an_hour));
    stage.wait_for_field(&id, "status", "installed");
    let called = stage.wix.called_endpoints(&id);
    assert_eq!(called[..2], ["oauth2_token client_credentials", "bi_event"]);
    assert_eq!(called[2..], ["oauth2_token client_credentials", "app_instance"]);
    stage.token(&id).expect(200);
}

#[test]
fn a_contested_removal_is_final_if_wix_refuses_the_instance() {
    let stage = &*TWO_HOURS_LATER;
    let id = stage.wix.new_instance();
    let in_an_hour = now() + 3_600;
    finish_configuration(stage, &id);
    // In the same second a token counts more than a refusal.
    next_second();
    stage.wix.post(&format!("/_sim/instances/{id}/remove"), &json!({}));
    post(stage, &Message::removed(stage, &id).at(in_an_hour));
    let is_final = |record: &Value| record["status"] == "removed" && record["last_token"]["outcome"] == "refused";
    stage.wait_until(&id, is_final);
    // The object is told after the record is written, and until then it gives tokens.
    stage.worker.log.wait_for("the end of the task", |entry| {
        entry["outcome"] == "removal_confirmed" && entry["instance_id"] == id.as_str()
    });
    stage.token(&id).expect(410);
}

#[test]
fn a_clone_gets_a_token_without_a_new_installation() {
    let stage = shared();
    let original = stage.install().instance;
    let response = stage.wix.post(&format!("/_sim/instances/{original}/clone"), &json!({}));
    let id = response["instance"]["instance_id"].as_str().expect("the clone's id").to_owned();
    stage.wix.wait_for_deliveries(&id);
    let instance = stage.instance(&id);
    assert_eq!((&instance["status"], &instance["auth"]), (&json!("installed"), &json!("oauth")));
    assert_eq!(instance["origin_instance_id"], json!(original));
    let token = stage.token(&id).expect(200).json();
    let info = json!({ "token": token["access_token"] });
    let info = request("POST", stage.wix.at("/oauth2/token-info")).json(&info).send().expect(200).json();
    assert_eq!(info["instanceId"], json!(id), "the token must be for the clone");
    assert_eq!(stage.wix.called_endpoints(&id)[0], "oauth2_token client_credentials");
    assert_eq!(stage.instance(&original)["auth"], "custom");
}
