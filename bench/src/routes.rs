//! The cases, each with its requests to one Worker, and the comparisons.

use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::client::{self, Request};
use crate::stage::{API_KEY, APP_ID, OURS, Running, Stage, instance};
use crate::upstream::LONG;

/// A case: requests of one kind to one Worker.
pub struct Case {
    /// Its name.
    pub name: &'static str,
    /// The name of its Worker: see [`Stage::worker`].
    pub worker: &'static str,
    /// The requests.
    pub requests: Requests,
    /// The number of requests per thousand: fewer for a slow case.
    pub of_a_thousand: usize,
}

/// The requests of a case.
pub enum Requests {
    /// The client cycles through these.
    Repeated(Vec<Request>),
    /// Each request is sent once, and its event delivered.
    Fresh(fn(&Stage) -> Result<Request>),
}

impl Case {
    /// One of its requests.
    pub fn request(&self, stage: &Stage) -> Result<Request> {
        match &self.requests {
            Requests::Repeated(requests) => requests.first().cloned().context("a case must have a request"),
            Requests::Fresh(make) => make(stage),
        }
    }

    /// Whether its events are delivered.
    pub fn is_delivered(&self) -> bool {
        matches!(self.requests, Requests::Fresh(_))
    }

    /// Whether it is a case of wix-edge.
    pub fn is_ours(&self) -> bool {
        OURS.contains(&self.worker)
    }
}

/// How many instances are installed. The proxied calls are spread over them, so that none exceeds `WIX_RATE_LIMIT`.
pub const INSTALLED: usize = 10;
/// How many installations the delivered events belong to.
const INSTALLATIONS: usize = 50;

/// What a comparison says.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The peer does the same work: the same checks, headers, request id and log line.
    SameWork,
    /// The peer does less.
    LowerBound,
    /// Both cases are wix-edge's.
    Own,
    /// The case is compared with a figure.
    Limit,
}

impl Kind {
    /// The name in the table.
    pub fn text(self) -> &'static str {
        match self {
            Self::SameWork => "same",
            Self::LowerBound => "less: a lower bound",
            Self::Own => "our own",
            Self::Limit => "a limit",
        }
    }

    /// Of results from before there were peers with the same work.
    pub fn lower_bound() -> Self {
        Self::LowerBound
    }
}

/// A comparison of two cases, with its goal.
pub struct Comparison {
    /// The case.
    pub case: &'static str,
    /// The case that it is compared with.
    pub beside: &'static str,
    /// What it says.
    pub kind: Kind,
    /// The largest ratio that meets the goal.
    pub goal: Option<f64>,
}

/// Cases that are not measured: the peers with the same work must refuse a forged message too.
pub const FORGED: [&str; 4] = [
    "webhook, forged: @wix/sdk, same work",
    "webhook, forged: jose, same work",
    "webhook, forged: hono, same work",
    "webhook, forged: JS and object, same work",
];

const fn same_work(case: &'static str, beside: &'static str, goal: Option<f64>) -> Comparison {
    Comparison { case, beside, kind: Kind::SameWork, goal }
}

const fn lower_bound(case: &'static str, beside: &'static str) -> Comparison {
    Comparison { case, beside, kind: Kind::LowerBound, goal: None }
}

