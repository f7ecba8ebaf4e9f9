//! Wix refusing, failing, and being slow.

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
fn a_refusal_is_believed_when_it_comes_twice() {
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
        let asked: Vec<u64> = world.fake.wix().sent().iter().map(|sent| sent.at / 1000 - START).collect();
        assert_eq!(asked[asked.len() - 2..], [5, 7], "two seconds apart");
    }
}

#[test]
fn one_refusal_alone_is_not_believed() {
    let world = installed();
    world.fake.wix().queue(TOKEN, [Canned::status(401)]);
    assert_eq!(world.token(INSTANCE).status, 200);
    assert_eq!(world.instance(INSTANCE)["status"], "installed");
}

#[test]
fn after_a_refusal_wix_is_left_alone_for_30_seconds() {
    let world = refused();
    world.fake.wix().take_paths();
    world.fake.wix().clear_script();
    world.fake.clock().advance(29);
    assert_eq!(world.token(INSTANCE).status, 409);
    assert_eq!(forced(&world).status, 409, "force is no way around");
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
fn a_lasting_refusal_is_written_once() {
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
fn the_previous_secret_is_tried_for_either_model() {
    let former = [("WIX_APP_SECRET_PREVIOUS", "the-former-secret")];
    for (world, path) in [(installed_with(&former), TOKEN), (connected().isolate(&former), EXCHANGE)] {
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
fn what_passes_is_asked_again_after_a_pause() {
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
        assert!((300..=600).contains(&response.took), "100 to 200 ms, then 200 to 400: {} ms", response.took);
        assert_eq!(world.fake.wix().sent().len(), 3);
        assert_eq!(world.instance(INSTANCE)["status"], "installed");
    }
}

#[test]
fn pauses_grow_and_are_not_all_alike() {
    let world = installed();
    let mut first_pauses = Vec::new();
    for _ in 0..8 {
        world.fake.wix().take_paths();
        world.fake.wix().always(TOKEN, Canned::status(500));
        assert_eq!(world.token(INSTANCE).problem(), (502, "wix_failed".to_owned()));
        let times: Vec<u64> = world.fake.wix().sent().iter().map(|sent| sent.at).collect();
        assert_eq!(times.len(), 4, "four attempts");
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
fn a_failure_of_wix_marks_nothing() {
    for failure in [Canned::status(500), Canned::unreachable(), Canned::status(418), Canned::status(302)] {
        let world = connected();
        world.fake.wix().always(EXCHANGE, failure);
        world.fake.kv().take_changes();
        assert_eq!(world.token(INSTANCE).problem(), (502, "wix_failed".to_owned()));
        assert_eq!(world.fake.kv().take_changes(), []);
        assert!(world.fake.wix().sent().iter().all(|sent| sent.path() == EXCHANGE), "no healing for what passes");
        world.fake.wix().clear_script();
        assert_eq!(world.token(INSTANCE).status, 200, "and no cool-down");
    }
}

#[test]
fn retry_after_is_kept() {
    let world = installed();
    world.fake.wix().queue(TOKEN, [Canned::status(429).retry_after(3)]);
    let response = world.token(INSTANCE);
    assert_eq!(response.status, 200);
    assert!((3000..=3300).contains(&response.took), "{} ms", response.took);
}

#[test]
fn a_retry_after_beyond_the_deadline_is_answered_at_once() {
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
fn a_silent_wix_is_a_504_within_15_seconds() {
    let world = installed();
    world.fake.wix().always(TOKEN, Canned::hang());
    let response = world.token(INSTANCE);
    assert_eq!(response.problem(), (504, "wix_timeout".to_owned()));
    assert!((10_000..=15_000).contains(&response.took), "{} ms", response.took);
    assert_eq!(world.instance(INSTANCE)["status"], "installed");
}

#[test]
fn one_lost_answer_leaves_time_for_another() {
    let world = installed();
    world.fake.wix().queue(TOKEN, [Canned::hang()]);
    let response = world.token(INSTANCE);
    assert_eq!(response.status, 200);
    assert!(response.took < 10_000, "{} ms", response.took);
}

#[test]
fn the_deadline_is_one_for_refresh_and_healing() {
    let world = connected();
    world.fake.wix().always(EXCHANGE, Canned::status(400).after(5_000));
    world.fake.wix().always(TOKEN, Canned::hang());
    let response = world.token(INSTANCE);
    assert_eq!(response.status, 504);
    assert!(response.took <= 15_000, "{} ms", response.took);
}

#[test]
fn an_answer_that_is_no_token_is_asked_for_again_and_a_502_where_it_stays() {
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
fn an_optional_detail_of_a_token_answer_never_fails_it() {
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
fn an_answer_that_is_not_wixs_is_the_networks_and_nothing_is_recorded() {
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
fn a_refused_app_is_the_operators_fault_and_no_sites() {
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
            // Once is a coincidence.
            world.fake.wix().clear_script();
            world.fake.wix().queue(TOKEN, [Canned::text(401, error)]);
            assert_eq!(world.token(INSTANCE).status, 200);
        }
    }
}

#[test]
fn an_instance_that_wix_refuses_under_one_of_two_secrets_is_refused() {
    let refused = || Canned::text(404, r#"{"error":"invalid_request"}"#);
    let client = || Canned::text(401, r#"{"error":"invalid_client"}"#);
    for responses in [[refused(), client(), refused(), client()], [client(), refused(), client(), refused()]] {
        let world = installed_with(&[("WIX_APP_SECRET_PREVIOUS", "the-former-secret")]);
        world.fake.wix().queue(TOKEN, responses);
        assert_eq!(world.token(INSTANCE).problem(), (409, "needs_reconnect".to_owned()));
    }
}

#[test]
fn after_a_refusal_nobody_hands_out_an_older_token() {
    let world = installed();
    world.token(INSTANCE);
    let elsewhere = world.isolate(&[]);
    assert_eq!(elsewhere.token(INSTANCE).status, 200, "from KV");
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
    // One that has a token in memory looks at the row within five minutes.
    world.fake.clock().advance(300);
    assert_eq!(elsewhere.token(INSTANCE).status, 409);
    world.fake.wix().clear_script();
    world.fake.clock().advance(40);
    assert_eq!(elsewhere.token(INSTANCE).status, 200);
    assert_eq!(world.instance(INSTANCE)["status"], "installed");
}

#[test]
fn where_kv_still_shows_the_dead_token_it_is_not_handed_out() {
    let world = installed();
    world.token(INSTANCE);
    let key = format!("v1:access:{INSTANCE}");
    let dead = world.fake.kv().entries()[&key].clone();
    world.fake.clock().advance(10);
    world.fake.wix().always(TOKEN, Canned::status(404));
    forced(&world);
    world.fake.kv().insert_directly(&key, &dead.value, None);
    world.fake.clock().advance(60);
    assert_eq!(world.isolate(&[]).token(INSTANCE).status, 409);
    // Nor once Wix has given another one, which KV does not show yet.
    world.fake.wix().clear_script();
    world.fake.clock().advance(60);
    let fresh = world.token(INSTANCE).access_token();
    world.fake.kv().insert_directly(&key, &dead.value, None);
    let other = world.isolate(&[]).token(INSTANCE).access_token();
    assert!(other != fresh && other.ends_with(".3"), "{other}: a new one, not the dead one");
}

#[test]
fn another_isolate_leaves_wix_alone_too() {
    let world = refused();
    world.fake.wix().take_paths();
    world.fake.clock().advance(20);
    let response = world.isolate(&[]).token(INSTANCE);
    assert_eq!(response.problem(), (409, "needs_reconnect".to_owned()));
    assert_eq!(world.fake.wix().take_paths(), Vec::<String>::new());
}

#[test]
fn the_first_token_restores_the_status_whatever_the_rows_show() {
    let world = installed();
    world.fake.clock().advance(100);
    world.fake.kv().delay_visibility(60_000);
    world.fake.wix().always(TOKEN, Canned::status(404));
    assert_eq!(world.token(INSTANCE).status, 409);
    world.fake.wix().clear_script();
    // KV shows this isolate none of the refusal, so that it has no reason to note its token.
    let elsewhere = world.isolate(&[]);
    assert_eq!(elsewhere.token(INSTANCE).status, 200);
    world.fake.clock().advance(70);
    assert_eq!(world.instance(INSTANCE)["status"], "needs_reconnect");
    // It looks at the row again within five minutes.
    world.fake.clock().advance(300);
    assert_eq!(elsewhere.token(INSTANCE).status, 200);
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
fn a_firewall_leaves_a_doubt_open() {
    let world = installed();
    world.token(INSTANCE);
    world.fake.clock().advance(600);
    world.fake.wix().always(TOKEN, Canned::text(403, "<html>"));
    // A removal that is older than the token.
    world.webhook(jws::removed(INSTANCE, START - 100));
    world.webhook(jws::removed(INSTANCE, START + 1));
    world.webhook(jws::event("x", INSTANCE, &json!({}), START + 500));
    world.fake.clock().advance(300);
    world.cron();
    assert_eq!(world.fake.kv().keys("v1:todo:").len(), 1, "it will be asked again");
    world.fake.wix().clear_script();
    world.fake.clock().advance(300);
    world.cron();
    assert_eq!(world.instance(INSTANCE)["status"], "installed", "Wix says that it is there");
}

#[test]
fn a_refusal_is_told_though_it_could_not_be_noted() {
    let world = installed();
    world.fake.wix().always(TOKEN, Canned::status(404));
    world.fake.kv().fail_where(|op, _| op == Op::Put);
    assert_eq!(world.token(INSTANCE).problem(), (409, "needs_reconnect".to_owned()));
    world.fake.kv().clear_faults();
    world.isolate(&[]).token(INSTANCE);
    assert_eq!(world.instance(INSTANCE)["status"], "needs_reconnect");
}

#[test]
fn a_token_whose_news_could_not_be_noted_is_not_shared_so_that_another_isolate_notes_them() {
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
fn an_isolate_that_saw_the_refusal_notes_the_first_token_though_the_row_lags() {
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
fn one_refusal_of_the_instances_description_confirms_no_removal() {
    let world = installed();
    world.token(INSTANCE);
    world.fake.clock().advance(600);
    world.webhook(jws::removed(INSTANCE, START + 1));
    world.fake.wix().queue("/apps/v1/instance", [Canned::status(404)]);
    world.webhook(jws::event("x", INSTANCE, &json!({}), START + 500));
    world.fake.clock().advance(300);
    world.cron();
    assert_eq!(world.instance(INSTANCE)["status"], "installed", "asked once more, Wix describes it");
}
