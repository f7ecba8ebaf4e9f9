//! Events that are not the app's: of another app, and sample data of the dashboard's test button (docs/wix.md, 4.1).

use serde_json::{Value, json};

use super::{OTHER_APP, enveloped};
use crate::testing::clock::START;
use crate::testing::jws::{event, installed};
use crate::testing::world::{APP_ID, INSTANCE, VICTIM, World};

#[test]
fn an_app_id_that_is_not_a_guid_counts_as_another_app() {
    let world = World::new();
    for id in [json!("not-a-guid"), json!(" "), json!(5), json!({}), json!("00000000-0000-0000-0000-000000000000")] {
        for kind in ["AppInstalled", "AppRemoved"] {
            assert_eq!(world.webhook(event(kind, INSTANCE, &json!({"appId": id}), START)).status, 200);
            assert_eq!(world.fake.last_log()["outcome"], "other_app_ignored", "{kind} {id}");
        }
    }
    assert!(world.fake.kv().entries().is_empty());
}

/// A developer may have several apps.
#[test]
fn an_event_about_a_plan_of_another_app_is_neither_stored_nor_delivered() {
    let world = World::delivering();
    world.webhook(installed(INSTANCE, START));
    let before = world.fake.kv().entries();
    for kind in ["PaidPlanPurchased", "PaidPlanAutoRenewalCancelled", "InvoiceStatusUpdated", "PlanReactivated"] {
        for instance in [INSTANCE, VICTIM] {
            let data = json!({"appId": OTHER_APP, "vendorProductId": "theirs", "cycle": "YEARLY"});
            assert_eq!(world.webhook(event(kind, instance, &data, START + 10)).status, 200);
            assert_eq!(world.fake.last_log()["outcome"], "other_app_ignored", "{kind}");
        }
    }
    assert_eq!(world.fake.kv().entries(), before);
    let delivered = world.fake.object(INSTANCE).texts("SELECT type FROM events ORDER BY sequence");
    assert_eq!(delivered, ["AppInstalled", "installation.installed"]);
    for app in [json!(APP_ID), json!(null), json!("")] {
        let data = json!({"appId": app, "vendorProductId": "ours"});
        assert_eq!(world.webhook(event("PaidPlanPurchased", INSTANCE, &data, START + 10)).status, 200);
        assert_eq!(world.instance(INSTANCE)["plan"], "ours");
    }
}

/// A message of the dashboard's test button: sample data in several lines, and no identity.
pub(super) fn sample(kind: &str, data: &Value) -> String {
    let text = format!("{} ", serde_json::to_string_pretty(data).unwrap());
    enveloped(&json!({"eventType": kind, "instanceId": INSTANCE, "data": text}))
}

#[test]
fn sample_data_of_the_dashboard_is_not_stored() {
    let world = World::new();
    let bought = json!({"vendorProductId": "pro", "cycle": "MONTHLY"});
    for (kind, data) in [
        ("PaidPlanPurchased", &bought),
        ("PlanTransferred", &json!({"a": 1})),
        ("product_created", &json!({"id": 1})),
        ("AppInstalled", &json!({})),
        ("AppInstalled", &json!({"originInstanceId": VICTIM, "appId": null})),
        ("AppRemoved", &json!({"appId": ""})),
    ] {
        assert_eq!(world.webhook(sample(kind, data)).status, 200);
        assert_eq!(world.fake.last_log()["outcome"], "sample_ignored", "{kind}");
    }
    assert!(world.fake.kv().entries().is_empty());
    // For a known instance the message may be genuine, so its fact is stored.
    world.webhook(installed(INSTANCE, START - 1));
    assert_eq!(world.webhook(sample("PaidPlanPurchased", &bought)).status, 200);
    assert_eq!(world.instance(INSTANCE)["plan"], "pro");
}

/// An installation must not be lost. Only what has every mark of the test button is sample data.
#[test]
fn an_installation_with_a_mark_of_a_genuine_message_is_stored() {
    let pretty = |data: &Value| format!("{} ", serde_json::to_string_pretty(data).unwrap());
    for fields in [
        json!({"data": "{}"}),
        json!({"data": "{\"originInstanceId\": \"\"}"}),
        json!({"data": {"appId": ""}}),
        json!({"data": pretty(&json!({"appId": APP_ID}))}),
        json!({"data": pretty(&json!({})), "identity": "{}"}),
        json!({"data": pretty(&json!({})), "webhookId": "wId_1"}),
    ] {
        let world = World::new();
        let mut envelope = fields.clone();
        envelope["eventType"] = "AppInstalled".into();
        envelope["instanceId"] = INSTANCE.into();
        assert_eq!(world.webhook(enveloped(&envelope)).status, 200);
        assert_eq!(world.instance(INSTANCE)["status"], "installed", "{fields}");
    }
}
