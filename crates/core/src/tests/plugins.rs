//! `POST /plugins/{path…}`: what is forwarded, how it is signed, and every refusal. docs/wix.md, 4.8.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::testing::back_end::Received;
use crate::testing::clock::START;
use crate::testing::jws::{self, HEADER, Key, plugin_claims, sign};
use crate::testing::kv::Op;
use crate::testing::world::{APP_ID, BOUND, INSTANCE, PLUGINS, TestResponse, VICTIM, World};
use crate::wix::SendError;

const PATH: &str = "/plugins/v1/getRates";

fn world() -> World {
    World::with(&PLUGINS)
}

fn call(instance: &str, iat: u64) -> String {
    sign(Key::Wix, HEADER, &plugin_claims(&json!({"cart": "planted"}), instance, iat).to_string())
}

fn send(world: &World, body: impl Into<Vec<u8>>) -> TestResponse {
    world.post(PATH).body(body).send()
}

/// The status and the code of a refusal, which must have the form of a plugin's errors.
fn refusal(response: &TestResponse) -> (u16, String) {
    assert_eq!(response.header("content-type"), "application/json");
    let code = response.json()["applicationError"]["code"].as_str().unwrap_or_default().to_owned();
    (response.status, code)
}

fn refused(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

/// The only call that the back end received.
fn received(world: &World) -> Received {
    let [call] = <[Received; 1]>::try_from(world.fake.back_end().take()).expect("one call");
    call
}

fn is_signed(call: &Received, secret: &str) -> bool {
    let header = |name| call.header(name).expect("a header");
    let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
    mac.update(format!("{}.{}.{}", header("webhook-id"), header("webhook-timestamp"), call.body).as_bytes());
    let signature = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
    header("webhook-signature").split(' ').any(|known| known == signature)
}

#[test]
fn a_call_is_forwarded_signed_and_its_answer_returned_unchanged() {
    let second = "whsec_YW5vdGhlciBzZWNyZXQgb2YgdGhlIHRlc3RzLCAzMiBieXRlcw==";
    let secrets = format!("{},{second}", PLUGINS[1].1);
    let world = World::with(&[PLUGINS[0], ("EVENTS_SECRETS", &secrets)]);
    let answer = r#"{ "shippingRates":[{"cost":1e400}] ,"x":"\ud800"}"#;
    world.fake.back_end().answers(0, Ok((200, answer.as_bytes())));
    let response = send(&world, call(INSTANCE, START));
    assert_eq!((response.status, response.body.as_str()), (200, answer));
    assert_eq!(response.header("content-type"), "application/json");

    let call = received(&world);
    assert_eq!((call.url.as_str(), call.binding), ("https://back-end.example/plugins/v1/getRates", None));
    assert_eq!(call.body, r#"{"cart":"planted"}"#);
    assert!(is_signed(&call, PLUGINS[1].1) && is_signed(&call, second), "{call:?}");
    assert_eq!(call.header("webhook-timestamp"), Some(START.to_string().as_str()));
    assert_eq!(call.header("wix-edge-instance-id"), Some(INSTANCE));
    assert_eq!(call.header("wix-edge-request-id"), Some("1767225601.99-plugin"));
    let metadata = call.header("wix-edge-metadata").unwrap();
    let sent = plugin_claims(&json!({}), INSTANCE, START)["data"]["metadata"].to_string();
    assert_eq!(URL_SAFE_NO_PAD.decode(metadata).unwrap(), sent.as_bytes());
    // The signature covers the id, and so the metadata.
    let hash = URL_SAFE_NO_PAD.encode(Sha256::digest(metadata));
    assert_eq!(call.header("webhook-id"), Some(format!("plugin_{hash}").as_str()));
    assert_eq!(call.headers.len(), 6, "{call:?}");
    let line: Value = serde_json::from_str(&world.fake.log_lines()[0].1).unwrap();
    assert_eq!((&line["outcome"], &line["route"]), (&json!("stored"), &json!("/plugins/…")), "{line}");
    assert_eq!(line["instance_id"], INSTANCE);
}

#[test]
fn a_service_binding_is_called_at_a_fixed_address() {
    let world = World::with(&[("PLUGINS_TARGET", BOUND), PLUGINS[1]]);
    assert_eq!(send(&world, call(INSTANCE, START)).status, 200);
    let call = received(&world);
    assert_eq!((call.url.as_str(), call.binding), ("https://wix-edge/plugins/v1/getRates", Some("PLUGINS_TARGET")));
}

#[test]
fn an_error_of_the_app_is_returned_unchanged() {
    let world = world();
    let error = r#"{"applicationError":{"code":"NO_RATES","data":{"why":"x"}}}"#;
    for status in [200, 201, 299, 400, 401, 404, 409, 428, 500, 503, 599] {
        world.fake.back_end().answers(0, Ok((status, error.as_bytes())));
        let response = send(&world, call(INSTANCE, START));
        assert_eq!((response.status, response.body.as_str()), (status, error));
    }
}

#[test]
fn an_answer_that_is_a_redirect_or_no_json_is_a_502() {
    let world = world();
    for (status, body) in [
        (301, "{}"),
        (302, ""),
        (304, ""),
        (307, "{}"),
        (200, ""),
        (204, ""),
        (200, "<html></html>"),
        (500, "Internal Server Error"),
        (200, "{} {}"),
        (200, r#"{"a":}"#),
        (200, "\u{feff}{}"),
    ] {
        world.fake.back_end().answers(0, Ok((status, body.as_bytes())));
        let response = send(&world, call(INSTANCE, START));
        assert_eq!(refusal(&response), refused(502, "plugin_target_failed"), "{status} {body}");
    }
    world.fake.back_end().answers(0, Ok((200, b"\"\xff\"")));
    assert_eq!(refusal(&send(&world, call(INSTANCE, START))), refused(502, "plugin_target_failed"));
    world.fake.back_end().answers(0, Err(SendError::Unreachable));
    assert_eq!(refusal(&send(&world, call(INSTANCE, START))), refused(502, "plugin_target_failed"));
}

#[test]
fn the_app_has_ten_seconds_less_what_kv_took() {
    let world = world();
    world.fake.back_end().answers(10_000, Ok((200, b"{}")));
    let response = send(&world, call(INSTANCE, START));
    assert_eq!(refusal(&response), refused(504, "plugin_target_timeout"));
    assert_eq!(response.took, 10_000);
    received(&world);

    let other = world.isolate(&PLUGINS);
    other.fake.kv().delay_where(|op, _| if op == Op::Get { 400 } else { 0 });
    other.fake.back_end().answers(9_599, Ok((200, b"{}")));
    assert_eq!(send(&other, call(INSTANCE, START)).status, 200);
    assert_eq!(received(&other).timeout, 9_600);
}

#[test]
fn signatures_claims_and_bodies_that_are_refused() {
    let world = world();
    let with = |name: &str, value: Value| {
        let mut claims = plugin_claims(&json!({}), INSTANCE, START);
        claims[name] = value;
        sign(Key::Wix, HEADER, &claims.to_string())
    };
    let good = plugin_claims(&json!({}), INSTANCE, START).to_string();
    let id_token = json!({"iss": "wix.com", "aud": APP_ID, "sub": "u", "iat": START, "exp": START + 60, "nonce": "n"});
    for (body, status, code) in [
        (sign(Key::Other, HEADER, &good), 401, "bad_signature"),
        (sign(Key::Wix, r#"{"alg":"RS512"}"#, &good), 401, "bad_signature"),
        (sign(Key::Wix, r#"{"alg":"none"}"#, &good), 401, "bad_signature"),
        (sign(Key::Wix, r#"{"alg":"HS256"}"#, &good), 401, "bad_signature"),
        (sign(Key::Wix, r#"{"alg":"RS256","crit":["exp"]}"#, &good), 401, "bad_signature"),
        (with("aud", json!(VICTIM)), 401, "bad_claims"),
        (with("iss", json!("evil.example")), 401, "bad_claims"),
        (with("exp", Value::Null), 400, "malformed_message"),
        (with("exp", json!(START)), 401, "not_valid_now"),
        (with("iat", json!(START + 61)), 401, "not_valid_now"),
        (sign(Key::Wix, HEADER, &id_token.to_string()), 400, "malformed_message"),
        (String::new(), 400, "malformed_message"),
        ("planted.planted.planted".to_owned(), 400, "malformed_message"),
    ] {
        assert_eq!(refusal(&send(&world, body.clone())), refused(status, code), "{body}");
    }
    let broken = world.post(PATH).body(call(INSTANCE, START)).broken().send();
    assert_eq!(refusal(&broken), refused(400, "bad_request"));
    let mut large = call(INSTANCE, START).into_bytes();
    large.resize(1024 * 1024 + 1, b' ');
    assert_eq!(refusal(&send(&world, large.clone())), refused(413, "too_large"));
    assert!(world.fake.back_end().take().is_empty() && world.fake.kv().entries().is_empty());
    large.pop();
    assert_eq!(send(&world, large).status, 200);
}

#[test]
fn webhooks_and_plugin_calls_are_told_the_right_address() {
    let world = world();
    let response = send(&world, jws::installed(INSTANCE, START));
    assert_eq!(refusal(&response), refused(400, "malformed_message"));
    assert!(response.json()["applicationError"]["data"]["detail"].as_str().unwrap().contains("/webhook"));
    let response = world.webhook(call(INSTANCE, START));
    assert_eq!(response.problem(), refused(400, "malformed_message"));
    assert!(response.json()["detail"].as_str().unwrap().contains("/plugins"));
    assert!(world.fake.back_end().take().is_empty() && world.fake.kv().entries().is_empty());
}

#[test]
fn the_path_must_be_unambiguous() {
    let world = world();
    let long = format!("/plugins/{}", "a".repeat(8193));
    for path in [
        "/plugins",
        "/plugins/",
        "/plugins//",
        "/plugins//v1",
        "/plugins/v1//rates",
        "/plugins/..",
        "/plugins/./v1",
        "/plugins/v1/../v1",
        "/plugins/%2e%2e/v1",
        "/plugins/v1%2frates",
        "/plugins/v1%5crates",
        "/plugins/%252e",
        "/plugins/v1;x",
        "/plugins/@evil.example",
        "/plugins/http:",
        "/plugins/v1?admin=1",
        "/plugins/v1?",
        &long,
    ] {
        let response = world.post(path).body(call(INSTANCE, START)).send();
        assert_eq!(refusal(&response), refused(404, "not_found"), "{path}");
    }
    // The path is checked before the signature, which costs more.
    assert_eq!(refusal(&world.post("/plugins/v1//x").body("x").send()), refused(404, "not_found"));
    assert!(world.fake.back_end().take().is_empty());
    for path in ["/v1/getRates/", "/v1/a%20b", "/v1/caf%C3%A9", "/x"] {
        assert_eq!(world.post(&format!("/plugins{path}")).body(call(INSTANCE, START)).send().status, 200, "{path}");
        assert_eq!(received(&world).url, format!("https://back-end.example/plugins{path}"));
    }
}

#[test]
fn a_refusal_has_the_form_of_a_plugins_errors() {
    let world = World::new();
    let notes = |world: &World| world.get("/readyz").send().body.matches("PLUGINS_URL").count();
    send(&world, jws::installed(INSTANCE, START));
    assert_eq!(notes(&world), 0, "an app without service plugins needs no target");
    assert_eq!(refusal(&send(&world, call(INSTANCE, START))), refused(404, "no_plugin_target"));
    assert_ne!(notes(&world), 0);
    assert_eq!(refusal(&world.get(PATH).send()), refused(405, "method_not_allowed"));
    let broken = World::with(&[("WIX_APP_ID", "")]);
    assert_eq!(refusal(&send(&broken, call(INSTANCE, START))), refused(503, "not_configured"));
}

#[test]
fn an_unknown_installation_is_recorded_and_a_known_one_is_not_written() {
    let world = world();
    assert_eq!(send(&world, call(INSTANCE, START)).status, 200);
    assert_eq!(
        world.instance(INSTANCE),
        json!({"instance_id": INSTANCE, "status": "pending", "auth": "oauth", "last_event_at": START})
    );
    world.fake.kv().take_changes();
    let text = format!("{:?}", world.fake.kv().entries().keys());
    assert!(!text.contains("planted"), "{text}");
    for _ in 0..3 {
        assert_eq!(send(&world, call(INSTANCE, START + 1)).status, 200);
        assert_eq!(world.fake.last_log()["outcome"], "passed_on");
    }
    assert_eq!(world.fake.kv().take_changes(), []);
}

#[test]
fn a_call_of_no_installation_is_forwarded() {
    let world = world();
    let mut claims = plugin_claims(&json!({}), INSTANCE, START);
    claims["data"]["metadata"] = json!({"appExtensionType": "T", "requestId": "a\nb: c"});
    assert_eq!(send(&world, sign(Key::Wix, HEADER, &claims.to_string())).status, 200);
    let call = received(&world);
    assert_eq!((call.header("wix-edge-instance-id"), call.header("wix-edge-request-id")), (None, None));
    assert!(world.fake.kv().entries().is_empty());
}

#[test]
fn a_removed_installation_is_refused() {
    let world = world();
    world.webhook(jws::installed(INSTANCE, START - 100));
    assert_eq!(send(&world, call(INSTANCE, START)).status, 200);
    received(&world);
    world.webhook(jws::removed(INSTANCE, START));
    assert_eq!(refusal(&send(&world, call(INSTANCE, START))), refused(410, "removed_instance"));
    assert!(world.fake.back_end().take().is_empty());
}

/// A genuine call long after a removal contradicts it, so that Wix is asked later. The call itself is refused.
#[test]
fn a_call_that_contradicts_a_removal_is_recorded() {
    let world = world();
    world.webhook(jws::installed(INSTANCE, START - 100));
    world.webhook(jws::removed(INSTANCE, START));
    world.fake.clock().set(START + 120);
    assert_eq!(refusal(&send(&world, call(INSTANCE, START + 120))), refused(410, "removed_instance"));
    assert!(world.fake.back_end().take().is_empty());
    // The removal stored a recheck; with the call it asks Wix, which has the app.
    world.fake.clock().advance(300);
    world.cron();
    assert_eq!(world.instance(INSTANCE)["status"], "installed");
    assert_eq!(send(&world, call(INSTANCE, START + 420)).status, 200);
}

#[test]
fn a_stale_row_does_not_refuse_a_call() {
    let world = world();
    world.webhook(jws::removed(INSTANCE, START));
    let stale = world.fake.kv().entries()[&format!("v1:instance:{INSTANCE}")].value.clone();
    world.webhook(jws::installed(INSTANCE, START + 1));
    world.fake.kv().insert_directly(&format!("v1:instance:{INSTANCE}"), &stale, None);
    assert_eq!(send(&world.isolate(&PLUGINS), call(INSTANCE, START + 2)).status, 200);
}

#[test]
fn a_call_is_refused_where_kv_cannot_be_read_and_forwarded_where_it_cannot_be_written() {
    let world = world();
    world.fake.kv().fail_where(|op, _| op == Op::Get);
    assert_eq!(refusal(&send(&world, call(INSTANCE, START))), refused(503, "store_failed"));
    assert!(world.fake.back_end().take().is_empty());

    let world = self::world();
    world.fake.kv().fail_where(|op, _| op == Op::Put);
    assert_eq!(send(&world, call(INSTANCE, START)).status, 200);
    assert_eq!(world.fake.last_log()["error"], "store_failed");
    received(&world);
}
