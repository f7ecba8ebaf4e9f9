//! `GET /v1/export`: all installations, with what listings leave out, and no secret.

use serde_json::Value;

use crate::testing::clock::START;
use crate::testing::jws;
use crate::testing::world::{API_KEY, INSTANCE, World};

fn lines(world: &World, query: &str) -> Vec<Value> {
    let answer = world.get(&format!("/v1/export{query}")).key(API_KEY).send();
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/x-ndjson"), "{}", answer.body);
    assert!(answer.body.is_empty() || answer.body.ends_with('\n'));
    answer.body.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn every_installation_is_exported_as_the_app_api_returns_it() {
    let world = World::new();
    assert_eq!(lines(&world, ""), [Value::Null; 0]);
    world.webhook(jws::installed(INSTANCE, START));
    world.connect();
    assert_eq!(lines(&world, ""), [world.instance(INSTANCE)]);
    // A row that cannot be read is folded from its facts.
    let key = format!("v1:instance:{INSTANCE}");
    world.fake.kv().insert_directly(&key, "damaged", None);
    assert_eq!(lines(&world, ""), [world.instance(INSTANCE)]);
}

#[test]
fn pages_cover_all_rows_and_cost_few_operations() {
    let world = World::new();
    world.webhook(jws::installed(INSTANCE, START));
    let key = |id: &str| format!("v1:instance:{id}");
    let row = world.fake.kv().entries()[&key(INSTANCE)].clone();
    let id = |number: u64| format!("{number:08}-bbbb-4ccc-8ddd-eeeeeeeeeeee");
    for number in 0..1_100 {
        world.fake.kv().insert_directly(&key(&id(number)), &row.value.replace(INSTANCE, &id(number)), None);
    }
    world.fake.kv().take_counts();
    let (mut found, mut query, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let mut page = lines(&world, &query);
        pages += 1;
        let last = page.pop().expect("a line");
        let Some(cursor) = last["next_cursor"].as_str() else {
            page.push(last);
            found.extend(page);
            break;
        };
        query = format!("?cursor={cursor}");
        found.extend(page);
    }
    assert_eq!((found.len(), pages), (1_101, 3));
    let ids: Vec<&str> = found.iter().map(|line| line["instance_id"].as_str().expect("an id")).collect();
    assert!(ids.is_sorted());
    let [reads, puts, deletes, lists] = world.fake.kv().take_counts();
    assert_eq!((reads, puts + deletes, lists), (12, 0, 3), "a bulk read has a hundred keys");
}

#[test]
fn only_an_administrator_may_export() {
    let keys = format!("usual:{}", crate::testing::world::sha256_hex("a-usual-key"));
    let world = World::with(&[("API_KEYS", keys.as_str())]);
    assert_eq!(world.get("/v1/export").key("a-usual-key").send().problem(), (403, "forbidden".to_owned()));
    let world = World::new();
    assert_eq!(world.get("/v1/export?cursor=").key(API_KEY).send().status, 400);
    world.fake.kv().fail_where(|_, _| true);
    assert_eq!(world.get("/v1/export").key(API_KEY).send().problem(), (503, "store_failed".to_owned()));
}
