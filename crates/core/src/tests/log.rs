//! No secret is in the log, in an error, or in KV in plain text, on any route, with and without failures.

use serde_json::{Value, json};

use crate::runtime::Level;
use crate::runtime::Trace;
use crate::testing::clock::START;
use crate::testing::jws::{self, HEADER, Key, plugin_claims};
use crate::testing::kv::Op;
use crate::testing::wix::{Canned, token_info};
use crate::testing::world::{API_KEY, APP_SECRET, INSTANCE, PLUGINS, SEALING_KEY, TestResponse, VICTIM, World};
use crate::values::RequestId;
use crate::wix::signed_instance::tests::sign;

const PREVIOUS: &str = "planted-former-secret";
/// The word in every secret of the tests but `APP_SECRET` and `SEALING_KEY`.
const MARK: &str = "planted";
const PLANTED_EVENT: &str =
    r#"{"event_name":"CUSTOM","custom_event_name":"planted-name","event_data":{"planted":"planted"}}"#;

fn world() -> World {
    World::with(&[("WIX_APP_SECRET_PREVIOUS", PREVIOUS), PLUGINS[0], PLUGINS[1]])
}

fn assert_no_secret(place: &str, text: &str, more: &[String]) {
    let fixed = [MARK, APP_SECRET, SEALING_KEY, PREVIOUS].map(str::to_owned);
    for secret in fixed.iter().chain(more) {
        assert!(!text.contains(secret.as_str()), "{place} shows {secret}: {text}");
    }
}

