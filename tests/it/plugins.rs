//! Service plugin calls in real workerd, without a Durable Object: what is forwarded and answered, and every refusal.

mod back_ends;
mod refusals;
mod target;

use std::sync::LazyLock;
use std::time::Duration;

use serde_json::json;
use workerd::Worker;

use crate::harness::{API_KEY, Message, NOW, Request, Response, Testbed, Values, guid};
use target::{Reaction, Target};

const SECRETS: [&str; 2] =
    ["whsec_bmV3IHNlY3JldCBvZiB0aGUgdGVzdHMsIDMyIGJ5dGVz", "whsec_b2xkIHNlY3JldCBvZiB0aGUgdGVzdHMsIDMyIGJ5dGVz"];
const PATH: &str = "/plugins/v1/getRates";
const RATES: &str = r#"{ "shippingRates" : [{"cost":1e400,"title":"Zo\u00eb"}] }"#;
const LIMIT: usize = 1024 * 1024;

/// The Worker and its target.
struct Bed {
    bed: Testbed,
    target: Target,
}

static BED: LazyLock<Bed> = LazyLock::new(|| {
    let target = Target::start(&SECRETS);
    let bed = Testbed::start(|values| with_target(values, &target.url));
    Bed { bed, target }
});

fn with_target(values: Values, url: &str) -> Values {
    values.with("PLUGINS_URL", url).with("EVENTS_SECRETS", SECRETS.join(","))
}

/// A call of an installation, with its claims where tests can change them.
fn call(bed: &Testbed, id: &str) -> Message {
    Message::plugin_call(&bed.wix, id, 60)
}

fn post(bed: &Testbed, path: &str, body: impl Into<Vec<u8>>) -> Request {
    bed.request(NOW, "POST", path).header("content-type", "text/plain; charset=utf-8").body(body)
}

/// Asserts a refusal in the form of service plugins.
#[track_caller]
fn assert_refused(response: Response, status: u16, code: &str) -> Response {
    let response = response.expect(status);
    assert_eq!(response.json()["applicationError"]["code"], code, "{response:?}");
    assert_eq!(response.header("content-type"), Some("application/json"), "{response:?}");
    response
}

impl Bed {
    /// Sends the call of a new installation, to which the target reacts so. Returns the answer, and what the target got.
    fn send(&self, reaction: Reaction) -> (Response, target::Received) {
        let id = guid();
        self.target.script(&id, reaction);
        let response = post(&self.bed, PATH, call(&self.bed, &id).sign()).send();
        (response, self.target.received(&id))
    }
}

#[test]
fn a_call_is_forwarded_byte_for_byte_and_so_is_its_answer() {
    let id = guid();
    BED.target.script(&id, Reaction::Json(200, RATES.to_owned()));
    let message = call(&BED.bed, &id);
    let response = post(&BED.bed, PATH, message.sign()).send().expect(200);
    assert_eq!(response.text(), RATES);
    assert_eq!(response.header("content-type"), Some("application/json"));
    assert_eq!(response.header("cache-control"), Some("no-store"));

    // The target verifies the signature by each of the secrets.
    let got = BED.target.received(&id);
    assert_eq!((got.method.as_str(), got.path.as_str()), ("POST", "/base/v1/getRates"));
    assert_eq!(got.body, message.claims["data"]["request"].to_string());
    assert_eq!(got.header("content-type"), "application/json");
    assert!(got.header("user-agent").starts_with("wix-edge/"));
    assert_eq!(got.header("wix-edge-instance-id"), id);
    assert_eq!(got.header("wix-edge-request-id"), format!("1767225601.{id}"));
    assert_eq!(got.metadata(), message.claims["data"]["metadata"]);
    for absent in ["authorization", "cookie"] {
        assert_eq!(got.header(absent), "", "{absent}");
    }
    let line = BED.bed.log.of_request(response.request_id());
    assert_eq!((&line["route"], &line["instance_id"]), (&json!("/plugins/…"), &json!(id)), "{line}");
    assert!(!line.to_string().contains("getRates") && !line.to_string().contains("Zo"), "{line}");
}

