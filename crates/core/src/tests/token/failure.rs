//! Token requests where Wix refuses, fails, or is slow.

use serde_json::json;

use super::{EXCHANGE, TOKEN, connected, installed, installed_with};
use crate::facts::{Fact, Kind, Status, fold};
use crate::testing::clock::START;
use crate::testing::jws;
use crate::testing::kv::Op;
use crate::testing::wix::Canned;
use crate::testing::world::{API_KEY, APP_SECRET, INSTANCE, TestResponse, World};
use crate::values::InstanceId;
use crate::values::Timestamp;

fn forced(world: &World) -> TestResponse {
    world.post(&format!("/v1/instances/{INSTANCE}/token")).key(API_KEY).body(r#"{"force":true}"#).send()
}

fn refused() -> World {
    let world = installed();
    world.fake.wix().always(TOKEN, Canned::status(404));
    assert_eq!(world.token(INSTANCE).problem(), (409, "needs_reconnect".to_owned()));
    world
}

#[test]
fn a_refusal_counts_only_if_it_is_repeated() {
    for status in [400, 401, 403, 404] {
        let world = installed();
        world.fake.clock().advance(5);
        world.fake.wix().always(TOKEN, Canned::status(status));
        let response = world.token(INSTANCE);
        assert_eq!(response.problem(), (409, "needs_reconnect".to_owned()), "{status}");
        assert_eq!(response.header("retry-after"), "30");
        let instance = world.instance(INSTANCE);
        assert_eq!(instance["status"], "needs_reconnect");
        assert_eq!(instance["last_token"], json!({"at": START + 7, "outcome": "refused"}));
        let times: Vec<u64> = world.fake.wix().sent().iter().map(|sent| sent.at / 1000 - START).collect();
        assert_eq!(times[times.len() - 2..], [5, 7], "the retry must come two seconds later");
    }
}

#[test]
fn a_single_refusal_does_not_count() {
    let world = installed();
    world.fake.wix().queue(TOKEN, [Canned::status(401)]);
    assert_eq!(world.token(INSTANCE).status, 200);
    assert_eq!(world.instance(INSTANCE)["status"], "installed");
}

#[test]
fn after_a_refusal_there_is_a_cool_down_of_30_seconds() {
    let world = refused();
    world.fake.wix().take_paths();
    world.fake.wix().clear_script();
    world.fake.clock().advance(29);
    assert_eq!(world.token(INSTANCE).status, 409);
    assert_eq!(forced(&world).status, 409, "force must not bypass the cool-down");
    assert_eq!(world.fake.wix().take_paths(), Vec::<String>::new());
    world.fake.clock().advance(1);
    assert_eq!(world.token(INSTANCE).status, 200);
}

#[test]
fn a_token_after_a_refusal_ends_needs_reconnect() {
    let world = installed();
    world.fake.clock().advance(5);
    world.fake.wix().always(TOKEN, Canned::status(403));
    world.token(INSTANCE);
    world.fake.wix().clear_script();
    world.fake.clock().advance(40);
    assert_eq!(world.token(INSTANCE).status, 200);
    let instance = world.instance(INSTANCE);
    assert_eq!(instance["status"], "installed");
    assert_eq!(instance["last_token"], json!({"at": START + 47, "outcome": "ok"}));
}

#[test]
fn a_new_consent_ends_needs_reconnect_at_once() {
    let world = connected();
    world.fake.wix().always(EXCHANGE, Canned::status(400));
    world.fake.wix().always(TOKEN, Canned::status(404));
    assert_eq!(world.token(INSTANCE).status, 409);
    assert_eq!(world.instance(INSTANCE)["status"], "needs_reconnect");
    world.fake.wix().clear_script();
    world.fake.clock().advance(1);
    world.connect();
    assert_eq!(world.instance(INSTANCE)["status"], "installed");
    assert_eq!(world.token(INSTANCE).status, 200);
}

#[test]
fn a_new_installation_ends_needs_reconnect() {
    let world = refused();
    world.fake.wix().clear_script();
    world.fake.clock().advance(40);
    world.webhook(jws::installed(INSTANCE, world.now()));
    assert_eq!(world.instance(INSTANCE)["status"], "installed");
    assert_eq!(world.token(INSTANCE).status, 200);
}

#[test]
fn a_repeated_refusal_is_stored_once() {
    let world = installed();
    world.fake.clock().advance(5);
    world.fake.wix().always(TOKEN, Canned::status(404));
    world.token(INSTANCE);
    world.fake.kv().take_changes();
    for _ in 0..3 {
        world.fake.clock().advance(31);
        assert_eq!(world.token(INSTANCE).status, 409);
    }
    assert_eq!(world.fake.kv().take_changes(), []);
}

#[test]
fn the_previous_secret_is_tried_for_both_grants() {
    let previous = [("WIX_APP_SECRET_PREVIOUS", "the-former-secret")];
    for (world, path) in [(installed_with(&previous), TOKEN), (connected().isolate(&previous), EXCHANGE)] {
        world.fake.wix().take_paths();
        world.fake.wix().queue(path, [Canned::status(401)]);
        assert_eq!(world.token(INSTANCE).status, 200);
        let sent = world.fake.wix().sent();
        assert_eq!(sent.len(), 2, "{path}");
        assert_eq!(sent[0].json["client_secret"], APP_SECRET);
        assert_eq!(sent[1].json["client_secret"], "the-former-secret");
    }
}

#[test]
fn a_transient_failure_is_retried_after_a_pause() {
    for failure in [
        Canned::text(500, ""),
        Canned::status(502),
        Canned::status(503),
        Canned::status(504),
        Canned::status(408),
        Canned::status(429),
        Canned::unreachable(),
    ] {
        let world = installed();
        world.fake.wix().queue(TOKEN, [failure.clone(), failure]);
        let response = world.token(INSTANCE);
        assert_eq!(response.status, 200);
        assert!(
            (300..=600).contains(&response.took),
            "pauses of 100 to 200 ms and 200 to 400 ms: {} ms",
            response.took
        );
        assert_eq!(world.fake.wix().sent().len(), 3);
        assert_eq!(world.instance(INSTANCE)["status"], "installed");
    }
}

#[test]
fn the_backoff_grows_and_has_jitter() {
    let world = installed();
    let mut first_pauses = Vec::new();
    for _ in 0..8 {
        world.fake.wix().take_paths();
        world.fake.wix().always(TOKEN, Canned::status(500));
        assert_eq!(world.token(INSTANCE).problem(), (502, "wix_failed".to_owned()));
        let times: Vec<u64> = world.fake.wix().sent().iter().map(|sent| sent.at).collect();
        assert_eq!(times.len(), 4, "there must be four attempts");
        for (pair, longest) in times.windows(2).zip([200, 400, 800]) {
            let pause = pair[1] - pair[0];
            assert!((longest / 2..=longest).contains(&pause), "{pause} of {longest}");
        }
        first_pauses.push(times[1] - times[0]);
    }
    first_pauses.sort_unstable();
    first_pauses.dedup();
    assert!(first_pauses.len() > 2, "{first_pauses:?}");
}

#[test]
fn a_failure_of_wix_does_not_change_the_instance() {
    for failure in [Canned::status(500), Canned::unreachable(), Canned::status(418), Canned::status(302)] {
        let world = connected();
        world.fake.wix().always(EXCHANGE, failure);
        world.fake.kv().take_changes();
        assert_eq!(world.token(INSTANCE).problem(), (502, "wix_failed".to_owned()));
        assert_eq!(world.fake.kv().take_changes(), []);
        assert!(
            world.fake.wix().sent().iter().all(|sent| sent.path() == EXCHANGE),
            "a transient failure must not cause healing"
        );
        world.fake.wix().clear_script();
        assert_eq!(world.token(INSTANCE).status, 200, "a failure must not start a cool-down");
    }
}

#[test]
fn a_retry_waits_as_long_as_retry_after() {
    let world = installed();
    world.fake.wix().queue(TOKEN, [Canned::status(429).retry_after(3)]);
    let response = world.token(INSTANCE);
    assert_eq!(response.status, 200);
    assert!((3000..=3300).contains(&response.took), "{} ms", response.took);
}

#[test]
fn a_retry_after_beyond_the_deadline_is_a_502_at_once() {
    for seconds in [15, 60, 86_400, u64::MAX / 1000, u64::MAX] {
        let world = installed();
        world.fake.wix().queue(TOKEN, [Canned::status(429).retry_after(seconds)]);
        let response = world.token(INSTANCE);
        assert_eq!(response.problem(), (502, "wix_failed".to_owned()), "{seconds}");
        assert!(response.took < 1000, "{seconds}: {} ms", response.took);
        assert_eq!(world.fake.wix().sent().len(), 1);
    }
}

#[test]
fn without_a_response_of_wix_the_token_request_is_a_504_within_15_seconds() {
    let world = installed();
    world.fake.wix().always(TOKEN, Canned::hang());
    let response = world.token(INSTANCE);
    assert_eq!(response.problem(), (504, "wix_timeout".to_owned()));
    assert!((10_000..=15_000).contains(&response.took), "{} ms", response.took);
    assert_eq!(world.instance(INSTANCE)["status"], "installed");
}

#[test]
fn one_timeout_leaves_time_for_a_retry() {
    let world = installed();
    world.fake.wix().queue(TOKEN, [Canned::hang()]);
    let response = world.token(INSTANCE);
    assert_eq!(response.status, 200);
    assert!(response.took < 10_000, "{} ms", response.took);
}

#[test]
fn refresh_and_healing_share_one_deadline() {
    let world = connected();
    world.fake.wix().always(EXCHANGE, Canned::status(400).after(5_000));
    world.fake.wix().always(TOKEN, Canned::hang());
    let response = world.token(INSTANCE);
    assert_eq!(response.status, 504);
    assert!(response.took <= 15_000, "{} ms", response.took);
}

#[test]
fn a_response_without_a_token_is_retried_and_then_a_502() {
    for body in ["", "null", "[]", "<html></html>", r#"{"access_token":7}"#, r#"{"access_token":""}"#] {
        let world = installed();
        world.fake.wix().queue(TOKEN, [Canned::text(200, body)]);
        assert_eq!(world.token(INSTANCE).status, 200, "{body}");
        let world = installed();
        world.fake.wix().always(TOKEN, Canned::text(200, body));
        assert_eq!(world.token(INSTANCE).problem(), (502, "wix_failed".to_owned()), "{body}");
        assert_eq!(world.fake.wix().take_paths(), [TOKEN; 4]);
        assert_eq!(world.instance(INSTANCE)["status"], "installed");
    }
}

#[test]
fn invalid_optional_fields_do_not_fail_a_token_response() {
    for (expires_in, life) in [
        (json!(14_400), 14_400),
        (json!(14_400.0), 14_400),
        (json!("14400"), 14_400),
        (json!("14400.5"), 14_400),
        (json!(null), 14_400),
        (json!(0), 14_400),
        (json!(-1), 14_400),
        (json!("soon"), 14_400),
        (json!({}), 14_400),
        (json!([300]), 14_400),
        (json!(1e300), 14_400),
        (json!(3_600), 3_600),
        (json!(90_000), 86_400),
        (json!(u64::MAX), 86_400),
    ] {
        let world = installed();
        let response = json!({"access_token": "t", "expires_in": expires_in, "refresh_token": {}, "token_type": 5});
        world.fake.wix().queue(TOKEN, [Canned::ok(&response)]);
        let response = world.token(INSTANCE);
        assert_eq!(response.status, 200, "{expires_in}: {}", response.body);
        assert_eq!(response.json()["expires_at"], world.now() + life, "{expires_in}");
    }
}

#[test]
fn a_refusal_that_is_not_from_wix_is_a_502_and_stores_nothing() {
    for status in [400, 401, 403, 404] {
        for body in ["<html>Forbidden</html>", "", "{}", r#"{"error":{"code":1}}"#] {
            let world = installed();
            world.token(INSTANCE);
            world.fake.kv().take_changes();
            world.fake.wix().always(TOKEN, Canned::text(status, body));
            assert_eq!(forced(&world).problem(), (502, "wix_failed".to_owned()), "{status} {body}");
            assert_eq!(forced(&world).problem().0, 502);
            assert_eq!(world.fake.kv().take_changes(), [], "{status} {body}");
            assert_eq!(world.instance(INSTANCE)["status"], "installed");
        }
    }
}

#[test]
fn refused_app_credentials_are_a_503_and_mark_no_instance() {
    for error in [r#"{"error":"invalid_client"}"#, r#"{"error":"unauthorized_client"}"#] {
        for previous in ["", "the-former-secret"] {
            let world = installed_with(&[("WIX_APP_SECRET_PREVIOUS", previous)]);
            world.fake.wix().always(TOKEN, Canned::text(401, error));
            world.fake.kv().take_changes();
            let response = world.token(INSTANCE);
            assert_eq!(response.problem(), (503, "app_credentials_refused".to_owned()));
            assert!(response.json()["detail"].as_str().unwrap().contains("WIX_APP_SECRET"));
            assert_eq!(world.fake.kv().take_changes(), []);
            let used: Vec<_> = world.fake.wix().sent().iter().map(|sent| sent.json["client_secret"].clone()).collect();
            let second = if previous.is_empty() { APP_SECRET } else { previous };
            assert_eq!(used, [json!(APP_SECRET), json!(second)]);
            // A single refusal of the credentials does not count.
            world.fake.wix().clear_script();
            world.fake.wix().queue(TOKEN, [Canned::text(401, error)]);
            assert_eq!(world.token(INSTANCE).status, 200);
        }
    }
}

#[test]
fn a_refusal_of_the_instance_under_one_of_two_secrets_counts() {
    let refused = || Canned::text(404, r#"{"error":"invalid_request"}"#);
    let client = || Canned::text(401, r#"{"error":"invalid_client"}"#);
    for responses in [[refused(), client(), refused(), client()], [client(), refused(), client(), refused()]] {
        let world = installed_with(&[("WIX_APP_SECRET_PREVIOUS", "the-former-secret")]);
        world.fake.wix().queue(TOKEN, responses);
        assert_eq!(world.token(INSTANCE).problem(), (409, "needs_reconnect".to_owned()));
    }
}

#[test]
fn after_a_refusal_no_isolate_returns_an_older_token() {
    let world = installed();
    world.token(INSTANCE);
    let other = world.isolate(&[]);
    assert_eq!(other.token(INSTANCE).status, 200, "from KV");
    world.fake.clock().advance(10);
    world.fake.wix().always(TOKEN, Canned::status(404));
    assert_eq!(forced(&world).status, 409);
    assert!(world.fake.kv().keys("v1:access:").is_empty());
    world.fake.wix().take_paths();
    for wait in [0, 20, 11, 40] {
        world.fake.clock().advance(wait);
        assert_eq!(world.token(INSTANCE).status, 409, "{wait}");
        assert_eq!(world.isolate(&[]).token(INSTANCE).status, 409, "another isolate, {wait}");
    }
    // An isolate with a cached token reads the row again after five minutes.
    world.fake.clock().advance(300);
    assert_eq!(other.token(INSTANCE).status, 409);
    world.fake.wix().clear_script();
    world.fake.clock().advance(40);
    assert_eq!(other.token(INSTANCE).status, 200);
    assert_eq!(world.instance(INSTANCE)["status"], "installed");
}

#[test]
fn a_revoked_token_from_a_stale_read_is_not_returned() {
    let world = installed();
    world.token(INSTANCE);
    let key = format!("v1:access:{INSTANCE}");
    let revoked = world.fake.kv().entries()[&key].clone();
    world.fake.clock().advance(10);
    world.fake.wix().always(TOKEN, Canned::status(404));
    forced(&world);
    world.fake.kv().insert_directly(&key, &revoked.value, None);
    world.fake.clock().advance(60);
    assert_eq!(world.isolate(&[]).token(INSTANCE).status, 409);
    // It is not returned either after Wix has issued a new token that a stale read does not show.
    world.fake.wix().clear_script();
    world.fake.clock().advance(60);
    let fresh = world.token(INSTANCE).access_token();
    world.fake.kv().insert_directly(&key, &revoked.value, None);
    let third = world.isolate(&[]).token(INSTANCE).access_token();
    assert!(third != fresh && third.ends_with(".3"), "{third} must be a new token");
}

#[test]
fn the_cool_down_applies_in_another_isolate_too() {
    let world = refused();
    world.fake.wix().take_paths();
    world.fake.clock().advance(20);
    let response = world.isolate(&[]).token(INSTANCE);
    assert_eq!(response.problem(), (409, "needs_reconnect".to_owned()));
    assert_eq!(world.fake.wix().take_paths(), Vec::<String>::new());
}

#[test]
fn the_first_token_restores_the_status_despite_stale_reads() {
    let world = installed();
    world.fake.clock().advance(100);
    world.fake.kv().delay_visibility(60_000);
    world.fake.wix().always(TOKEN, Canned::status(404));
    assert_eq!(world.token(INSTANCE).status, 409);
    world.fake.wix().clear_script();
    // With stale reads this isolate does not see the refusal, so it stores no fact about its token.
    let other = world.isolate(&[]);
    assert_eq!(other.token(INSTANCE).status, 200);
    world.fake.clock().advance(70);
    assert_eq!(world.instance(INSTANCE)["status"], "needs_reconnect");
    // It reads the row again after five minutes.
    world.fake.clock().advance(300);
    assert_eq!(other.token(INSTANCE).status, 200);
    world.fake.clock().advance(70);
    assert_eq!(world.instance(INSTANCE)["status"], "installed");
}

#[test]
fn a_refusal_and_a_token_in_one_second_leave_the_instance_installed() {
    let facts = [Kind::Installed { origin: None }, Kind::Refused, Kind::Accepted];
    let facts: Vec<Fact> = facts.into_iter().map(|kind| Fact::new(Timestamp(START), kind)).collect();
    let instance = fold(&InstanceId::parse(INSTANCE).unwrap(), &facts).unwrap();
    assert_eq!(instance.status, Status::Installed);
}

#[test]
fn a_response_of_a_firewall_does_not_resolve_a_contested_removal() {
    let world = installed();
    world.token(INSTANCE);
    world.fake.clock().advance(600);
    world.fake.wix().always(TOKEN, Canned::text(403, "<html>"));
    // The first removal is older than the installation. The event contests the second one.
    world.webhook(jws::removed(INSTANCE, START - 100));
    world.webhook(jws::removed(INSTANCE, START + 1));
    world.webhook(jws::event("x", INSTANCE, &json!({}), START + 500));
    world.fake.clock().advance(300);
    world.cron();
    assert_eq!(world.fake.kv().keys("v1:todo:").len(), 1, "the recheck must stay");
    world.fake.wix().clear_script();
    world.fake.clock().advance(300);
    world.cron();
    assert_eq!(world.instance(INSTANCE)["status"], "installed", "Wix knows the instance");
}

#[test]
fn a_refusal_is_a_409_even_if_it_was_not_stored() {
    let world = installed();
    world.fake.wix().always(TOKEN, Canned::status(404));
    world.fake.kv().fail_where(|op, _| op == Op::Put);
    assert_eq!(world.token(INSTANCE).problem(), (409, "needs_reconnect".to_owned()));
    world.fake.kv().clear_faults();
    world.isolate(&[]).token(INSTANCE);
    assert_eq!(world.instance(INSTANCE)["status"], "needs_reconnect");
}

#[test]
fn a_token_whose_fact_was_not_stored_is_not_shared_so_that_another_isolate_stores_it() {
    let world = refused();
    world.fake.wix().clear_script();
    world.fake.clock().advance(60);
    world.fake.kv().fail_where(|op, key| op == Op::Put && !key.starts_with("v1:access:"));
    assert_eq!(world.isolate(&[]).token(INSTANCE).status, 200);
    assert_eq!(world.instance(INSTANCE)["status"], "needs_reconnect");
    world.fake.kv().clear_faults();
    assert_eq!(world.isolate(&[]).token(INSTANCE).status, 200);
    assert_eq!(world.instance(INSTANCE)["status"], "installed");
}

#[test]
fn an_isolate_that_saw_the_refusal_stores_the_first_token_despite_a_stale_row() {
    let world = installed();
    world.fake.clock().advance(100);
    world.fake.kv().delay_visibility(60_000);
    world.fake.wix().always(TOKEN, Canned::status(404));
    assert_eq!(world.token(INSTANCE).status, 409);
    world.fake.wix().clear_script();
    world.fake.clock().advance(32);
    assert_eq!(world.token(INSTANCE).status, 200);
    world.fake.clock().advance(70);
    assert_eq!(world.instance(INSTANCE)["status"], "installed");
}

#[test]
fn a_single_refusal_of_the_instances_description_confirms_no_removal() {
    let world = installed();
    world.token(INSTANCE);
    world.fake.clock().advance(600);
    world.webhook(jws::removed(INSTANCE, START + 1));
    world.fake.wix().queue("/apps/v1/instance", [Canned::status(404)]);
    world.webhook(jws::event("x", INSTANCE, &json!({}), START + 500));
    world.fake.clock().advance(300);
    world.cron();
    assert_eq!(world.instance(INSTANCE)["status"], "installed", "Wix must have accepted the retry");
}
