//! `POST /webhook`: signed messages, and the facts that they store. docs/wix.md, 4 and 5.

pub mod installations;
mod not_ours;
mod store;

use serde_json::{Value, json};

use crate::testing::clock::START;
use crate::testing::jws::{self, HEADER, Key, event, installed, removed, sign};
use crate::testing::world::{APP_ID, INSTANCE, VICTIM, World};

const OTHER_APP: &str = "33333333-2222-4333-8444-555555555555";

/// A signed message with this envelope.
fn enveloped(envelope: &Value) -> String {
    sign(Key::Wix, HEADER, &jws::claims(envelope, START))
}

fn plan(kind: &str, plan: &str, iat: u64) -> String {
    event(kind, INSTANCE, &json!({"vendorProductId": plan, "cycle": "MONTHLY", "invoiceId": null}), iat)
}

#[test]
fn an_installation_is_stored() {
    let world = World::new();
    let response = world.webhook(installed(INSTANCE, START));
    assert_eq!((response.status, response.body.as_str()), (200, "{}"));
    assert_eq!(
        world.instance(INSTANCE),
        json!({
            "instance_id": INSTANCE,
            "status": "installed",
            "auth": "oauth",
            "installed_at": START,
            "last_event_at": START,
        })
    );
}

#[test]
fn a_genuine_message_of_wix_is_stored() {
    let app = [("WIX_PUBLIC_KEYS", jws::GENUINE_KEY), ("WIX_APP_ID", "5bc2062d-010b-448c-a62a-d6bb269c5a4c")];
    let world = World::with(&app);
    world.fake.clock().set(1_640_788_600);
    assert_eq!(world.webhook(jws::GENUINE).status, 200);
    let instance = world.instance("3bbcabc7-ebb7-4fc8-8829-13ea0e142123");
    assert_eq!(instance["origin_instance_id"], "07864c16-3a6f-4dd2-9973-028705762b2c");
    assert_eq!(instance["installed_at"], 1_640_788_554);
}

#[test]
fn a_removal_is_stored_as_a_tombstone() {
    let world = World::new();
    world.webhook(installed(INSTANCE, START - 100));
    assert_eq!(world.webhook(removed(INSTANCE, START)).status, 200);
    assert_eq!(
        world.instance(INSTANCE),
        json!({
            "instance_id": INSTANCE,
            "status": "removed",
            "auth": "oauth",
            "removed_at": START,
            "last_event_at": START,
        })
    );
}

#[test]
fn a_removal_of_an_unknown_instance_is_stored() {
    let world = World::new();
    world.webhook(removed(INSTANCE, START));
    world.webhook(installed(INSTANCE, START - 10));
    assert_eq!(world.instance(INSTANCE)["status"], "removed", "the installation came later and is older");
}

#[test]
fn every_event_about_a_plan_is_stored() {
    for (at, kind) in (START..).zip([
        "PaidPlanPurchased",
        "PaidPlanChanged",
        "PlanConvertedToPaid",
        "PlanReactivated",
        "PlanTransferred",
    ]) {
        let world = World::new();
        world.webhook(installed(INSTANCE, START - 100));
        assert_eq!(world.webhook(plan(kind, "pro_plan", at - 4)).status, 200, "{kind}");
        assert_eq!(world.instance(INSTANCE)["plan"], "pro_plan", "{kind}");
        assert_eq!(world.instance(INSTANCE)["last_event_at"], at - 4);
    }
}

#[test]
fn an_event_of_another_type_does_not_change_a_known_instance() {
    let world = World::new();
    world.webhook(installed(INSTANCE, START));
    let before = world.instance(INSTANCE);
    world.fake.kv().take_changes();
    for (kind, data) in [
        ("SitePropertiesUpdated", json!({"metasiteId": "x", "event": {"version": "42"}})),
        ("wix.ecom.v1.order_created", json!({"id": "1"})),
        ("appinstalled", json!({})),
        ("", json!({})),
    ] {
        assert_eq!(world.webhook(event(kind, INSTANCE, &data, START)).status, 200, "{kind}");
    }
    assert_eq!(world.fake.kv().take_changes(), []);
    assert_eq!(world.instance(INSTANCE), before);
}

