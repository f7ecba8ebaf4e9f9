//! Version tolerance: during every deployment isolates of a newer version run beside this one. Facts and fields that
//! only the newer version knows must survive when this one rewrites a row.

use serde_json::{Map, json};

use super::*;
use crate::testing::clock::START;
use crate::testing::kv::Op;
use crate::testing::world::API_KEY;

const ROW: &str = "v1:instance:aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee";

/// A newer version, which knows a kind of fact `suspended`, a status of that name, the tier of a plan, and a branding.
struct Newer<'a>(&'a World);

impl Newer<'_> {
    fn suspended() -> Value {
        json!({"at": START - 50, "kind": "suspended", "by": {"who": "wix", "why": ["a", 1.5, null]}})
    }

    fn plan() -> Value {
        json!({"at": START - 40, "kind": "plan", "plan": "pro", "tier": "GOLD", "expires_on": null})
    }

    fn installed() -> Value {
        json!({"at": START - 60, "kind": "installed", "origin": {"site": "x"}, "app_version": 7})
    }

    fn facts() -> [Value; 3] {
        [Self::installed(), Self::plan(), Self::suspended()]
    }

    /// Writes facts, and the row that they fold into.
    fn write(&self) {
        for fact in Self::facts() {
            let (kind, at) = (fact["kind"].as_str().unwrap(), fact["at"].as_u64().unwrap());
            let key = format!("{}{kind}:{at:012}:ffffffff", keys::facts(&id()));
            self.0.fake.kv().insert_directly(&key, &fact.to_string(), Some(&fact.to_string()));
        }
        let listed = json!({"instance_id": INSTANCE, "status": "suspended", "auth": "oauth2",
            "installed_at": START - 60, "plan": "pro", "is_trial": false, "last_event_at": START - 40});
        let mut row = listed.clone();
        row["branding"] = json!({"name": "A shop", "url": null});
        row["facts"] = json!(Self::facts());
        self.0.fake.kv().insert_directly(ROW, &row.to_string(), Some(&listed.to_string()));
    }

    fn row(&self) -> Map<String, Value> {
        let entry = &self.0.fake.kv().entries()[ROW];
        serde_json::from_str::<Value>(&entry.value).unwrap().as_object().unwrap().clone()
    }

    fn listed(&self) -> Value {
        serde_json::from_str(self.0.fake.kv().entries()[ROW].metadata.as_deref().unwrap()).unwrap()
    }

    /// Asserts that the row still has these facts and all unknown fields.
    fn assert_keeps(&self, facts: &[Value]) {
        let row = self.row();
        let stored = row["facts"].as_array().unwrap();
        for fact in facts {
            assert!(stored.contains(fact), "{fact} is not in {stored:?}");
        }
        assert_eq!(row["branding"], json!({"name": "A shop", "url": null}));
        assert_eq!((&row["is_trial"], &self.listed()["is_trial"]), (&json!(false), &json!(false)));
    }
}

fn list(world: &World) -> Value {
    world.get("/v1/instances").key(API_KEY).send().json()["instances"].clone()
}

#[test]
fn facts_and_fields_of_a_newer_version_survive_a_rewrite() {
    let world = World::new();
    let newer = Newer(&world);
    newer.write();
    // A read shows the known fields, with the values of this version.
    for shown in [world.instance(INSTANCE), list(&world)[0].clone()] {
        assert_eq!((&shown["status"], &shown["auth"]), (&json!("installed"), &json!("oauth")), "{shown}");
        assert_eq!((&shown["plan"], shown.get("branding")), (&json!("pro"), None));
    }
    assert_eq!(world.token(INSTANCE).status, 200);
    // An event and a recheck rewrite the row.
    assert_eq!(world.webhook(jws::event("AppInstalled", INSTANCE, &json!({}), START - 70)).status, 200);
    world.fake.clock().advance(300);
    world.cron();
    newer.assert_keeps(&Newer::facts());
    let message = jws::event("PaidPlanChanged", INSTANCE, &json!({"vendorProductId": "max"}), START + 10);
    assert_eq!(world.webhook(message).status, 200);
    world.fake.clock().advance(300);
    world.cron();
    newer.assert_keeps(&[Newer::installed(), Newer::suspended()]);
    let row = newer.row();
    assert_eq!((&row["plan"], &row["status"], &row["auth"]), (&json!("max"), &json!("suspended"), &json!("oauth2")));
    assert_eq!((&newer.listed()["plan"], &newer.listed()["status"]), (&json!("max"), &json!("suspended")));
    // Its fact stays stored, since this version never takes an unknown fact for outdated.
    let keys = world.fake.kv().keys(&keys::facts(&id()));
    assert!(keys.iter().any(|key| key.contains(":suspended:")), "{keys:?}");
}

