//! Wix refusing, failing, and being slow.

use serde_json::json;

use super::{EXCHANGE, MINT, connected, installed, installed_with};
use crate::fake::clock::START;
use crate::fake::jws;
use crate::fake::kv::Op;
use crate::fake::wix::Canned;
use crate::fake::world::{API_KEY, APP_SECRET, Answer, INSTANCE, World};

fn forced(world: &World) -> Answer {
    world.post(&format!("/v1/instances/{INSTANCE}/token")).key(API_KEY).body(r#"{"force":true}"#).answer()
}

fn refused() -> World {
    let world = installed();
    world.fake.wix().always(MINT, Canned::status(404));
    assert_eq!(world.token(INSTANCE).problem(), (409, "needs_reconnect".to_owned()));
    world
}

#[test]
fn a_refusal_is_believed_when_it_comes_twice() {
    for status in [400, 401, 403, 404] {
        let world = installed();
        world.fake.clock().pass(5);
        world.fake.wix().always(MINT, Canned::status(status));
        let answer = world.token(INSTANCE);
        assert_eq!(answer.problem(), (409, "needs_reconnect".to_owned()), "{status}");
        assert_eq!(answer.header("retry-after"), "30");
        assert_eq!(world.fake.wix().take_paths(), [MINT, MINT]);
        let instance = world.instance(INSTANCE);
        assert_eq!(instance["status"], "needs_reconnect");
        assert_eq!(instance["last_token"], json!({"at": START + 5, "outcome": "refused"}));
    }
}

#[test]
fn one_refusal_alone_is_not_believed() {
    let world = installed();
    world.fake.wix().next(MINT, [Canned::status(401)]);
    assert_eq!(world.token(INSTANCE).status, 200);
    assert_eq!(world.instance(INSTANCE)["status"], "installed");
}

#[test]
fn after_a_refusal_wix_is_left_alone_for_30_seconds() {
    let world = refused();
    world.fake.wix().take_paths();
    world.fake.wix().mend();
    world.fake.clock().pass(29);
    assert_eq!(world.token(INSTANCE).status, 409);
    assert_eq!(forced(&world).status, 409, "force is no way around");
    assert_eq!(world.fake.wix().take_paths(), Vec::<String>::new());
    world.fake.clock().pass(1);
    assert_eq!(world.token(INSTANCE).status, 200);
}

#[test]
fn a_token_after_a_refusal_ends_needs_reconnect() {
    let world = installed();
    world.fake.clock().pass(5);
    world.fake.wix().always(MINT, Canned::status(403));
    world.token(INSTANCE);
    world.fake.wix().mend();
    world.fake.clock().pass(40);
    assert_eq!(world.token(INSTANCE).status, 200);
    let instance = world.instance(INSTANCE);
    assert_eq!(instance["status"], "installed");
    assert_eq!(instance["last_token"], json!({"at": START + 45, "outcome": "ok"}));
}

#[test]
fn a_new_consent_ends_needs_reconnect_at_once() {
    let world = connected();
    world.fake.wix().always(EXCHANGE, Canned::status(400));
    world.fake.wix().always(MINT, Canned::status(404));
    assert_eq!(world.token(INSTANCE).status, 409);
    assert_eq!(world.instance(INSTANCE)["status"], "needs_reconnect");
    world.fake.wix().mend();
    world.fake.clock().pass(1);
    world.connect();
    assert_eq!(world.instance(INSTANCE)["status"], "installed");
    assert_eq!(world.token(INSTANCE).status, 200);
}

#[test]
fn a_new_installation_ends_needs_reconnect() {
    let world = refused();
    world.fake.wix().mend();
    world.fake.clock().pass(40);
    world.webhook(jws::installed(INSTANCE, world.now()));
    assert_eq!(world.instance(INSTANCE)["status"], "installed");
    assert_eq!(world.token(INSTANCE).status, 200);
}

#[test]
fn a_lasting_refusal_is_written_once() {
    let world = installed();
    world.fake.clock().pass(5);
    world.fake.wix().always(MINT, Canned::status(404));
    world.token(INSTANCE);
    world.fake.kv().take_changes();
    for _ in 0..3 {
        world.fake.clock().pass(31);
        assert_eq!(world.token(INSTANCE).status, 409);
    }
    assert_eq!(world.fake.kv().take_changes(), []);
}

#[test]
fn the_previous_secret_is_tried_for_either_model() {
    let former = [("WIX_APP_SECRET_PREVIOUS", "the-former-secret")];
    for (world, path) in [(installed_with(&former), MINT), (connected().isolate(&former), EXCHANGE)] {
        world.fake.wix().take_paths();
        world.fake.wix().next(path, [Canned::status(401)]);
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
        world.fake.wix().next(MINT, [failure.clone(), failure]);
        let answer = world.token(INSTANCE);
        assert_eq!(answer.status, 200);
        assert!((300..=600).contains(&answer.took), "100 to 200 ms, then 200 to 400: {} ms", answer.took);
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
        world.fake.wix().always(MINT, Canned::status(500));
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
        world.fake.wix().mend();
        assert_eq!(world.token(INSTANCE).status, 200, "and no cool-down");
    }
}

#[test]
fn retry_after_is_kept() {
    let world = installed();
    world.fake.wix().next(MINT, [Canned::status(429).retry_after(3)]);
    let answer = world.token(INSTANCE);
    assert_eq!(answer.status, 200);
    assert!((3000..=3300).contains(&answer.took), "{} ms", answer.took);
}

#[test]
fn a_retry_after_beyond_the_deadline_is_answered_at_once() {
    for seconds in [15, 60, 86_400, u64::MAX / 1000, u64::MAX] {
        let world = installed();
        world.fake.wix().next(MINT, [Canned::status(429).retry_after(seconds)]);
        let answer = world.token(INSTANCE);
        assert_eq!(answer.problem(), (502, "wix_failed".to_owned()), "{seconds}");
        assert!(answer.took < 1000, "{seconds}: {} ms", answer.took);
        assert_eq!(world.fake.wix().sent().len(), 1);
    }
}

#[test]
fn a_silent_wix_is_a_504_within_15_seconds() {
    let world = installed();
    world.fake.wix().always(MINT, Canned::hang());
    let answer = world.token(INSTANCE);
    assert_eq!(answer.problem(), (504, "wix_timeout".to_owned()));
    assert!((10_000..=15_000).contains(&answer.took), "{} ms", answer.took);
    assert_eq!(world.instance(INSTANCE)["status"], "installed");
}

#[test]
fn one_lost_answer_leaves_time_for_another() {
    let world = installed();
    world.fake.wix().next(MINT, [Canned::hang()]);
    let answer = world.token(INSTANCE);
    assert_eq!(answer.status, 200);
    assert!(answer.took < 10_000, "{} ms", answer.took);
}

#[test]
fn the_deadline_is_one_for_refresh_and_healing() {
    let world = connected();
    world.fake.wix().always(EXCHANGE, Canned::status(400).after(5_000));
    world.fake.wix().always(MINT, Canned::hang());
    let answer = world.token(INSTANCE);
    assert_eq!(answer.status, 504);
    assert!(answer.took <= 15_000, "{} ms", answer.took);
}

#[test]
fn an_answer_that_is_no_token_is_a_502() {
    for body in ["", "null", "[]", "<html></html>", r#"{"access_token":7}"#, r#"{"access_token":""}"#] {
        let world = installed();
        world.fake.wix().next(MINT, [Canned::text(200, body)]);
        assert_eq!(world.token(INSTANCE).problem(), (502, "wix_failed".to_owned()), "{body}");
        assert_eq!(world.token(INSTANCE).status, 200, "and the next one is asked for at once");
    }
}

#[test]
fn a_refusal_is_told_though_it_could_not_be_noted() {
    let world = installed();
    world.fake.wix().always(MINT, Canned::status(404));
    world.fake.kv().break_where(|op, _| op == Op::Put);
    assert_eq!(world.token(INSTANCE).problem(), (409, "needs_reconnect".to_owned()));
    world.fake.kv().mend();
    world.isolate(&[]).token(INSTANCE);
    assert_eq!(world.instance(INSTANCE)["status"], "needs_reconnect");
}

#[test]
fn a_token_whose_news_could_not_be_noted_is_not_shared_so_that_another_isolate_notes_them() {
    let world = refused();
    world.fake.wix().mend();
    world.fake.clock().pass(60);
    world.fake.kv().break_where(|op, key| op == Op::Put && !key.starts_with("v1:access:"));
    assert_eq!(world.isolate(&[]).token(INSTANCE).status, 200);
    assert_eq!(world.instance(INSTANCE)["status"], "needs_reconnect");
    world.fake.kv().mend();
    assert_eq!(world.isolate(&[]).token(INSTANCE).status, 200);
    assert_eq!(world.instance(INSTANCE)["status"], "installed");
}
