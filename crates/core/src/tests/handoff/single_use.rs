//! A hand-over is valid once, for five minutes, and only as it was made.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::*;
use crate::crypto::{self, Place, SealingKey};
use crate::testing::kv::Op;
use crate::testing::world::SEALING_KEY;
use crate::values::{AppId, InstanceId};

#[test]
fn a_handoff_is_used_once() {
    for world in worlds() {
        let value = handoff(&connect(&world, &query("7")));
        assert_eq!(take(&world, &value).status, 200);
        for _ in 0..3 {
            assert_refused(&take(&world, &value));
        }
        // Another installation, and another flow of the same, have values of their own.
        assert_eq!(take(&world, &handoff(&connect(&world, &query("7")))).status, 200);
        assert_eq!(take(&world, &handoff(&install(&world, &query("7")))).status, 200);
    }
}

#[test]
fn reloading_the_end_of_a_flow_yields_no_second_use() {
    for world in worlds() {
        let (callback, cookie) = begin_with(&world, &query("7"));
        let reload = || handoff(&page(&call_back(&world, &callback, &cookie, &json!({}))));
        let values = [reload(), reload()];
        assert_ne!(values[0], values[1]);
        assert_eq!(take(&world, &values[1]).status, 200);
        assert_refused(&take(&world, &values[0]));
        // A flow can be reloaded for ten minutes.
        world.fake.clock().advance(595);
        let last = reload();
        assert_refused(&take(&world, &last));
        world.fake.clock().advance(299);
        assert_refused(&take(&world, &last));
    }
}

#[test]
fn of_concurrent_uses_one_succeeds() {
    for world in worlds() {
        let value = handoff(&connect(&world, &query("7")));
        let body = json!({ "handoff": value }).to_string();
        let all = world.send_all((0..20).map(|_| world.post("/v1/handoffs").key(API_KEY).body(body.clone())));
        assert_eq!(all.iter().filter(|response| response.status == 200).count(), 1);
        all.iter().filter(|response| response.status != 200).for_each(assert_refused);
    }
}

/// The back end did not get the answer, or its customer reloads the page.
#[test]
fn the_same_claimant_gets_the_same_answer_again() {
    for world in worlds() {
        let value = handoff(&connect(&world, &query("7")));
        let body = json!({ "handoff": value }).to_string();
        let take_by = |world: &World, key: &str| {
            world.post("/v1/handoffs").key(API_KEY).header("idempotency-key", key).body(body.clone()).send()
        };
        for bad in ["", "a b", "ü", &"k".repeat(129)] {
            assert_eq!(take_by(&world, bad).problem(), (400, "bad_request".to_owned()), "{bad}");
        }
        let first = take_by(&world, "session-a");
        assert_eq!(first.json()["ref"], "7");
        let has_objects = !world.fake.object_calls().is_empty();
        let isolate = world.isolate(if has_objects { &[("INSTALLATIONS", BOUND)] } else { &[] });
        for isolate in [&world, &isolate] {
            assert_eq!(take_by(isolate, "session-a").json(), first.json());
            assert_refused(&take_by(isolate, "session-b"));
            assert_refused(&take(isolate, &value));
        }
        let stored = world.fake.kv().entries().values().any(|entry| entry.value.contains("session"));
        let told = world.fake.object_calls().iter().any(|(.., body)| body.contains("session"));
        assert!(!stored && !told, "the key must be hashed");
        world.fake.clock().advance(301);
        assert_refused(&take_by(&world, "session-a"));
    }
}

#[test]
fn a_handoff_is_valid_for_five_minutes() {
    for (seconds, status) in [(0, 200), (300, 200), (301, 422), (86_400, 422)] {
        for world in worlds() {
            let value = handoff(&connect(&world, &query("7")));
            world.fake.clock().advance(seconds);
            assert_eq!(take(&world, &value).status, status, "{seconds} s");
        }
    }
    // Made in the future: an isolate whose clock is more than a minute ahead.
    for (offset, status) in [("60", 200), ("61", 422)] {
        let ahead = [("AFTER_INSTALL_URL", PAGE), ("ENVIRONMENT", "development"), ("CLOCK_OFFSET_SECONDS", offset)];
        let world = world();
        let value = handoff(&install(&world.isolate(&ahead), &query("7")));
        assert_eq!(take(&world, &value).status, status, "{offset} s");
    }
}

