//! An isolate on the fake platform, and requests to it.

use std::future::Future;
use std::rc::Rc;

use futures::future::join_all;
use http::Method;
use serde_json::Value;
use url::Url;

use super::object::FakeObjects;
use super::{Fake, Inbound, jws};
use crate::config::{Binding, Config};
use crate::routes::{Found, openapi::conformance};
use crate::values::Fault;
use crate::web::{Body, Request};
use crate::{Shared, handle, scheduled};

/// The app's id.
pub const APP_ID: &str = "11111111-2222-4333-8444-555555555555";
/// The instance of the tests.
pub const INSTANCE: &str = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee";
/// Another instance of the same app.
pub const VICTIM: &str = "bbbbbbbb-bbbb-4ccc-8ddd-eeeeeeeeeeee";
/// The site of [`INSTANCE`].
pub const SITE: &str = "12121212-3434-4565-8787-909090909090";
/// The app secret.
pub const APP_SECRET: &str = "99999999-8888-4777-8666-555555555555";
/// The API key of the client `full`, which has every scope.
pub const API_KEY: &str = "planted-api-key-of-the-tests";
/// A sealing key in base64.
pub const SEALING_KEY: &str = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";
/// The value of a binding that is not a text, such as a KV namespace.
pub const BOUND: &str = "(bound)";
/// The values of a configuration that delivers events.
pub const DELIVERING: [(&str, &str); 3] = [
    ("INSTALLATIONS", BOUND),
    ("EVENTS_URL", "https://back-end.example/events"),
    ("EVENTS_SECRETS", "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"),
];
/// The values of a configuration that forwards service plugin calls.
pub const PLUGINS: [(&str, &str); 2] = [
    ("PLUGINS_URL", "https://back-end.example/plugins/"),
    ("EVENTS_SECRETS", "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"),
];
/// The origin of the Worker.
pub const ORIGIN: &str = "https://app.example";

/// Parses a valid configuration in which `changes` replace values. An empty value removes one.
pub fn config(changes: &[(&str, &str)]) -> Result<Config, Vec<Fault>> {
    let usual = [
        ("INSTANCES", BOUND.to_owned()),
        ("WIX_APP_ID", APP_ID.to_owned()),
        ("WIX_PUBLIC_KEYS", jws::PUBLIC_KEY.to_owned()),
        ("WIX_APP_SECRET", APP_SECRET.to_owned()),
        ("SEALING_KEYS", format!("k1:{SEALING_KEY}")),
        // Only tests of the reconciliation compare installations with Wix.
        ("RECHECK_HOURS", "0".to_owned()),
        ("API_KEYS", format!("full:{}:token+instances+events+proxy+admin", sha256_hex(API_KEY))),
    ];
    let lookup = |name: &str| {
        let replaced = changes.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        let value = replaced.or_else(|| usual.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone()));
        match value {
            Some(value) if value == BOUND => Binding::Object,
            value => value.map_or(Binding::Missing, Binding::Text),
        }
    };
    Config::parse(lookup)
}

/// A hash as `API_KEYS` takes it.
pub fn sha256_hex(text: &str) -> String {
    use sha2::Digest as _;
    base16ct::lower::encode_string(&sha2::Sha256::digest(text))
}

/// One isolate, with the platform that it runs on.
pub struct World {
    /// KV, Wix, clock and log.
    pub fake: Fake,
    shared: Shared,
}

impl World {
    /// An isolate with the usual configuration and an empty KV.
    pub fn new() -> Self {
        Self::with(&[])
    }

    /// An isolate in whose configuration some values are replaced.
    pub fn with(changes: &[(&str, &str)]) -> Self {
        Self { fake: Fake::default(), shared: Shared::new(config(changes)) }
    }

    /// An isolate that delivers events, with real objects.
    pub fn delivering() -> Self {
        Self::delivering_with(&[])
    }

    /// The same, with further changes of the configuration.
    pub fn delivering_with(changes: &[(&str, &str)]) -> Self {
        let changes = [changes, &DELIVERING].concat();
        let world = Self::with(&changes);
        world.fake.use_objects(Some(FakeObjects::new(Rc::new(Shared::new(config(&changes))))));
        world
    }

    /// Another isolate on the same platform: with the same KV and the same Wix, and empty caches.
    pub fn isolate(&self, changes: &[(&str, &str)]) -> Self {
        Self { fake: self.fake.clone(), shared: Shared::new(config(changes)) }
    }

    /// Isolate and objects with another configuration, on the same platform and storage.
    pub fn redeployed(&self, changes: &[(&str, &str)]) -> Self {
        let changes = [changes, &DELIVERING].concat();
        self.fake.configure_objects(Rc::new(Shared::new(config(&changes))));
        self.isolate(&changes)
    }

    /// The time, in seconds of Unix time.
    pub fn now(&self) -> u64 {
        self.fake.clock().now() / 1000
    }