#[test]
fn an_event_of_another_type_makes_an_unknown_instance_pending() {
    let world = World::new();
    assert_eq!(world.webhook(event("AnyEvent", INSTANCE, &json!({}), START)).status, 200);
    assert_eq!(
        world.instance(INSTANCE),
        json!({"instance_id": INSTANCE, "status": "pending", "auth": "oauth", "last_event_at": START})
    );
    assert_eq!(world.token(INSTANCE).status, 200, "a pending instance has tokens");
}

#[test]
fn an_event_of_another_type_may_have_any_form() {
    let world = World::new();
    for envelope in [
        json!({"eventType": "X", "data": "not json"}),
        json!({"eventType": "X"}),
        json!({"eventType": "X", "data": null, "instanceId": null, "accountInfo": {"accountId": "a"}}),
        json!({"eventType": "X", "data": 7, "instanceId": ""}),
        json!({"eventType": "X", "data": {}, "identity": "not json"}),
    ] {
        assert_eq!(world.webhook(enveloped(&envelope)).status, 200, "{envelope}");
    }
    assert!(world.fake.kv().entries().is_empty());
}

#[test]
fn the_inner_data_may_be_text_or_an_object() {
    let data = json!({"appId": APP_ID, "originInstanceId": VICTIM});
    let pretty = format!("{} \n", serde_json::to_string_pretty(&data).unwrap());
    for data in [json!(data.to_string()), data.clone(), json!(pretty)] {
        let world = World::new();
        let envelope = json!({"eventType": "AppInstalled", "instanceId": INSTANCE, "data": data});
        assert_eq!(world.webhook(enveloped(&envelope)).status, 200, "{envelope}");
        assert_eq!(world.instance(INSTANCE)["origin_instance_id"], VICTIM, "{envelope}");
    }
}

#[test]
fn a_sample_of_another_app_is_accepted_and_not_stored() {
    let world = World::new();
    let data = json!({"appId": OTHER_APP, "originInstanceId": VICTIM});
    for kind in ["AppInstalled", "AppRemoved"] {
        assert_eq!(world.webhook(event(kind, INSTANCE, &data, START)).status, 200);
        assert_eq!(world.fake.last_log()["outcome"], "other_app_ignored");
    }
    let without_instance = json!({"eventType": "AppInstalled", "data": data});
    assert_eq!(world.webhook(enveloped(&without_instance)).status, 200);
    assert!(world.fake.kv().entries().is_empty());
}

#[test]
fn an_event_without_an_instance_id_is_accepted_and_not_stored() {
    let data = json!({"appId": APP_ID, "vendorProductId": "pro"});
    let installation = "wix.app.installations.v1.app_installation_updated";
    for kind in ["AppInstalled", "AppRemoved", "PaidPlanPurchased", installation] {
        for id in [json!(null), json!(""), json!("x"), json!(7), json!("00000000-0000-0000-0000-000000000000")] {
            let world = World::new();
            let envelope = json!({"eventType": kind, "instanceId": id, "data": data});
            assert_eq!(world.webhook(enveloped(&envelope)).status, 200, "{envelope}");
            assert_eq!(world.fake.last_log()["outcome"], "event_of_no_instance", "{envelope}");
            assert!(world.fake.kv().entries().is_empty());
        }
    }
}

#[test]
fn a_signed_message_without_an_event_is_refused() {
    let world = World::new();
    for envelope in [
        json!({}),
        json!([]),
        json!("AppInstalled"),
        json!({"instanceId": INSTANCE}),
        json!({"eventType": 7, "instanceId": INSTANCE}),
    ] {
        let response = world.webhook(enveloped(&envelope));
        assert_eq!(response.problem(), (400, "malformed_message".to_owned()), "{envelope}");
    }
    assert!(world.fake.kv().entries().is_empty());
}

#[test]
fn a_message_without_a_valid_signature_or_time_is_refused() {
    let world = World::new();
    let envelope = json!({"eventType": "AppRemoved", "instanceId": INSTANCE, "data": {"appId": APP_ID}});
    let forged = sign(Key::Other, HEADER, &jws::claims(&envelope, START));
    assert_eq!(world.webhook(forged).problem(), (401, "bad_signature".to_owned()));
    assert_eq!(world.webhook(envelope.to_string()).problem(), (400, "malformed_message".to_owned()));
    assert_eq!(world.webhook("").problem(), (400, "malformed_message".to_owned()));
    let stale = installed(INSTANCE, START - 3_700_000);
    assert_eq!(world.webhook(stale).problem(), (401, "not_valid_now".to_owned()));
    assert_eq!(world.webhook(installed(INSTANCE, START + 61)).problem(), (401, "not_valid_now".to_owned()));
    assert!(world.fake.kv().entries().is_empty());
}