#[test]
fn an_altered_handoff_is_refused() {
    let world = world();
    let value = handoff(&connect(&world, &query("7")));
    for at in 0..value.len() {
        let mut altered = value.clone().into_bytes();
        altered[at] = if altered[at] == b'a' { b'b' } else { b'a' };
        assert_refused(&take(&world, &String::from_utf8(altered).unwrap()));
        assert_refused(&take(&world, &value[..at]));
    }
    for other in ["", ".", "x", &format!("{value}."), &format!(" {value}"), &value[37..], INSTANCE] {
        assert_refused(&take(&world, other));
    }
    assert_eq!(take(&world, &value).status, 200);
}

/// Values that this server has sealed for another purpose, or that a holder of the key has.
#[test]
fn a_value_that_was_sealed_for_something_else_is_refused() {
    let world = world();
    install(&world, "");
    let entries = world.fake.kv().entries();
    let sealed = entries.values().map(|entry| &entry.value).filter(|value| value.starts_with("s1."));
    let stored: Vec<String> = sealed.map(|value| format!("{INSTANCE}.{value}")).collect();
    assert!(stored.len() >= 2);
    for value in &stored {
        assert_refused(&take(&world, value));
    }
    let (app, id) = (AppId::parse(APP_ID).unwrap(), InstanceId::parse(INSTANCE).unwrap());
    let key = SealingKey::parse(&format!("k1:{SEALING_KEY}")).unwrap();
    for (field, plain) in [("handoff", "{}"), ("handoff", "x"), ("refresh_token", "1767225600 connect x - 7")] {
        let place = Place { app: &app, instance: &id, field };
        let envelope = world.fake.clock().run(crypto::seal(&world.fake, &key, place, plain)).unwrap();
        assert_refused(&take(&world, &format!("{id}.{envelope}")));
    }
    let state = URL_SAFE_NO_PAD.encode([0; 58]);
    assert_refused(&take(&world, &format!("{INSTANCE}.{state}")));
}

#[test]
fn without_objects_kv_tells_other_isolates_and_a_failure_of_kv_uses_nothing_up() {
    let world = world();
    let value = handoff(&connect(&world, &query("7")));
    for op in [Op::Get, Op::Put] {
        world.fake.kv().fail_where(move |failing, key| failing == op && key.starts_with("v1:handoff:"));
        assert_eq!(take(&world, &value).problem(), (503, "store_failed".to_owned()));
    }
    world.fake.kv().clear_faults();
    world.fake.kv().take_counts();
    assert_eq!(take(&world, &value).status, 200);
    assert_eq!(world.fake.kv().take_counts(), [1, 1, 0, 0]);
    assert_refused(&take(&world, &value));
    assert_eq!(world.fake.kv().take_counts(), [0; 4], "the isolate remembers it");
    assert_refused(&take(&world.isolate(&[]), &value));
    assert_eq!(world.fake.kv().take_counts(), [1, 0, 0, 0]);
    let keys = world.fake.kv().keys("v1:handoff:");
    let expires = world.fake.kv().entries()[&keys[0]].expires;
    assert_eq!((keys.len(), expires), (1, Some((world.now() + 1_020) * 1_000)));
}

#[test]
fn with_objects_an_object_that_fails_uses_nothing_up_and_kv_is_not_used() {
    let [_, world] = worlds();
    let value = handoff(&connect(&world, &query("7")));
    let object = world.fake.object(INSTANCE);
    object.break_storage(true);
    assert_eq!(take(&world, &value).problem(), (503, "store_failed".to_owned()));
    object.break_storage(false);
    world.fake.kv().take_counts();
    assert_eq!(take(&world, &value).status, 200);
    assert_eq!(world.fake.kv().take_counts(), [0; 4]);
    assert_refused(&take(&world.isolate(&[("INSTALLATIONS", BOUND)]), &value));
}

#[test]
fn an_object_forgets_claims_that_nobody_can_repeat() {
    let [_, world] = worlds();
    let claims = || world.fake.object(INSTANCE).count("SELECT count(*) FROM about WHERE name GLOB 'claim:*'");
    for round in 1..=3 {
        take(&world, &handoff(&connect(&world, "")));
        assert_eq!(claims(), round);
    }
    world.fake.clock().advance(1_021);
    take(&world, &handoff(&connect(&world, "")));
    assert_eq!(claims(), 1);
}