#[test]
fn an_error_of_the_app_is_returned_with_its_status() {
    let error = r#"{"applicationError":{"code":"NO_RATES","data":{"why":"x"}}}"#;
    for status in [400, 404, 428, 500] {
        let (response, _) = BED.send(Reaction::Json(status, error.to_owned()));
        assert_eq!(response.expect(status).text(), error);
    }
}

#[test]
fn headers_of_the_answer_are_dropped() {
    let (response, _) = BED.send(Reaction::Cookie);
    let response = response.expect(200);
    for name in ["set-cookie", "x-secret", "location"] {
        assert_eq!(response.header(name), None, "{response:?}");
    }
}

#[test]
fn an_answer_that_cannot_be_used_is_a_502() {
    let elsewhere = BED.bed.wix.at("/oauth2/token");
    let long = || format!("\"{}\"", "x".repeat(LIMIT));
    for (name, cause, reaction) in [
        ("301", "redirect", Reaction::Redirect(301, elsewhere.clone())),
        ("307", "redirect", Reaction::Redirect(307, elsewhere)),
        ("a page", "no JSON", Reaction::Raw(200, "text/html", "<html></html>".to_owned())),
        ("text", "no JSON", Reaction::Raw(500, "text/plain", "Internal Server Error".to_owned())),
        ("an empty body", "no JSON", Reaction::Raw(200, "application/json", String::new())),
        ("no body", "no JSON", Reaction::Raw(204, "application/json", String::new())),
        ("half of an object", "no JSON", Reaction::Raw(200, "application/json", "{\"a\":".to_owned())),
        ("a long text", "more than 1 MiB", Reaction::Raw(200, "application/json", long())),
        ("a long text, compressed", "more than 1 MiB", Reaction::Gzip(long())),
        ("a body that breaks off", "broke off", Reaction::Break),
    ] {
        let (response, _) = BED.send(reaction);
        let response = assert_refused(response, 502, "plugin_target_failed");
        let line = BED.bed.log.of_request(response.request_id());
        let logged = line["cause"].as_str().unwrap_or_default();
        assert!(logged.contains(cause) && !line.to_string().contains("html"), "{name}: {line}");
    }
    let (response, _) = BED.send(Reaction::Gzip(RATES.to_owned()));
    assert_eq!(response.expect(200).text(), RATES);
}

#[test]
fn json_with_another_content_type_is_an_answer() {
    let (response, _) = BED.send(Reaction::Raw(200, "text/plain", RATES.to_owned()));
    assert_eq!(response.expect(200).text(), RATES);
}

#[test]
fn a_target_that_is_down_is_a_502() {
    let port = leash::free_port().expect("a port");
    let bed = Testbed::start(|values| with_target(values, &format!("http://127.0.0.1:{port}/base")));
    let response = post(&bed, PATH, call(&bed, &guid()).sign()).send();
    assert_refused(response, 502, "plugin_target_failed");
}

#[test]
fn a_late_answer_is_a_504_after_ten_seconds_and_its_call_is_cancelled() {
    let reactions = [Reaction::Slow(Duration::from_secs(20)), Reaction::SlowBody(Duration::from_secs(20))];
    std::thread::scope(|scope| {
        for reaction in reactions {
            scope.spawn(|| {
                let id = guid();
                BED.target.script(&id, reaction);
                let response = post(&BED.bed, PATH, call(&BED.bed, &id).sign()).send();
                let response = assert_refused(response, 504, "plugin_target_timeout");
                let took = response.took.as_millis();
                assert!((9_500..14_000).contains(&took), "{took} ms");
                BED.target.wait_until_cancelled(&id);
            });
        }
    });
    let (response, _) = BED.send(Reaction::Slow(Duration::from_secs(8)));
    response.expect(200);
}

#[test]
fn a_body_of_one_mebibyte_is_forwarded_and_a_larger_one_refused() {
    let id = guid();
    BED.target.script(&id, Reaction::Json(200, RATES.to_owned()));
    let mut message = call(&BED.bed, &id);
    message.claims["data"]["request"]["padding"] = "\u{e9}".repeat(340_000).into();
    let mut body = message.sign().into_bytes();
    assert!(body.len() > 800_000 && body.len() < LIMIT, "{}", body.len());
    body.resize(LIMIT, b' ');
    for chunked in [false, true] {
        let request = post(&BED.bed, PATH, body.clone());
        let request = if chunked { request.chunked() } else { request };
        assert_eq!(request.send().expect(200).text(), RATES);
        assert_eq!(BED.target.received(&id).body, message.claims["data"]["request"].to_string());
    }
    body.push(b' ');
    assert_refused(post(&BED.bed, PATH, body.clone()).send(), 413, "too_large");
    assert_refused(post(&BED.bed, PATH, body).chunked().send(), 413, "too_large");
}