#[test]
fn a_removal_overrides_a_status_of_a_newer_version() {
    let world = World::new();
    let newer = Newer(&world);
    newer.write();
    assert_eq!(world.webhook(jws::removed(INSTANCE, START)).status, 200);
    assert_eq!(world.instance(INSTANCE)["status"], "removed");
    assert_eq!(list(&world)[0]["status"], "removed");
    assert_eq!((&newer.row()["status"], &newer.row()["removed_at"]), (&json!("removed"), &json!(START)));
    newer.assert_keeps(&Newer::facts());
    assert_eq!(world.isolate(&[]).token(INSTANCE).status, 410);
    assert_eq!(world.webhook(jws::installed(INSTANCE, START + 1)).status, 200);
    assert_eq!(newer.row()["status"], "installed");
    newer.assert_keeps(&[Newer::suspended()]);
}

#[test]
fn a_row_with_only_unknown_facts_is_an_instance() {
    let world = World::new();
    let row = json!({"instance_id": INSTANCE, "status": "imported", "auth": "oauth",
        "facts": [{"at": START, "kind": "imported"}, "not even an object", {"kind": 7}]});
    world.fake.kv().insert_directly(ROW, &row.to_string(), Some(r#"{"status":"imported"}"#));
    assert_eq!(world.instance(INSTANCE)["status"], "pending");
    assert_eq!(list(&world)[0]["status"], "pending");
    assert_eq!(world.token(INSTANCE).status, 200);
    assert_eq!(world.webhook(jws::installed(INSTANCE, START)).status, 200);
    let stored = Newer(&world).row()["facts"].clone();
    for fact in row["facts"].as_array().unwrap() {
        assert!(stored.as_array().unwrap().contains(fact), "{fact} is not in {stored}");
    }
    // A known status that stems from an unknown fact stays as well.
    let row = json!({"instance_id": INSTANCE, "status": "installed", "auth": "oauth",
        "facts": [{"at": START, "kind": "imported"}]});
    let world = World::new();
    world.fake.kv().insert_directly(ROW, &row.to_string(), Some(&row.to_string()));
    world.webhook(jws::event("PaidPlanChanged", INSTANCE, &json!({"vendorProductId": "max"}), START));
    assert_eq!(world.instance(INSTANCE)["status"], "installed");
}

#[test]
fn metadata_stays_within_the_limit_of_kv() {
    let world = World::new();
    let mut row = json!({"instance_id": INSTANCE, "status": "installed", "auth": "oauth", "later": "short",
        "facts": [{"at": START - 9, "kind": "installed"}]});
    row["title"] = json!("r".repeat(600));
    row["notes"] = json!("n".repeat(600));
    row["branding"] = json!({"name": "x"});
    world.fake.kv().insert_directly(ROW, &row.to_string(), Some("{}"));
    let message = jws::event("PaidPlanChanged", INSTANCE, &json!({"vendorProductId": "p".repeat(100)}), START);
    assert_eq!(world.webhook(message).status, 200);
    let newer = Newer(&world);
    let text = world.fake.kv().entries()[ROW].metadata.clone().unwrap();
    assert!(text.len() <= 1024, "{}", text.len());
    assert_eq!((&newer.listed()["later"], newer.listed().get("branding")), (&json!("short"), None));
    for name in ["title", "notes", "branding"] {
        assert_eq!(newer.row()[name], row[name], "the row, unlike its metadata, has room for every field");
    }
}

#[test]
fn an_unreadable_row_does_not_fail_its_page() {
    let world = World::new();
    world.webhook(jws::installed(VICTIM, START));
    for (metadata, value) in [
        (Some("{"), "not JSON"),
        (None, "[]"),
        (Some(r#"{"status":"new"}"#), r#"{"status":"new"}"#),
        (Some(r#""text""#), ""),
    ] {
        world.fake.kv().insert_directly(ROW, value, metadata);
        let listed = list(&world);
        assert_eq!(listed.as_array().unwrap().len(), 1, "{value}: the page leaves the row out");
        assert_eq!(listed[0]["instance_id"], VICTIM);
        assert_eq!(world.fake.last_log()["error"], "row_unreadable", "{value}: the log has the error");
    }
    world.fake.kv().take_counts();
    world.fake.kv().fail_where(|op, _| op == Op::Get);
    assert_eq!(world.get("/v1/instances").key(API_KEY).send().status, 503, "a failure of KV fails the page");
}

#[test]
fn an_unreadable_sealed_token_does_not_fail_a_request() {
    let world = World::new();
    world.webhook(jws::installed(INSTANCE, START));
    for unreadable in ["s9.k1.AAAA.AAAA", "", "{}"] {
        world.fake.kv().insert_directly(&format!("v1:access:{INSTANCE}"), unreadable, None);
        assert_eq!(world.isolate(&[]).token(INSTANCE).status, 200, "{unreadable}");
    }
}

#[test]
fn a_fact_that_is_not_json_is_ignored() {
    let world = World::new();
    world.webhook(jws::installed(INSTANCE, START));
    let key = format!("{}seen:{:012}:ffffffff", keys::facts(&id()), START + 1);
    world.fake.kv().insert_directly(&key, "cut {", Some("cut {"));
    assert_eq!(world.webhook(jws::removed(INSTANCE, START + 2)).status, 200);
    assert_eq!(world.instance(INSTANCE)["status"], "removed");
}
