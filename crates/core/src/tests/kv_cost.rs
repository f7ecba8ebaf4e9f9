//! The numbers of KV operations, which the table of docs/costs.md has: reads, writes, deletions, listings.

use serde_json::json;

use crate::testing::clock::START;
use crate::testing::jws;
use crate::testing::kv::Op;
use crate::testing::world::{API_KEY, INSTANCE, World};

const DAY: usize = 86_400;

#[test]
fn the_cost_of_an_installation() {
    let world = World::new();
    world.webhook(jws::installed(INSTANCE, START));
    assert_eq!(world.fake.kv().take_counts(), [2, 3, 0, 2], "an installation by webhook");
    world.cron();
    assert_eq!(world.fake.kv().take_counts(), [1, 1, 0, 1], "a run of the Cron Trigger that is noted");
    world.fake.clock().advance(300);
    world.cron();
    assert_eq!(world.fake.kv().take_counts(), [2, 0, 1, 2], "the recheck of an installation");
    world.cron();
    assert_eq!(world.fake.kv().take_counts(), [1, 0, 0, 1], "a run of the Cron Trigger without rechecks");
    world.webhook(jws::installed(INSTANCE, START));
    assert_eq!(world.fake.kv().take_counts(), [1, 0, 0, 1], "a repeated message writes nothing");

    let world = World::new();
    world.connect();
    let [_, writes, ..] = world.fake.kv().take_counts();
    assert_eq!(writes, 5, "an installation by redirect also stores the refresh token and the result of the exchange");
}

#[test]
fn the_deferred_task_of_an_installation_stores_no_second_recheck() {
    let world = World::with(&[("FINISH_CONFIGURATION", "on-install")]);
    world.webhook(jws::installed(INSTANCE, START));
    let writes = world.fake.kv().take_changes().into_iter().filter(|(op, _)| *op == Op::Put);
    let kinds: Vec<String> = writes.map(|(_, key)| key.split(':').nth(1).unwrap().to_owned()).collect();
    assert_eq!(kinds, ["fact", "instance", "todo", "access", "fact", "instance"]);
}

#[test]
fn the_cost_of_events_that_change_nothing() {
    let world = World::new();
    world.webhook(jws::installed(INSTANCE, START));
    world.fake.kv().take_counts();
    let event = || world.webhook(jws::event("AnyEvent", INSTANCE, &json!({}), START));
    event();
    assert_eq!(world.fake.kv().take_counts(), [1, 0, 0, 0]);
    world.fake.clock().advance(299);
    event();
    assert_eq!(world.fake.kv().take_counts(), [0; 4], "a row is read once in five minutes");
    world.fake.clock().advance(1);
    event();
    assert_eq!(world.fake.kv().take_counts(), [1, 0, 0, 0], "after five minutes it is read again");
    world.webhook(jws::removed(INSTANCE, world.now()));
    world.fake.kv().take_counts();
    event();
    assert_eq!(world.fake.kv().take_counts(), [1, 0, 0, 0], "an event of a removed instance reads the row");
}

#[test]
fn the_cost_of_a_day_of_four_hour_tokens() {
    let world = World::new();
    world.webhook(jws::installed(INSTANCE, START));
    world.fake.kv().take_counts();
    for _ in 0..DAY / 60 {
        world.token(INSTANCE);
        world.fake.clock().advance(60);
    }
    let [reads, writes, deletions, listings] = world.fake.kv().take_counts();
    assert_eq!((writes, deletions, listings), (7, 0, 0));
    assert!((280..=310).contains(&reads), "{reads} reads: the row must be read every five minutes");
    world.isolate(&[]).token(INSTANCE);
    assert_eq!(world.fake.kv().take_counts(), [2, 0, 0, 0], "another isolate reads row and token");
}

#[test]
fn the_cost_of_a_day_of_five_minute_tokens() {
    let world = World::new();
    world.connect();
    world.fake.clock().advance(600);
    world.fake.kv().take_counts();
    for _ in 0..DAY / 60 {
        world.token(INSTANCE);
        world.fake.clock().advance(60);
    }
    let [reads, writes, deletions, listings] = world.fake.kv().take_counts();
    assert_eq!((writes, deletions, listings), (0, 0, 0));
    assert_eq!(reads, 3 * DAY / 240, "each token costs three reads: row, refresh token, and row again");
}

#[test]
fn each_page_of_1000_instances_costs_one_operation() {
    let world = World::new();
    let id = |number: usize| format!("aaaaaaaa-bbbb-4ccc-8ddd-{number:012}");
    for number in 1..=10_000 {
        let row = json!({"instance_id": id(number), "status": "installed", "auth": "oauth"}).to_string();
        world.fake.kv().insert_directly(&format!("v1:instance:{}", id(number)), &row, Some(&row));
    }
    let mut seen = Vec::new();
    let mut cursor = String::new();
    for page in 1..=10 {
        let response = world.get(&format!("/v1/instances?limit=1000{cursor}")).key(API_KEY).send().json();
        assert_eq!(world.fake.kv().take_counts(), [0, 0, 0, 1], "page {page}");
        let instances = response["instances"].as_array().unwrap();
        assert_eq!(instances.len(), 1_000);
        seen.extend(instances.iter().map(|instance| instance["instance_id"].as_str().unwrap().to_owned()));
        assert_eq!(response.get("next_cursor").is_none(), page == 10);
        cursor = format!("&cursor={}", response["next_cursor"].as_str().unwrap_or_default());
    }
    assert_eq!(seen, (1..=10_000).map(id).collect::<Vec<_>>());
}
