//! The record of an installation has the `ref` of the latest flow that had one.

use super::*;
use crate::testing::kv::Op;

fn listed(world: &World) -> serde_json::Value {
    world.get("/v1/instances").key(API_KEY).send().json()["instances"][0].clone()
}

#[test]
fn the_record_has_the_ref_and_a_list_does_not() {
    for reference in ["7", &"r".repeat(512), &"😀".repeat(512)] {
        let world = world();
        install(&world, &query(reference));
        assert_eq!(world.instance(INSTANCE)["ref"], reference);
        assert_eq!((&listed(&world)["instance_id"], listed(&world).get("ref")), (&json!(INSTANCE), None));
        let exported = world.get("/v1/export").key(API_KEY).send();
        assert_eq!(exported.json()["ref"], reference);
        // Whatever reads all facts anew finds it: other isolates, the Cron Trigger, and a row that was lost.
        world.webhook(jws::event(
            "PaidPlanChanged",
            INSTANCE,
            &json!({ "vendorProductId": "p".repeat(100) }),
            world.now(),
        ));
        world.fake.clock().advance(300);
        world.cron();
        assert_eq!(world.instance(INSTANCE)["ref"], reference);
        world.fake.kv().remove_directly(&format!("v1:instance:{INSTANCE}"));
        world.webhook(jws::installed(INSTANCE, world.now()));
        assert_eq!(world.instance(INSTANCE)["ref"], reference);
    }
}

/// An older version lists what it does not know as long as it is short.
#[test]
fn a_ref_in_the_metadata_of_another_version_is_not_listed() {
    let world = world();
    install(&world, &query("7"));
    let key = format!("v1:instance:{INSTANCE}");
    let row = world.fake.kv().entries()[&key].clone();
    let mut metadata: serde_json::Value = serde_json::from_str(&row.metadata.unwrap()).unwrap();
    metadata["ref"] = json!("7");
    world.fake.kv().insert_directly(&key, &row.value, Some(&metadata.to_string()));
    assert_eq!(listed(&world).get("ref"), None);
}

#[test]
fn the_newest_flow_with_a_ref_wins() {
    let world = world();
    for (query, expected) in [(query("1"), "1"), (query("2"), "2"), (String::new(), "2"), (query("3"), "3")] {
        world.fake.clock().advance(10);
        install(&world, &query);
        assert_eq!(world.instance(INSTANCE)["ref"], expected);
    }
    world.fake.clock().advance(10);
    connect(&world, &query("4"));
    assert_eq!(world.instance(INSTANCE)["ref"], "4");
    world.fake.clock().advance(300);
    world.cron();
    assert_eq!(world.fake.kv().keys(&format!("v1:fact:{INSTANCE}:referred")).len(), 1, "the older ones are deleted");
}

#[test]
fn a_removed_installation_keeps_its_ref_and_a_later_one_does_not_inherit_it() {
    let world = world();
    install(&world, &query("7"));
    world.webhook(jws::removed(INSTANCE, world.now() + 10));
    let record = world.instance(INSTANCE);
    assert_eq!((&record["status"], &record["ref"]), (&json!("removed"), &json!("7")));
    world.webhook(jws::installed(INSTANCE, world.now() + 20));
    let record = world.instance(INSTANCE);
    assert_eq!((&record["status"], record.get("ref")), (&json!("installed"), None));
    world.fake.clock().advance(30);
    install(&world, &query("8"));
    assert_eq!(world.instance(INSTANCE)["ref"], "8");
}

#[test]
fn a_ref_costs_a_write_and_a_long_one_a_read_with_each_listing() {
    let costs = |query: &str, end: fn(&World, &str) -> Url| {
        let world = world();
        end(&world, query);
        world.fake.kv().take_counts()
    };
    for end in [connect as fn(&World, &str) -> Url, install] {
        let [reads, writes, deletions, lists] = costs("", end);
        assert_eq!(costs(&query("7"), end), [reads, writes + 1, deletions, lists]);
        let long = costs(&query(&"😀".repeat(512)), end);
        assert_eq!(long, [reads + 1, writes + 1, deletions, lists]);
    }
}

/// A batch of writes may fail in part. The reload of the flow stores what is missing.
#[test]
fn a_ref_that_could_not_be_stored_is_stored_by_the_reload() {
    for failing in ["v1:fact:", "v1:instance:", "v1:flow:"] {
        for flow in ["connect", "install"] {
            let world = world();
            let (callback, cookie) = begin_with(&world, &query("7"));
            let (path, install_cookie) = begin_install(&world, &query("7"));
            let send = |world: &World| match flow {
                "connect" => call_back(world, &callback, &cookie, &json!({})),
                _ => world.get(&path).header("cookie", &install_cookie).send(),
            };
            let is_ref = |key: &str| !key.starts_with("v1:fact:") || key.contains("referred");
            world.fake.kv().fail_where(move |op, key| op == Op::Put && key.starts_with(failing) && is_ref(key));
            let first = send(&world).status;
            world.fake.kv().clear_faults();
            // Another writer knows nothing of the ref.
            let row = format!("v1:instance:{INSTANCE}");
            if failing == "v1:fact:" {
                world.fake.kv().remove_directly(&row);
                world.webhook(jws::installed(INSTANCE, world.now()));
            }
            assert!(first == 503 || (flow, failing) == ("connect", "v1:flow:"), "{flow} {failing} {first}");
            assert_eq!(send(&world.isolate(&[("AFTER_INSTALL_URL", PAGE)])).status, 302, "{flow} {failing}");
            assert_eq!(world.instance(INSTANCE)["ref"], "7", "{flow} {failing}");
        }
    }
}

#[test]
fn our_own_events_tell_the_ref() {
    let world = World::delivering_with(&[("AFTER_INSTALL_URL", PAGE)]);
    connect(&world, &query(ODD));
    world.fake.deliver(INSTANCE);
    let seen = world.fake.object(INSTANCE).seen();
    let bodies: Vec<serde_json::Value> = seen.iter().map(|seen| serde_json::from_str(&seen.body).unwrap()).collect();
    let installed = bodies.iter().find(|body| body["type"] == "installation.installed").expect("an event");
    assert_eq!(installed["data"]["ref"], ODD);
}
