//! Webhooks and KV: repeated and concurrent messages, failures and delays.

use serde_json::json;

use super::plan;
use crate::testing::clock::START;
use crate::testing::jws::{event, installed, removed};
use crate::testing::kv::Op;
use crate::testing::world::{INSTANCE, World};

#[test]
fn one_failed_operation_does_not_stop_the_others() {
    let world = World::new();
    world.fake.kv().delay_where(|op, key| if op == Op::Put && !key.starts_with("v1:fact:") { 50 } else { 0 });
    world.fake.kv().fail_where(|op, key| op == Op::Put && key.starts_with("v1:fact:"));
    assert_eq!(world.webhook(installed(INSTANCE, START)).status, 503);
    assert_eq!(world.fake.kv().keys("v1:").len(), 2, "row and recheck must be stored");

    let world = World::new();
    world.connect();
    world.fake.kv().delay_where(|op, key| if op == Op::Delete && key.starts_with("v1:refresh:") { 50 } else { 0 });
    world.fake.kv().fail_where(|op, key| op == Op::Delete && key.starts_with("v1:access:"));
    world.fake.clock().advance(5);
    assert_eq!(world.webhook(removed(INSTANCE, world.now())).status, 503);
    assert!(world.fake.kv().keys("v1:refresh:").is_empty());
}

#[test]
fn a_repeated_message_writes_nothing() {
    for message in [
        installed(INSTANCE, START),
        removed(INSTANCE, START),
        plan("PaidPlanPurchased", "pro", START),
        event("AnyEvent", INSTANCE, &json!({}), START),
    ] {
        let world = World::new();
        assert_eq!(world.webhook(message.clone()).status, 200);
        let stored = world.fake.kv().entries();
        world.fake.kv().take_changes();
        world.fake.clock().advance(60);
        for _ in 0..3 {
            let response = world.webhook(message.clone());
            assert_eq!((response.status, response.has_deferred_task), (200, false));
        }
        assert!(world.fake.kv().take_changes().iter().all(|(op, _)| *op != Op::Put));
        assert_eq!(world.fake.kv().entries(), stored);
    }
}

#[test]
fn outdated_facts_are_dropped() {
    let world = World::new();
    for at in 0..20 {
        world.webhook(installed(INSTANCE, START - 100 + at));
        world.webhook(removed(INSTANCE, START - 100 + at));
        world.webhook(plan("PaidPlanChanged", &format!("plan-{at}"), START - 100 + at));
    }
    assert_eq!(world.fake.kv().keys("v1:fact:").len(), 3, "{:?}", world.fake.kv().keys("v1:fact:"));
}

#[test]
fn a_failure_of_kv_is_a_503_so_that_wix_resends() {
    for failing in [Op::Get, Op::Put, Op::List, Op::Delete] {
        for (message, uses_operation) in [
            (installed(INSTANCE, START), failing != Op::Delete),
            (removed(INSTANCE, START), true),
            (plan("PaidPlanPurchased", "pro", START), failing != Op::Delete),
        ] {
            let world = World::new();
            world.fake.kv().fail_where(move |op, _| op == failing);
            let response = world.post("/webhook").body(message.clone()).without_deferred_task().send();
            if uses_operation {
                assert_eq!(response.problem(), (503, "store_failed".to_owned()), "{failing:?}");
                world.fake.kv().clear_faults();
                assert_eq!(world.webhook(message).status, 200);
            } else {
                assert_eq!(response.status, 200, "{failing:?}");
            }
        }
    }
}

#[test]
fn a_slow_kv_is_a_503_within_a_second() {
    for delay in [260, 350, 600, 999, 1_500, 60_000] {
        let world = World::new();
        world.fake.kv().delay_where(move |_, _| delay);
        for message in [installed(INSTANCE, START), removed(INSTANCE, START), event("X", INSTANCE, &json!({}), START)] {
            let response = world.post("/webhook").body(message).without_deferred_task().send();
            assert!(response.took <= 1000, "{delay} ms for each operation: {} ms", response.took);
            assert!(response.status == 503 || response.took >= delay, "{delay}: {}", response.status);
            if delay > 999 {
                assert_eq!(response.problem(), (503, "store_failed".to_owned()), "{delay}");
            }
        }
    }
}

#[test]
fn no_request_to_wix_is_made_before_the_response() {
    let world = World::with(&[("FINISH_CONFIGURATION", "on-install")]);
    let response = world.post("/webhook").body(installed(INSTANCE, START)).without_deferred_task().send();
    assert_eq!((response.status, response.has_deferred_task), (200, true));
    assert!(world.fake.wix().sent().is_empty());
}

#[test]
fn concurrent_events_end_in_the_status_of_the_latest() {
    for order in [[0, 1], [1, 0]] {
        let world = World::new();
        world.fake.kv().delay_where(|op, _| if op == Op::Put { 40 } else { 10 });
        let messages = [installed(INSTANCE, START - 20), removed(INSTANCE, START - 10)];
        let responses = world.send_all(order.map(|at| world.post("/webhook").body(messages[at].clone())));
        assert!(responses.iter().all(|response| response.status == 200));
        world.fake.kv().clear_faults();
        assert_eq!(world.instance(INSTANCE)["status"], "removed", "{order:?}");
    }
}

#[test]
fn a_late_removal_erases_no_tokens_of_a_newer_installation() {
    let world = World::new();
    world.fake.clock().advance(100);
    world.connect();
    let stored = world.fake.kv().keys("v1:refresh:");
    assert_eq!(world.webhook(removed(INSTANCE, START + 50)).status, 200);
    assert_eq!(world.fake.kv().keys("v1:refresh:"), stored);
    assert_eq!(world.token(INSTANCE).access_token(), "OAUTH2.planted-token.1");
    assert_eq!(world.instance(INSTANCE)["status"], "installed");
}
