//! Plans that end and renew themselves by the simulated clock, and deleted sites (sections 5 and 7).

use serde_json::{Value, json};
use wix_sim::Settings;

use crate::bench::{Bench, Hook, text};
use crate::webhook::decode;

const DAY: u64 = 86_400;
const TYPE: &str = "wix.app.installations.v1.app_installation_";

/// `instance` of Get App Instance. A token lives shorter than a plan, so each call takes a new one.
async fn described(bench: &Bench, id: &str) -> Value {
    let token = bench.token(id).await;
    let (status, response) = bench.with_token("/apps/v1/instance", &token).await;
    assert_eq!(status, 200, "{response}");
    response["instance"].clone()
}

async fn advance(bench: &Bench, seconds: u64) {
    bench.control("clock", json!({ "advance_seconds": seconds })).await;
}

#[tokio::test]
async fn a_plan_renews_itself_or_ends_by_the_clock() {
    let bench = Bench::new().await;
    let id = bench.install().await;
    bench.control(&format!("instances/{id}/events"), json!({"event_type": "PaidPlanPurchased"})).await;
    advance(&bench, 40 * DAY).await;
    let renewed = described(&bench, &id).await;
    assert_eq!((&renewed["isFree"], &renewed["billing"]["packageName"]), (&json!(false), &json!("pro_plan")));
    assert_eq!(renewed["billing"].get("expirationDate"), None, "a monthly plan's end is not shown");
    bench.control(&format!("instances/{id}/events"), json!({"event_type": "PaidPlanAutoRenewalCancelled"})).await;
    assert_eq!(described(&bench, &id).await["billing"]["autoRenewing"], false);
    advance(&bench, 40 * DAY).await;
    assert_eq!(described(&bench, &id).await["isFree"], true);
    let shown: Value = bench.get(&format!("/_sim/instances/{id}")).await.json().await.unwrap();
    assert_eq!(shown["plan"], Value::Null);
}

#[tokio::test]
async fn a_plan_can_be_set_without_an_event() {
    let bench = Bench::new().await;
    let id = bench.install().await;
    let path = format!("instances/{id}/plan");
    let trial = json!({"vendor_product_id": "pro", "cycle": "YEARLY", "trial_ends_in_seconds": 3 * DAY,
        "expires_in_seconds": 365 * DAY});
    bench.control(&path, trial).await;
    let billing = described(&bench, &id).await["billing"].clone();
    assert_eq!(billing["freeTrialInfo"]["status"], "IN_PROGRESS");
    assert!(billing["freeTrialInfo"]["endDate"].is_string() && billing["expirationDate"].is_string(), "{billing}");
    advance(&bench, 4 * DAY).await;
    assert_eq!(described(&bench, &id).await["billing"]["freeTrialInfo"]["status"], "NOT_AVAILABLE");
    let unpaid =
        json!({"vendor_product_id": "pro", "cycle": "YEARLY", "expires_in_seconds": -5, "payment_failed": true});
    bench.control(&path, unpaid).await;
    assert_eq!(described(&bench, &id).await["isFree"], false, "the date has passed, and the site keeps the plan");
    bench.control(&path, json!({})).await;
    assert_eq!(described(&bench, &id).await["isFree"], true);
    assert_eq!(bench.state().await["deliveries"].as_array().unwrap().len(), 1, "only the installation's");
}

#[tokio::test]
async fn fields_can_be_left_out_of_a_message() {
    let hook = Hook::new(&[]).await;
    let bench = Bench::with(Settings { webhook_url: Some(hook.url.clone()), ..Settings::default() }).await;
    let id = bench.install().await;
    let omit = json!(["vendorProductId", "operationTimeStamp"]);
    let fire = json!({"event_type": "PaidPlanPurchased", "omit": omit});
    bench.control(&format!("instances/{id}/events"), fire).await;
    let (_, data) = decode(&hook.wait_for(2).await[1].body);
    assert_eq!((data.get("vendorProductId"), &data["cycle"]), (None, &json!("MONTHLY")));
    assert_eq!(described(&bench, &id).await["billing"]["packageName"], "pro_plan");
}

#[tokio::test]
async fn a_deleted_site_is_told_by_the_newer_events() {
    for (is_text, has_entity, told) in [(false, true, 1), (true, true, 1), (false, false, 1), (false, true, 2)] {
        let hook = Hook::new(&[]).await;
        let bench = Bench::with(Settings { webhook_url: Some(hook.url.clone()), ..Settings::default() }).await;
        let switches = json!({"app_installation_events": true, "app_installation_text": is_text,
            "app_installation_deleted_entity": has_entity, "app_removed_on_site_deletion": told == 2});
        bench.switch(switches).await;
        let installed = bench.control("installs", json!({})).await;
        let (id, site) = (text(&installed["instance"]["instance_id"]), text(&installed["site"]["site_id"]));
        hook.wait_for(2).await;
        let deleted = bench.control(&format!("sites/{site}/delete"), json!({})).await;
        assert_eq!(deleted["delivery_ids"].as_array().unwrap().len(), told);
        let received = hook.wait_for(2 + told).await;
        let messages: Vec<(Value, Value)> = received.iter().map(|received| decode(&received.body)).collect();
        let wanted = format!("{TYPE}deleted");
        let (envelope, data) = messages.iter().find(|(envelope, _)| envelope["eventType"] == wanted.as_str()).unwrap();
        assert_eq!(envelope["instanceId"], id.as_str());
        let entity = &data["deletedEvent"]["deletedEntity"];
        assert_eq!((entity.is_string(), entity.is_object()), (is_text, has_entity && !is_text), "{data}");
        let (status, _) = bench.post("/oauth2/token", bench.credentials(&id)).await;
        assert_eq!(status, 404);
        assert_eq!(bench.post(&format!("/_sim/instances/{id}/reinstall"), json!({})).await.0, 409);
        assert_eq!(bench.post(&format!("/_sim/sites/{site}/delete"), json!({})).await.0, 404);
        // Events about billing are sent after a removal too.
        bench.control(&format!("instances/{id}/events"), json!({"event_type": "InvoiceStatusUpdated"})).await;
        hook.wait_for(3 + told).await;
    }
}