#[test]
fn an_installation_becomes_known_and_is_refused_after_its_removal() {
    let id = guid();
    let bed = &BED.bed;
    BED.target.script(&id, Reaction::Json(200, RATES.to_owned()));
    post(bed, PATH, call(bed, &id).sign()).send().expect(200);
    let instance = |status: u16| bed.api(NOW, "GET", &format!("/v1/instances/{id}")).send().expect(status).json();
    assert_eq!(instance(200)["status"], "pending");
    let stored: Vec<String> = bed.kv.entries("").iter().map(|entry| format!("{entry:?}")).collect();
    assert!(stored.iter().all(|entry| !entry.contains("lineItems") && !entry.contains("EUR")), "{stored:?}");

    let removed = Message::new("AppRemoved", &id, &json!({ "appId": bed.wix.app.app_id })).sign();
    let response = bed.request(NOW, "POST", "/webhook").body(removed).send().expect(200);
    bed.wait_for_tasks(&response);
    let received = BED.target.count(&id);
    assert_refused(post(bed, PATH, call(bed, &id).sign()).send(), 410, "removed_instance");
    assert_eq!(BED.target.count(&id), received, "a refused call is not forwarded");
}

#[test]
fn a_call_without_an_installation_is_forwarded() {
    let id = guid();
    let mut message = call(&BED.bed, &id);
    message.claims["data"]["metadata"] = json!({ "appExtensionType": "T", "requestId": "two\nlines" });
    post(&BED.bed, PATH, message.sign()).send().expect(200);
    let got = BED.target.received(&id);
    assert_eq!((got.header("wix-edge-instance-id"), got.header("wix-edge-request-id")), ("", ""));
}

/// Another Worker of the account, which reads the call with the npm package.
#[test]
fn a_service_binding_answers_a_call() {
    const TARGET: &str = r"export default {
      async fetch(request) {
        const { method, url } = request;
        return Response.json({ method, url, body: await request.json(), id: request.headers.get('wix-edge-instance-id') },
          { status: 201, headers: { 'set-cookie': 'a=b' } });
      },
    };";
    let bed = Testbed::with(
        |values| values.with("EVENTS_SECRETS", SECRETS[0]),
        |app| app.service("PLUGINS_TARGET", "target"),
        |setup| setup.worker("target", Worker::script("2026-10-20", TARGET)),
    );
    let id = guid();
    let response = post(&bed, PATH, call(&bed, &id).sign()).send().expect(201);
    let got = response.json();
    assert_eq!(
        (&got["method"], &got["url"]),
        (&json!("POST"), &json!("https://wix-edge/plugins/v1/getRates")),
        "{got}"
    );
    assert_eq!((&got["body"]["instance"], &got["id"]), (&json!(id), &json!(id)));
    assert_eq!(response.header("set-cookie"), None);
}

#[test]
fn without_a_target_a_call_is_a_404_that_readyz_notes() {
    let bed = Testbed::start(|values| values);
    let notes = || bed.request(NOW, "GET", "/readyz").send().expect(200).json()["notes"].to_string();
    assert!(!notes().contains("PLUGINS_URL"));
    assert_refused(post(&bed, PATH, call(&bed, &guid()).sign()).send(), 404, "no_plugin_target");
    assert!(notes().contains("PLUGINS_URL"), "{}", notes());
    assert!(bed.kv.entries("v1:").is_empty());
}

#[test]
fn no_key_of_the_app_api_is_forwarded() {
    let id = guid();
    let request = post(&BED.bed, PATH, call(&BED.bed, &id).sign()).key(API_KEY).header("cookie", "a=b");
    request.header("wix-edge-instance-id", guid()).send().expect(200);
    let got = BED.target.received(&id);
    assert_eq!((got.header("authorization"), got.header("cookie")), ("", ""));
    assert_eq!(got.header("wix-edge-instance-id"), id);
}