/// Sends requests to every route, with secrets in each place of a request that can have one.
fn request_everything(world: &World) -> (Vec<TestResponse>, Vec<String>) {
    let (state, cookie) = world.begin_install();
    let (other_state, other_cookie) = world.begin_install();
    let value = |cookie: &str| cookie.split_once('=').unwrap().1.to_owned();
    let secrets = vec![state.clone(), other_state.clone(), value(&cookie), value(&other_cookie)];
    let own = |path: &str| format!("/v1/instances/{INSTANCE}{path}");
    let signed = sign(APP_SECRET, &json!({"instanceId": "planted", "signDate": "planted", "uid": "planted"}));
    let responses = vec![
        world.callback(&state, &cookie, INSTANCE).send(),
        world.callback(&state, &other_cookie, INSTANCE).send(),
        world.callback(&other_state, &other_cookie, VICTIM).send(),
        world.get(&format!("/redirect?state={state}&error=planted-error")).header("cookie", &cookie).send(),
        world.get(&format!("/redirect?code=planted-code&code=planted&state={state}")).header("cookie", &cookie).send(),
        world.get(&format!("/redirect?code=planted&state={state}&instanceId=planted")).header("cookie", &cookie).send(),
        world.get("/redirect?code=planted-code&state=planted-state").header("cookie", "planted=planted").send(),
        world.get("/install?token=planted&token=planted").send(),
        world.get(&format!("/install?token={}", MARK.repeat(1000))).send(),
        world.get("/connect?shareUrlId=planted").send(),
        world.get("/connected?state=planted&signedInstance=planted.planted").send(),
        world.get("/planted/planted?planted=planted").send(),
        world.call("PLANTED".parse().unwrap(), "/?planted").header("x-planted", MARK).send(),
        world.call("PLANTED".parse().unwrap(), &own("/token?planted")).key(API_KEY).send(),
        world.webhook("planted.planted.planted"),
        world.post("/plugins/planted?planted").body("planted.planted.planted").send(),
        world.post("/plugins/planted").body(jws::sign(Key::Wix, HEADER, MARK)).send(),
        world
            .post("/plugins/planted")
            .body(jws::sign(Key::Wix, HEADER, &plugin_claims(&json!({"planted": MARK}), INSTANCE, START).to_string()))
            .send(),
        world.webhook(jws::sign(Key::Wix, HEADER, r#"{"data":"planted","iat":1767225600}"#)),
        world.webhook(jws::sign(Key::Wix, r#"{"alg":"planted"}"#, MARK)),
        world.webhook(jws::sign(Key::Other, HEADER, MARK)),
        world.webhook(jws::event("planted", "planted", &json!({"planted": MARK}), START)),
        world.webhook(jws::event("AppInstalled", INSTANCE, &json!("planted"), START)),
        world.webhook(jws::event("PaidPlanPurchased", INSTANCE, &json!({"vendorProductId": "planted\n"}), START)),
        world.webhook(jws::event("AppInstalled", INSTANCE, &json!({"appId": "planted"}), START)),
        world.webhook(jws::installed(INSTANCE, START + 1)),
        world.post("/webhook").body(MARK).broken().send(),
        world.webhook(MARK.repeat(100_000)),
        world.post(&own("/token")).send(),
        world.post(&own("/token")).key("planted-wrong-key").send(),
        world.post(&own("/token")).header("authorization", "planted planted").send(),
        world.post(&own("/token")).key(API_KEY).body(r#"{"planted":true}"#).send(),
        world.post(&own("/token")).key(API_KEY).body(r#"{"force":true}"#).send(),
        world.post("/v1/instances/planted/token").key(API_KEY).send(),
        world.post(&own("/finish-configuration")).key(API_KEY).body(MARK).send(),
        world.post(&own("/bi-events")).key(API_KEY).body(MARK).send(),
        world.post(&own("/bi-events")).key(API_KEY).body(r#"{"event_name":"planted"}"#).send(),
        world.post(&own("/bi-events")).key(API_KEY).body(PLANTED_EVENT).send(),
        world.post("/v1/identity").key(API_KEY).body(r#"{"access_token":"planted-token"}"#).send(),
        world.post("/v1/identity").key(API_KEY).body(r#"{"access_token":"planted token"}"#).send(),
        world.post("/v1/identity").key(API_KEY).body(r#"{"access_token":["planted"]}"#).send(),
        world.post("/v1/identity").key(API_KEY).body(r#"{"instance":"planted.planted"}"#).send(),
        world.post("/v1/identity").key(API_KEY).body(json!({"instance": signed}).to_string()).send(),
        world.get(&own("/wix/planted/planted?planted=planted")).key(API_KEY).header("accept", MARK).send(),
        world.get(&own("/wix/planted/../planted")).key(API_KEY).send(),
        world.get(&own("/wix//planted.example/")).key(API_KEY).send(),
        world.post(&own("/wix/planted")).key(API_KEY).body(MARK).send(),
        world.post(&own("/wix/planted")).key(API_KEY).body(MARK).broken().send(),
        world.post(&own("/wix/planted")).key(API_KEY).body(MARK).chunked().send(),
        world.get(&own("/wix/planted")).key("planted-wrong-key").send(),
        world.get(&own("?planted")).key(API_KEY).send(),
        world.get("/v1/instances?cursor=planted%20&status=planted").key(API_KEY).send(),
        world.get("/v1/instances?status=planted").key(API_KEY).send(),
        world.get("/v1/instances?limit=planted").key(API_KEY).send(),
        world.get("/v1/instances?cursor=planted").key(API_KEY).send(),
        world.get("/v1/planted?planted").key(API_KEY).send(),
        world.get("/readyz?planted").send(),
        world.get("/healthz?planted").send(),
        world.isolate(&[]).token(INSTANCE),
        world.webhook(jws::removed(INSTANCE, START + 2)),
        world.token(INSTANCE),
    ];
    (responses, secrets)
}

fn check(name: &str, world: &World) {
    let (responses, secrets) = request_everything(world);
    for response in &responses {
        if response.status >= 400 {
            assert_no_secret(name, &response.body, &secrets);
            assert_no_secret(name, &format!("{:?}", response.headers), &secrets);
        }
    }
    let log = world.fake.log_lines();
    assert!(log.len() >= responses.len(), "every request must have a log line");
    for (_, line) in log {
        assert_no_secret(name, &line, &secrets);
        let _: Value = serde_json::from_str(&line).unwrap();
    }
    for (key, entry) in world.fake.kv().entries() {
        assert_no_secret(name, &format!("{key} {} {:?}", entry.value, entry.metadata), &secrets);
    }
}

#[test]
fn without_failures_no_secret_is_shown() {
    check("without failures", &world());
}

#[test]
fn if_wix_fails_and_echoes_secrets_no_secret_is_shown() {
    let echo = format!("planted {APP_SECRET} {PREVIOUS}");
    for status in [200, 302, 400, 401, 404, 418, 429, 500] {
        for path in ["/oauth/access", "/oauth2/token", "/oauth2/token-info", "/apps/v1/bi-event"] {
            for body in [echo.clone(), json!({"error": echo, "access_token": [echo], "active": echo}).to_string()] {
                let world = world();
                world.fake.wix().always(path, Canned::text(status, &body));
                check(&format!("{path} {status}"), &world);
            }
        }
    }
}

#[test]
fn if_wix_is_unreachable_no_secret_is_shown() {
    for path in ["/oauth/access", "/oauth2/token", "/oauth2/token-info"] {
        for failure in [Canned::hang(), Canned::unreachable()] {
            let world = world();
            world.fake.wix().always(path, failure);
            check(path, &world);
        }
    }
}

#[test]
fn if_introspection_shows_other_ids_no_secret_is_shown() {
    for (field, value) in
        [("clientId", "planted"), ("instanceId", VICTIM), ("active", "planted"), ("siteId", "planted")]
    {
        let mut info = token_info();
        info[field] = json!(value);
        let world = world();
        world.fake.wix().always("/oauth2/token-info", Canned::ok(&info));
        check(field, &world);
    }
}

#[test]
fn if_kv_fails_no_secret_is_shown() {
    for failing in [Op::Get, Op::Put, Op::Delete, Op::List] {
        let world = world();
        world.fake.kv().fail_where(move |op, _| op == failing);
        check("KV", &world);
    }
}

#[test]
fn if_the_configuration_has_faults_no_secret_is_shown() {
    for (name, value) in [
        ("WIX_APP_SECRET", "planted planted"),
        ("SEALING_KEYS", "k1:planted"),
        ("API_KEYS", "planted:planted"),
        ("WIX_PUBLIC_KEYS", "planted"),
        ("PUBLIC_URL", "http://planted:planted@planted"),
    ] {
        let world = World::with(&[(name, value)]);
        let responses = ["/", "/readyz", "/install", "/redirect?code=planted", "/v1/instances?planted"]
            .map(|path| world.get(path).key(API_KEY).send());
        for response in &responses {
            assert_eq!(response.status, 503);
            assert_no_secret(name, &response.body, &[]);
        }
        for (_, line) in world.fake.log_lines() {
            assert_no_secret(name, &line, &[]);
        }
    }
}

#[test]
fn a_log_line_has_route_status_instance_and_client() {
    let world = world();
    world.connect();
    world.token(INSTANCE);
    let line = world.fake.last_log();
    assert_eq!(line["level"], "info");
    assert_eq!(line["route"], "/v1/instances/{id}/token");
    assert_eq!(line["method"], "POST");
    assert_eq!(line["status"], 200);
    assert_eq!(line["instance_id"], INSTANCE);
    assert_eq!(line["client"], "full");
    assert_eq!(line["duration_ms"], 0);
    assert_eq!(line["request_id"].as_str().unwrap().len(), 32);

    world.fake.clock().advance(300);
    world.token(INSTANCE);
    assert_eq!(world.fake.last_log()["wix_request_id"], "1767225601.1234567890");
}

#[test]
fn the_level_of_a_log_line_follows_the_status() {
    let world = world();
    let level = |request: &dyn Fn(&World)| {
        request(&world);
        world.fake.log_lines().last().unwrap().0
    };
    assert_eq!(level(&|world| drop(world.get("/healthz").send())), Level::Info);
    assert_eq!(level(&|world| drop(world.get("/nothing").send())), Level::Warn);
    assert_eq!(level(&|world| drop(world.webhook("x"))), Level::Warn);
    assert_eq!(
        level(&|world| {
            world.fake.kv().fail_where(|_, _| true);
            world.get("/readyz").send();
        }),
        Level::Error
    );
}

#[test]
fn a_deferred_task_has_its_own_log_line() {
    let world = World::with(&[("FINISH_CONFIGURATION", "on-install")]);
    world.webhook(jws::installed(INSTANCE, START));
    let lines: Vec<Value> =
        world.fake.log_lines().iter().map(|(_, line)| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["route"], "/webhook");
    assert_eq!(lines[1]["route"], "task finish-configuration");
    assert_eq!(lines[0]["request_id"], lines[1]["request_id"]);
    assert_eq!((lines[1].get("status"), &lines[1]["instance_id"]), (None, &json!(INSTANCE)));
}

#[test]
fn a_log_line_has_the_final_error_first_and_then_the_others() {
    let trace = Trace::new(RequestId::new([1; 16]), "/x", START * 1000, Level::Info);
    trace.secondary("first", Some("one".to_owned()));
    trace.secondary("second", None);
    trace.secondary("first", Some("one".to_owned()));
    let fake = crate::testing::Fake::default();
    let line = |trace: &Trace| -> Value {
        trace.write(&fake, None);
        fake.last_log()
    };
    assert_eq!((&line(&trace)["error"], &line(&trace)["cause"]), (&"first".into(), &"one".into()));
    assert_eq!(line(&trace)["further_errors"], serde_json::json!([{"error": "second"}]));
    trace.error("answered", None);
    let end = line(&trace);
    assert_eq!((&end["error"], end.get("cause")), (&"answered".into(), None));
    assert_eq!(end["further_errors"], serde_json::json!([{"error": "first", "cause": "one"}, {"error": "second"}]));
}

#[test]
fn a_line_less_severe_than_log_level_is_not_written() {
    for (value, levels) in [
        ("", &[Level::Info, Level::Warn, Level::Error][..]),
        ("info", &[Level::Info, Level::Warn, Level::Error]),
        ("warn", &[Level::Warn, Level::Error]),
        ("error", &[Level::Error]),
    ] {
        let world = World::with(&[("LOG_LEVEL", value), ("FINISH_CONFIGURATION", "on-install")]);
        world.get("/healthz").send();
        world.webhook(jws::installed(INSTANCE, START));
        world.get("/nothing").send();
        world.fake.kv().fail_where(|_, _| true);
        world.get("/readyz").send();
        world.cron();
        let mut written: Vec<Level> = world.fake.log_lines().iter().map(|(level, _)| *level).collect();
        written.sort_unstable();
        written.dedup();
        assert_eq!(written, levels, "{value}");
    }
}

#[test]
fn an_attempt_to_deliver_obeys_log_level() {
    for (value, count) in [("info", 1), ("warn", 0)] {
        let world = World::delivering_with(&[("LOG_LEVEL", value)]);
        world.webhook(jws::installed(INSTANCE, START));
        world.fake.deliver(INSTANCE);
        let lines = world.fake.log_lines();
        let attempts = lines.iter().filter(|(_, line)| line.contains(r#""route":"deliver""#));
        // The webhook, and the change that it caused.
        assert_eq!(attempts.count(), 2 * count, "{value}: {lines:?}");
    }
}