/// The comparisons, in the order of the table.
pub const COMPARISONS: &[Comparison] = &[
    same_work("webhook", "webhook: JS by hand, same work", Some(1.0)),
    same_work("webhook", "webhook: @wix/sdk, same work", Some(0.85)),
    same_work("webhook", "webhook: jose, same work", None),
    same_work("webhook", "webhook: hono, same work", None),
    same_work("webhook, delivered", "webhook, delivered: JS and object, same work", Some(1.1)),
    same_work("webhook, forged", "webhook, forged: JS by hand, same work", Some(1.0)),
    same_work("webhook, no JWT", "webhook, no JWT: JS by hand, same work", Some(1.0)),
    same_work("install", "install: JS by hand, same work", Some(1.15)),
    same_work("token from memory", "token from memory: JS by hand, same work", Some(1.15)),
    same_work("proxy, 1 KB", "proxy, 1 KB: JS with replay, same work", Some(1.25)),
    same_work("proxy, 10 MB", "proxy, 10 MB: JS with replay, same work", Some(1.05)),
    same_work("plugin call, 2 kB", "plugin call, 2 kB: jose, same work", Some(1.0)),
    lower_bound("webhook", "webhook: JS, WebCrypto"),
    lower_bound("webhook", "webhook: jose"),
    lower_bound("webhook", "webhook: @wix/sdk"),
    lower_bound("webhook, no JWT", "JS hello"),
    lower_bound("plugin call, 2 kB", "plugin call: jose, 2 kB"),
    lower_bound("install", "JS redirect"),
    lower_bound("token from memory", "JS hello"),
    lower_bound("proxy, 1 KB", "JS forward, 1 KB"),
    lower_bound("proxy, 10 MB", "JS forward, 10 MB"),
    lower_bound("healthz", "JS hello"),
    lower_bound("instance", "JS hello"),
    Comparison { case: "webhook, forged", beside: "webhook", kind: Kind::Own, goal: None },
    Comparison { case: "webhook, delivered", beside: "webhook", kind: Kind::Own, goal: None },
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

/// An event that no other request has.
fn fresh_event(stage: &Stage) -> Result<Request> {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let (id, data) = (instance(number % INSTALLATIONS), json!({ "number": number }));
    Ok(webhook(&stage.key.message("wix.contacts.v4.contact_created", &id, &data, 1200)?, 200))
}

/// All cases.
pub fn cases(stage: &Stage) -> Result<Vec<Case>> {
    let id = instance(0);
    let case = |name, worker, request: &Request| Case {
        name,
        worker,
        requests: Requests::Repeated(vec![request.clone()]),
        of_a_thousand: 1000,
    };
    let fresh = |name, worker| Case { name, worker, requests: Requests::Fresh(fresh_event), of_a_thousand: 100 };
    let valid = &event(stage, &id, 1200)?;
    let message = stage.key.message("wix.contacts.v4.contact_created", &id, &json!({ "id": id }), 1200)?;
    let (signed, _) = message.rsplit_once('.').context("a message must have three parts")?;
    let other = stage.key.message("AppInstalled", &id, &json!({ "id": id }), 1200)?;
    let (_, signature) = other.rsplit_once('.').context("a message must have three parts")?;
    let forged = &webhook(&format!("{signed}.{signature}"), 401);
    let call = stage.key.plugin_call(APP_ID, &id, 2048)?;
    let plugin_call = &Request::with_body(
        "POST",
        "/plugins/v1/getRates",
        &[("content-type", "text/plain")],
        Some(call.as_bytes()),
        200,
    );
    let malformed = &webhook(&message.replace('.', "_"), 400);
    let hello = &Request::new("GET", "/", &[], 200);
    let install = &Request::new("GET", "/install", &[], 302);
    let token = &token(&id);
    let proxied = |number, path: &str, body: &[u8]| {
        api("POST", &format!("/v1/instances/{}/wix/{path}", instance(number)), Some(body))
    };
    let short: Vec<Request> = (0..INSTALLED).map(|number| proxied(number, "short", &[b'y'; 1024])).collect();
    let short = |name, worker| Case { requests: Requests::Repeated(short.clone()), ..case(name, worker, hello) };
    let long = &proxied(0, "long", &vec![b'y'; LONG]);
    let few = |name, worker, request| Case { of_a_thousand: 4, ..case(name, worker, request) };
    Ok(vec![
        case("webhook", "edge", valid),
        case("webhook: JS by hand, same work", "same/webhook", valid),
        case("webhook: @wix/sdk, same work", "same/webhook-sdk", valid),
        case("webhook: jose, same work", "same/webhook-jose", valid),
        case("webhook: hono, same work", "same/webhook-hono", valid),
        case("webhook: JS, WebCrypto", "webcrypto", valid),
        case("webhook: jose", "jose", valid),
        case("webhook: @wix/sdk", "sdk", valid),
        fresh("webhook, delivered", "delivering"),
        fresh("webhook, delivered: JS and object, same work", "same/delivery"),
        case("webhook, forged", "edge", forged),
        case("webhook, forged: JS by hand, same work", "same/webhook", forged),
        case("webhook, forged: @wix/sdk, same work", "same/webhook-sdk", forged),
        case("webhook, forged: jose, same work", "same/webhook-jose", forged),
        case("webhook, forged: hono, same work", "same/webhook-hono", forged),
        case("webhook, forged: JS and object, same work", "same/delivery", forged),
        case("webhook, no JWT", "edge", malformed),
        case("webhook, no JWT: JS by hand, same work", "same/webhook", malformed),
        case("install", "edge", install),
        case("install: JS by hand, same work", "same/install", install),
        case("JS redirect", "redirect", install),
        case("token from memory", "edge", token),
        case("token from memory: JS by hand, same work", "same/token", token),
        short("proxy, 1 KB", "edge"),
        short("proxy, 1 KB: JS with replay, same work", "same/proxy"),
        short("JS forward, 1 KB", "forward"),
        few("proxy, 10 MB", "edge", long),
        few("proxy, 10 MB: JS with replay, same work", "same/proxy", long),
        few("JS forward, 10 MB", "forward", long),
        case("plugin call, 2 kB", "plugins", plugin_call),
        case("plugin call, 2 kB: jose, same work", "same/plugin", plugin_call),
        case("plugin call: jose, 2 kB", "jose-plugin", plugin_call),
        case("healthz", "edge", &Request::new("GET", "/healthz", &[], 200)),
        case("instance", "edge", &api("GET", &format!("/v1/instances/{id}"), None)),
        case("JS hello", "hello", hello),
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
