//! What KV is asked for, and so what it costs: the figures of the README's cost sheet. Each is reads, writes, removals,
//! lists.

use serde_json::json;

use crate::testing::clock::START;
use crate::testing::jws;
use crate::testing::kv::Op;
use crate::testing::world::{API_KEY, INSTANCE, World};

const DAY: usize = 86_400;

#[test]
fn an_installation() {
    let world = World::new();
    world.webhook(jws::installed(INSTANCE, START));
    assert_eq!(world.fake.kv().take_counts(), [2, 3, 0, 2], "by webhook");
    world.fake.clock().advance(300);
    world.cron();
    assert_eq!(world.fake.kv().take_counts(), [1, 0, 1, 2], "and once by the Cron Trigger");
    world.cron();
    assert_eq!(world.fake.kv().take_counts(), [0, 0, 0, 1], "which else lists once");
    world.webhook(jws::installed(INSTANCE, START));
    assert_eq!(world.fake.kv().take_counts(), [1, 0, 0, 1], "a repeated message writes nothing");

    let world = World::new();
    world.connect();
    let [_, writes, ..] = world.fake.kv().take_counts();
    assert_eq!(writes, 5, "by redirect, with the refresh token and what the exchange brought");
}

#[test]
fn the_work_after_an_installation_stores_no_second_recheck() {
    let world = World::with(&[("FINISH_CONFIGURATION", "on-install")]);
    world.webhook(jws::installed(INSTANCE, START));
    let writes = world.fake.kv().take_changes().into_iter().filter(|(op, _)| *op == Op::Put);
    let kinds: Vec<String> = writes.map(|(_, key)| key.split(':').nth(1).unwrap().to_owned()).collect();
    assert_eq!(kinds, ["fact", "instance", "todo", "access", "fact", "instance"]);
}

#[test]
fn events_that_change_nothing() {
    let world = World::new();
    world.webhook(jws::installed(INSTANCE, START));
    world.fake.kv().take_counts();
    let event = || world.webhook(jws::event("Whatever", INSTANCE, &json!({}), START));
    event();
    assert_eq!(world.fake.kv().take_counts(), [1, 0, 0, 0]);
    world.fake.clock().advance(299);
    event();
    assert_eq!(world.fake.kv().take_counts(), [0; 4], "within five minutes nothing is looked up");
    world.fake.clock().advance(1);
    event();
    assert_eq!(world.fake.kv().take_counts(), [1, 0, 0, 0], "and then it is");
    world.webhook(jws::removed(INSTANCE, world.now()));
    world.fake.kv().take_counts();
    event();
    assert_eq!(world.fake.kv().take_counts(), [1, 0, 0, 0], "what is removed is not taken to be there");
}

#[test]
fn a_day_of_tokens_of_hours() {
    let world = World::new();
    world.webhook(jws::installed(INSTANCE, START));
    world.fake.kv().take_counts();
    for _ in 0..DAY / 60 {
        world.token(INSTANCE);
        world.fake.clock().advance(60);
    }
    let [reads, writes, removals, lists] = world.fake.kv().take_counts();
    assert_eq!((writes, removals, lists), (7, 0, 0));
    assert!((280..=310).contains(&reads), "{reads}: a look at the row every five minutes");
    world.isolate(&[]).token(INSTANCE);
    assert_eq!(world.fake.kv().take_counts(), [2, 0, 0, 0], "another isolate");
}

#[test]
fn a_day_of_tokens_of_minutes() {
    let world = World::new();
    world.connect();
    world.fake.clock().advance(600);
    world.fake.kv().take_counts();
    for _ in 0..DAY / 60 {
        world.token(INSTANCE);
        world.fake.clock().advance(60);
    }
    let [reads, writes, removals, lists] = world.fake.kv().take_counts();
    assert_eq!((writes, removals, lists), (0, 0, 0));
    assert_eq!(reads, 3 * DAY / 240, "row, refresh token and row again for each");
}

#[test]
fn ten_thousand_instances_list_in_pages_of_a_thousand_with_one_operation_each() {
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
