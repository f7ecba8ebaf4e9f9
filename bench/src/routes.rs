//! The cases, each with its requests to one Worker, and the comparisons.

use anyhow::{Context as _, Result};
use serde_json::json;

use crate::client::{self, Request};
use crate::stage::{API_KEY, APP_ID, Running, Stage, instance};
use crate::upstream::LONG;

/// A case.
pub struct Case {
    /// Its name.
    pub name: &'static str,
    /// The name of its Worker.
    pub worker: &'static str,
    /// The requests, which the client cycles through.
    pub requests: Vec<Request>,
    /// The number of requests per thousand: fewer for a slow case.
    pub of_a_thousand: usize,
    /// Whether each request is sent once only, and its event delivered.
    pub is_delivered: bool,
}

/// The case of a webhook whose event is delivered.
pub const DELIVERED: &str = "webhook, delivered";
/// How many requests per thousand that case has: each is signed.
pub const DELIVERED_OF_A_THOUSAND: usize = 250;
/// How many installations its events belong to.
const INSTALLATIONS: usize = 50;

/// A comparison of two cases, with its goal.
pub struct Comparison {
    /// The case.
    pub case: &'static str,
    /// The case that it is compared with.
    pub beside: &'static str,
    /// The largest ratio that meets the goal.
    pub goal: Option<f64>,
}

const fn beside(case: &'static str, beside: &'static str, goal: Option<f64>) -> Comparison {
    Comparison { case, beside, goal }
}

/// The comparisons, in the order of the table.
pub const COMPARISONS: &[Comparison] = &[
    beside("webhook", "webhook: JS, WebCrypto", Some(1.05)),
    beside("webhook", "webhook: JS, WebCrypto, the same answer and log", None),
    beside("webhook", "webhook: jose", None),
    beside("webhook", "webhook: @wix/sdk", Some(0.75)),
    beside("webhook, forged", "webhook", Some(0.9)),
    beside(DELIVERED, "webhook", None),
    beside("webhook, no JWT", "JS hello", Some(2.0)),
    beside("plugin call, 2 kB", "plugin call: jose, 2 kB", Some(1.0)),
    beside("install", "JS redirect", Some(1.5)),
    beside("token from memory", "JS hello", Some(2.0)),
    beside("proxy, 1 KB", "JS forward, 1 KB", Some(1.3)),
    beside("proxy, 10 MB", "JS forward, 10 MB", Some(1.3)),
    beside("healthz", "JS hello", None),
    beside("instance", "JS hello", None),
];

/// A request to the app API.
pub fn api(method: &str, path: &str, body: Option<&[u8]>) -> Request {
    let authorization = format!("Bearer {API_KEY}");
    let headers = [("authorization", authorization.as_str()), ("content-type", "application/json")];
    Request::with_body(method, path, &headers, body, 200)
}

/// A request for a token.
pub fn token(id: &str) -> Request {
    api("POST", &format!("/v1/instances/{id}/token"), None)
}

/// A webhook.
pub fn webhook(message: &str, status: u16) -> Request {
    Request::with_body("POST", "/webhook", &[("content-type", "text/plain")], Some(message.as_bytes()), status)
}

/// An ordinary event of an instance.
pub fn event(stage: &Stage, id: &str, size: usize) -> Result<Request> {
    let message = stage.key.message("wix.contacts.v4.contact_created", id, &json!({ "id": id }), size)?;
    Ok(webhook(&message, 200))
}

/// Different events.
fn events(stage: &Stage, count: usize) -> Result<Vec<Request>> {
    let event = |number: usize| {
        let (id, data) = (instance(number % INSTALLATIONS), json!({ "number": number }));
        Ok(webhook(&stage.key.message("wix.contacts.v4.contact_created", &id, &data, 1200)?, 200))
    };
    (0..count).map(event).collect()
}

/// All cases. `delivered` is the number of events to deliver.
pub fn cases(stage: &Stage, delivered: usize) -> Result<Vec<Case>> {
    let id = instance(0);
    let case = |name, worker, request| Case {
        name,
        worker,
        requests: vec![request],
        of_a_thousand: 1000,
        is_delivered: false,
    };
    let valid = event(stage, &id, 1200)?;
    let message = stage.key.message("wix.contacts.v4.contact_created", &id, &json!({ "id": id }), 1200)?;
    let (signed, _) = message.rsplit_once('.').context("a message must have three parts")?;
    let other = stage.key.message("AppInstalled", &id, &json!({ "id": id }), 1200)?;
    let (_, signature) = other.rsplit_once('.').context("a message must have three parts")?;
    let forged = webhook(&format!("{signed}.{signature}"), 401);
    let call = stage.key.plugin_call(APP_ID, &id, 2048)?;
    let plugin_call = Request::with_body(
        "POST",
        "/plugins/v1/getRates",
        &[("content-type", "text/plain")],
        Some(call.as_bytes()),
        200,
    );
    let malformed = webhook(&message.replace('.', "_"), 400);
    let hello = Request::new("GET", "/", &[], 200);
    let (path, long_path) = (format!("/v1/instances/{id}/wix/short"), format!("/v1/instances/{id}/wix/long"));
    let (short, long) = (vec![b'y'; 1024], vec![b'y'; LONG]);
    let few =
        |name, worker, path: &str| Case { of_a_thousand: 4, ..case(name, worker, api("POST", path, Some(&long))) };
    Ok(vec![
        case("JS hello", "hello", hello),
        case("JS redirect", "redirect", Request::new("GET", "/install", &[], 302)),
        case("webhook: JS, WebCrypto", "webcrypto", valid.clone()),
        case("webhook: JS, WebCrypto, the same answer and log", "webcrypto-log", valid.clone()),
        case("webhook: jose", "jose", valid.clone()),
        case("webhook: @wix/sdk", "sdk", valid.clone()),
        case("webhook", "edge", valid),
        case("webhook, forged", "edge", forged),
        Case {
            name: DELIVERED,
            worker: "delivering",
            requests: events(stage, delivered)?,
            of_a_thousand: DELIVERED_OF_A_THOUSAND,
            is_delivered: true,
        },
        case("webhook, no JWT", "edge", malformed),
        case("plugin call: jose, 2 kB", "jose-plugin", plugin_call.clone()),
        case("plugin call, 2 kB", "plugins", plugin_call),
        case("install", "edge", Request::new("GET", "/install", &[], 302)),
        case("token from memory", "edge", token(&id)),
        case("healthz", "edge", Request::new("GET", "/healthz", &[], 200)),
        case("instance", "edge", api("GET", &format!("/v1/instances/{id}"), None)),
        case("JS forward, 1 KB", "forward", api("POST", &path, Some(&short))),
        case("proxy, 1 KB", "edge", api("POST", &path, Some(&short))),
        few("JS forward, 10 MB", "forward", &long_path),
        few("proxy, 10 MB", "edge", &long_path),
    ])
}

/// Starts an install flow, and returns its callback for an instance.
pub fn redirect(edge: &Running, id: &str) -> Result<Request> {
    let begun = client::one(&edge.url, &Request::new("GET", "/install", &[], 302))?;
    let location = begun.header("location").context("/install must redirect")?;
    let (_, state) = location.split_once("&state=").context("the redirect must have a state")?;
    let cookie =
        begun.header("set-cookie").and_then(|cookie| cookie.split(';').next()).context("/install must set a cookie")?;
    let path = format!("/redirect?code={id}&instanceId={id}&state={state}");
    Ok(Request::new("GET", &path, &[("cookie", cookie)], 302))
}