    /// A request.
    pub fn call(&self, method: Method, path: &str) -> TestRequest<'_> {
        let url = format!("{ORIGIN}{path}");
        TestRequest { world: self, method, url, inbound: Inbound::default(), without_deferred_task: false }
    }

    /// A GET request.
    pub fn get(&self, path: &str) -> TestRequest<'_> {
        self.call(Method::GET, path)
    }

    /// A GET request to another origin of the Worker.
    pub fn get_at(&self, origin: &str, path: &str) -> TestRequest<'_> {
        TestRequest { url: format!("{origin}{path}"), ..self.get(path) }
    }

    /// A POST request.
    pub fn post(&self, path: &str) -> TestRequest<'_> {
        self.call(Method::POST, path)
    }

    /// Sends a webhook.
    pub fn webhook(&self, body: impl Into<Vec<u8>>) -> TestResponse {
        self.post("/webhook").body(body).send()
    }

    /// Requests a token as the app's back end does.
    pub fn token(&self, instance: &str) -> TestResponse {
        self.post(&format!("/v1/instances/{instance}/token")).key(API_KEY).send()
    }

    /// Requests an instance as the app's back end does.
    pub fn instance(&self, instance: &str) -> Value {
        self.get(&format!("/v1/instances/{instance}")).key(API_KEY).send().json()
    }

    /// Sends requests concurrently.
    pub fn send_all<'a>(&'a self, requests: impl IntoIterator<Item = TestRequest<'a>>) -> Vec<TestResponse> {
        self.fake.clock().run(join_all(requests.into_iter().map(TestRequest::send_async)))
    }

    /// Runs the Cron Trigger.
    pub fn cron(&self) {
        self.fake.clock().run(scheduled(self.fake.clone(), &self.shared));
    }

    /// Begins an install flow. Returns the state, and the cookie as the browser sends it back.
    pub fn begin_install(&self) -> (String, String) {
        let response = self.get("/install?token=planted-install-token").send();
        assert_eq!(response.status, 302, "{}", response.body);
        let location = Url::parse(response.header("location")).expect("a URL");
        let (_, state) = location.query_pairs().find(|(name, _)| name == "state").expect("a state");
        let cookie = response.header("set-cookie").split(';').next().expect("a cookie").to_owned();
        (state.into_owned(), cookie)
    }

    /// The request with which Wix ends the flow.
    pub fn callback(&self, state: &str, cookie: &str, instance: &str) -> TestRequest<'_> {
        self.get(&format!("/redirect?code=planted-code&state={state}&instanceId={instance}")).header("cookie", cookie)
    }

    /// Goes through the whole install flow.
    pub fn connect(&self) -> TestResponse {
        let (state, cookie) = self.begin_install();
        self.callback(&state, &cookie, INSTANCE).send()
    }
}

/// A request that has not been sent.
pub struct TestRequest<'a> {
    world: &'a World,
    method: Method,
    url: String,
    inbound: Inbound,
    without_deferred_task: bool,
}

impl TestRequest<'_> {
    /// Adds a header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.inbound.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Adds an API key.
    pub fn key(self, key: &str) -> Self {
        self.header("authorization", &format!("Bearer {key}"))
    }

    /// Adds a body.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.inbound.body = body.into();
        self
    }

    /// Sends the body without a length.
    pub fn chunked(mut self) -> Self {
        self.inbound.chunked = true;
        self
    }

    /// Breaks the connection while the body is read.
    pub fn broken(mut self) -> Self {
        self.inbound.broken = true;
        self
    }

    /// Lets the client leave after so many parts of the response.
    pub fn leaving_after(mut self, parts: usize) -> Self {
        self.inbound.leaves_after = Some(parts);
        self
    }

    /// Sends the request without its deferred task, as where the runtime ends the isolate after the response.
    pub fn without_deferred_task(mut self) -> Self {
        self.without_deferred_task = true;
        self
    }

    /// Sends the request, and runs the clock until its deferred task has ended.
    pub fn send(self) -> TestResponse {
        let fake = self.world.fake.clone();
        fake.clock().run(self.send_async())
    }

    /// Sends the request, and then runs its deferred task.
    pub fn send_async(self) -> impl Future<Output = TestResponse> {
        let Self { world, method, url, inbound, without_deferred_task } = self;
        async move {
            let request = Request::new(method.clone(), url, inbound);
            let found = Found::<Fake>::of(&request.segments());
            let started = world.fake.clock().now();
            let answered = Box::pin(handle(world.fake.clone(), &world.shared, request)).await;
            let took = world.fake.clock().now() - started;
            let has_deferred_task = answered.follow_up.is_some();
            if let Some(work) = answered.follow_up.filter(|_| !without_deferred_task) {
                Box::pin(work.run()).await;
            }
            let reply = answered.reply;
            let headers: Vec<_> = reply.headers.into_iter().map(|(name, value)| (name, value.into_owned())).collect();
            let body = match reply.body {
                Body::Empty => String::new(),
                Body::Text(text) => text,
                Body::Stream(written) => written.text(),
            };
            if let Found::Route(_, rows) = found
                && let Some(route) = rows.iter().find(|route| route.methods.contains(&method))
            {
                conformance::check(route, &method, reply.status.as_u16(), &headers, &body);
            }
            TestResponse { status: reply.status.as_u16(), headers, body, took, has_deferred_task }
        }
    }
}

/// A response.
#[derive(Debug, Clone)]
pub struct TestResponse {
    /// The status.
    pub status: u16,
    /// The headers, in order.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: String,
    /// The time until the response, in milliseconds.
    pub took: u64,
    /// Whether the request left a deferred task.
    pub has_deferred_task: bool,
}

impl TestResponse {
    /// The value of a header that must occur once.
    pub fn header(&self, name: &str) -> &str {
        let mut values = self.headers.iter().filter(|(known, _)| *known == name);
        let (_, value) = values.next().unwrap_or_else(|| panic!("no {name} in {:?}", self.headers));
        assert!(values.next().is_none(), "{name} occurs twice");
        value
    }

    /// Whether the response has a header.
    pub fn has(&self, name: &str) -> bool {
        self.headers.iter().any(|(known, _)| *known == name)
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("not JSON: {}", self.body))
    }

    /// The status, and the code in the body.
    pub fn problem(&self) -> (u16, String) {
        (self.status, self.json()["code"].as_str().unwrap_or_default().to_owned())
    }

    /// The access token of a response with status 200.
    pub fn access_token(&self) -> String {
        assert_eq!(self.status, 200, "{}", self.body);
        self.json()["access_token"].as_str().expect("a token").to_owned()
    }
}