#[test]
fn the_content_type_does_not_matter() {
    for content_type in ["text/plain", "application/json", "application/jwt", "application/x-www-form-urlencoded"] {
        let world = World::new();
        let request = world.post("/webhook").header("content-type", content_type).body(installed(INSTANCE, START));
        assert_eq!(request.send().status, 200, "{content_type}");
    }
}

#[test]
fn a_body_may_have_1_mib() {
    let world = World::new();
    let mut body = installed(INSTANCE, START).into_bytes();
    body.resize(1024 * 1024, b'\n');
    assert_eq!(world.webhook(body.clone()).status, 200);
    body.push(b'\n');
    assert_eq!(world.webhook(body).problem(), (413, "too_large".to_owned()));
    assert_eq!(world.webhook(vec![b'x'; 4 * 1024 * 1024]).status, 413);
}

#[test]
fn a_body_that_breaks_off_is_refused() {
    let world = World::new();
    let response = world.post("/webhook").body(installed(INSTANCE, START)).broken().send();
    assert_eq!(response.problem(), (400, "bad_request".to_owned()));
}

#[test]
fn a_plan_event_with_an_invalid_plan_is_accepted() {
    for (name, is_valid) in [
        ("p".repeat(100), true),
        ("\u{FFFD}".repeat(100), true),
        ("\u{1F600}".repeat(50), true),
        ("\u{1F600}".repeat(51), false),
        ("\"".repeat(100), true),
        ("p".repeat(101), false),
        ("pro\nplan".to_owned(), false),
        ("pro\u{0}".to_owned(), false),
        (String::new(), false),
    ] {
        let world = World::new();
        let response = world.webhook(plan("PaidPlanPurchased", &name, START));
        assert_eq!(response.status, 200, "{name:?}");
        assert_eq!(world.instance(INSTANCE).get("plan").is_some(), is_valid, "{name:?}");
    }
    for data in [json!({}), json!({"vendorProductId": null}), json!({"vendorProductId": 7}), json!("nothing"), json!(7)]
    {
        let world = World::new();
        assert_eq!(world.webhook(event("PlanTransferred", INSTANCE, &data, START)).status, 200, "{data}");
        assert_eq!(world.instance(INSTANCE)["status"], "pending", "the instance must exist: {data}");
    }
}

#[test]
fn invalid_optional_fields_do_not_lose_a_lifecycle_event() {
    let data = [
        json!({"eventType": "X"}),
        json!({"data": null}),
        json!({"data": {}}),
        json!({"data": ""}),
        json!({"data": "not json"}),
        json!({"data": "\"text\""}),
        json!({"data": "[]"}),
        json!({"data": 7}),
        json!({"data": {"appId": null, "originInstanceId": {}}}),
        json!({"data": {"appId": APP_ID.to_uppercase(), "originInstanceId": 5}}),
        json!({"data": {"appId": APP_ID}, "identity": 5, "webhookId": {}, "accountInfo": "x"}),
    ];
    for fields in data {
        let world = World::new();
        for (kind, status, at) in [("AppInstalled", "installed", START - 10), ("AppRemoved", "removed", START)] {
            let mut envelope = fields.clone();
            envelope["eventType"] = kind.into();
            envelope["instanceId"] = INSTANCE.into();
            let message = sign(Key::Wix, HEADER, &jws::claims(&envelope, at));
            assert_eq!(world.webhook(message).status, 200, "{envelope}");
            assert_eq!(world.instance(INSTANCE)["status"], status, "{envelope}");
        }
    }
}

#[test]
fn without_memory_for_the_body_wix_must_retry() {
    let world = World::new();
    world.fake.exhaust_body_memory();
    let response = world.webhook(installed(INSTANCE, START));
    assert_eq!((response.problem(), response.header("retry-after")), ((503, "busy".to_owned()), "2"));
}

#[test]
fn all_kv_operations_of_a_webhook_share_one_second() {
    let world = World::new();
    world.webhook(installed(INSTANCE, START - 1));
    // Two reads in sequence: one whether the instance is known, and one of its row.
    world.fake.kv().delay_where(|_, _| 700);
    let response = world.webhook(not_ours::sample("product_created", &json!({"id": 1})));
    assert_eq!(response.problem(), (503, "store_failed".to_owned()));
    assert!(response.took <= 1_000, "{} ms", response.took);
}
