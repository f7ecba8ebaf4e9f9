//! What a removal means when other events contradict it, and what a clone needs: no new installation.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::{Message, PATIENCE, Stage, ask, now, shared};

fn bought(instance: &str, at: i64) -> Message {
    Message::new("PaidPlanPurchased", instance, &json!({ "vendorProductId": "pro" })).at(at)
}

fn post(stage: &Stage, message: &Message) {
    stage.worker.ask("POST", "/webhook").body(message.sign()).send().expect(200);
}

/// A Worker that lives two hours later, so that what Wix sends now is old.
static LATER: LazyLock<Stage> = LazyLock::new(|| Stage::for_many(|values| values.with("CLOCK_OFFSET_SECONDS", "7200")));

#[test]
fn a_removal_that_a_later_event_contradicts_is_taken_back_where_wix_knows_the_instance() {
    let stage = &*LATER;
    let id = stage.wix.installed();
    let in_an_hour = now() + 3_600;
    post(stage, &bought(&id, in_an_hour + 120));
    post(stage, &Message::removed(stage, &id).at(in_an_hour));
    stage.becomes(&id, "status", "installed");
    assert_eq!(stage.wix.called(&id), ["oauth2_token client_credentials", "app_instance"]);
    stage.token(&id).expect(200);
}

#[test]
fn it_is_final_where_wix_does_not_know_the_instance_any_more() {
    let stage = &*LATER;
    let id = stage.wix.installed();
    let in_an_hour = now() + 3_600;
    post(stage, &bought(&id, in_an_hour + 120));
    stage.wix.post(&format!("/_sim/instances/{id}/remove"), &json!({}));
    post(stage, &Message::removed(stage, &id).at(in_an_hour));
    let until = Instant::now() + PATIENCE;
    while stage.instance(&id).get("last_token").is_none() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(50));
    }
    let instance = stage.instance(&id);
    assert_eq!((&instance["status"], &instance["last_token"]["outcome"]), (&json!("removed"), &json!("refused")));
    stage.token(&id).expect(410);
}

#[test]
fn a_clone_has_a_token_at_once_without_being_installed_by_anybody() {
    let stage = shared();
    let original = stage.install().instance;
    let answer = stage.wix.post(&format!("/_sim/instances/{original}/clone"), &json!({}));
    let id = answer["instance"]["instance_id"].as_str().expect("the clone's id").to_owned();
    stage.wix.delivered(&id);
    let instance = stage.instance(&id);
    assert_eq!((&instance["status"], &instance["auth"]), (&json!("installed"), &json!("oauth")));
    assert_eq!(instance["origin_instance_id"], json!(original));
    let token = stage.token(&id).expect(200).json();
    let info = json!({ "token": token["access_token"] });
    let info = ask("POST", stage.wix.at("/oauth2/token-info")).json(&info).send().expect(200).json();
    assert_eq!(info["instanceId"], json!(id), "the clone's own, not the original's");
    assert_eq!(stage.wix.called(&id)[0], "oauth2_token client_credentials");
    assert_eq!(stage.instance(&original)["auth"], "custom");
}
