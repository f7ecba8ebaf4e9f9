//! An isolate on the fake platform, and requests to it.

use std::future::Future;

use futures::future::join_all;
use http::Method;
use serde_json::Value;
use url::Url;

use super::{Fake, Inbound, jws};
use crate::config::{Binding, Config};
use crate::routes::{Found, openapi::conformance};
use crate::values::Fault;
use crate::web::{Body, Request};
use crate::{Shared, handle, scheduled};

/// The app.
pub const APP_ID: &str = "11111111-2222-4333-8444-555555555555";
/// The instance that the well-behaved Wix knows.
pub const INSTANCE: &str = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee";
/// Another one.
pub const VICTIM: &str = "bbbbbbbb-bbbb-4ccc-8ddd-eeeeeeeeeeee";
/// Its site.
pub const SITE: &str = "12121212-3434-4565-8787-909090909090";
/// The app secret.
pub const APP_SECRET: &str = "99999999-8888-4777-8666-555555555555";
/// The key of `full`, for all scopes.
pub const API_KEY: &str = "planted-api-key-of-the-tests";
/// The base64 of a sealing key.
pub const SEALING_KEY: &str = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";
/// Where the tests' Worker is.
pub const ORIGIN: &str = "https://app.example";

/// A configuration without a fault; `changes` replace values, an empty one takes a value away.
pub fn config(changes: &[(&str, &str)]) -> Result<Config, Vec<Fault>> {
    let usual = [
        ("WIX_APP_ID", APP_ID.to_owned()),
        ("WIX_PUBLIC_KEYS", jws::PUBLIC_KEY.to_owned()),
        ("WIX_APP_SECRET", APP_SECRET.to_owned()),
        ("SEALING_KEYS", format!("k1:{SEALING_KEY}")),
        ("API_KEYS", format!("full:{}:token+instances+events+proxy+admin", sha256_hex(API_KEY))),
    ];
    let lookup = |name: &str| {
        let replaced = changes.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        let value = replaced.or_else(|| usual.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone()));
        value.map_or(Binding::Missing, Binding::Text)
    };
    Config::parse(lookup, true)
}

/// As in `API_KEYS`.
pub fn sha256_hex(text: &str) -> String {
    use sha2::Digest as _;
    crate::values::hex(&sha2::Sha256::digest(text))
}

/// One isolate, and the world around it.
pub struct World {
    /// KV, Wix, clock and log.
    pub fake: Fake,
    shared: Shared,
}

impl World {
    /// With the usual configuration.
    pub fn new() -> Self {
        Self::with(&[])
    }

    /// With some values changed.
    pub fn with(changes: &[(&str, &str)]) -> Self {
        Self { fake: Fake::default(), shared: Shared::new(config(changes)) }
    }

    /// Another isolate in the same world: same KV, same Wix, nothing remembered.
    pub fn isolate(&self, changes: &[(&str, &str)]) -> Self {
        Self { fake: self.fake.clone(), shared: Shared::new(config(changes)) }
    }

    /// Seconds of Unix time.
    pub fn now(&self) -> u64 {
        self.fake.clock().now() / 1000
    }

    /// A request.
    pub fn call(&self, method: Method, path: &str) -> Ask<'_> {
        let url = format!("{ORIGIN}{path}");
        Ask { world: self, method, url, inbound: Inbound::default(), alone: false }
    }

    /// A GET request.
    pub fn get(&self, path: &str) -> Ask<'_> {
        self.call(Method::GET, path)
    }

    /// A GET request to another origin of the Worker.
    pub fn get_at(&self, origin: &str, path: &str) -> Ask<'_> {
        Ask { url: format!("{origin}{path}"), ..self.get(path) }
    }

    /// A POST request.
    pub fn post(&self, path: &str) -> Ask<'_> {
        self.call(Method::POST, path)
    }

    /// A webhook.
    pub fn webhook(&self, body: impl Into<Vec<u8>>) -> Answer {
        self.post("/webhook").body(body).answer()
    }

    /// The app's back end wants a token.
    pub fn token(&self, instance: &str) -> Answer {
        self.post(&format!("/v1/instances/{instance}/token")).key(API_KEY).answer()
    }

    /// The app's back end wants to know an instance.
    pub fn instance(&self, instance: &str) -> Value {
        self.get(&format!("/v1/instances/{instance}")).key(API_KEY).answer().json()
    }

    /// Many requests at once.
    pub fn all<'a>(&'a self, asks: impl IntoIterator<Item = Ask<'a>>) -> Vec<Answer> {
        self.fake.clock().run(join_all(asks.into_iter().map(Ask::send)))
    }

    /// The Cron Trigger.
    pub fn cron(&self) {
        self.fake.clock().run(scheduled(self.fake.clone(), &self.shared));
    }

    /// Begins an install flow: the state, and the cookie as the browser sends it back.
    pub fn begin_install(&self) -> (String, String) {
        let answer = self.get("/install?token=planted-install-token").answer();
        assert_eq!(answer.status, 302, "{}", answer.body);
        let location = Url::parse(answer.header("location")).expect("a URL");
        let (_, state) = location.query_pairs().find(|(name, _)| name == "state").expect("a state");
        let cookie = answer.header("set-cookie").split(';').next().expect("a cookie").to_owned();
        (state.into_owned(), cookie)
    }

    /// What comes back from Wix at the end of the flow.
    pub fn callback(&self, state: &str, cookie: &str, instance: &str) -> Ask<'_> {
        self.get(&format!("/redirect?code=planted-code&state={state}&instanceId={instance}")).header("cookie", cookie)
    }

    /// The whole flow.
    pub fn connect(&self) -> Answer {
        let (state, cookie) = self.begin_install();
        self.callback(&state, &cookie, INSTANCE).answer()
    }
}

/// A request that has not been sent.
pub struct Ask<'a> {
    world: &'a World,
    method: Method,
    url: String,
    inbound: Inbound,
    alone: bool,
}

impl Ask<'_> {
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

    /// Leaves the work after the answer undone.
    pub fn alone(mut self) -> Self {
        self.alone = true;
        self
    }

    /// Sends it, by itself.
    pub fn answer(self) -> Answer {
        let clock = self.world.fake.clone();
        clock.clock().run(self.send())
    }

    /// Sends it, and does the work after the answer.
    pub fn send(self) -> impl Future<Output = Answer> {
        let Self { world, method, url, inbound, alone } = self;
        async move {
            let request = Request::new(method.clone(), &url, inbound).expect("a URL");
            let found = Found::<Fake>::of(&request.segments());
            let started = world.fake.clock().now();
            let answered = Box::pin(handle(world.fake.clone(), &world.shared, request)).await;
            let took = world.fake.clock().now() - started;
            let follow_up = answered.follow_up.is_some();
            if let Some(work) = answered.follow_up.filter(|_| !alone) {
                Box::pin(work.run()).await;
            }
            let reply = answered.reply;
            let headers: Vec<_> = reply.headers.into_iter().map(|(name, value)| (name, value.into_owned())).collect();
            let body = match reply.body {
                Body::Empty => String::new(),
                Body::Text(text) => text,
                Body::Stream(bytes) => String::from_utf8(bytes).expect("text"),
            };
            if let Found::Route(route) = found {
                conformance::check(route, &method, reply.status.as_u16(), &headers, &body);
            }
            Answer { status: reply.status.as_u16(), headers, body, took, follow_up }
        }
    }
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers, in order.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: String,
    /// Milliseconds until it was there.
    pub took: u64,
    /// Whether there was work to do after it.
    pub follow_up: bool,
}

impl Answer {
    /// A header that must be there once.
    pub fn header(&self, name: &str) -> &str {
        let mut values = self.headers.iter().filter(|(known, _)| *known == name);
        let (_, value) = values.next().unwrap_or_else(|| panic!("no {name} in {:?}", self.headers));
        assert!(values.next().is_none(), "{name} is there twice");
        value
    }

    /// Whether a header is there.
    pub fn has(&self, name: &str) -> bool {
        self.headers.iter().any(|(known, _)| *known == name)
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("{} is no JSON", self.body))
    }

    /// Status and the problem's code.
    pub fn problem(&self) -> (u16, String) {
        (self.status, self.json()["code"].as_str().unwrap_or_default().to_owned())
    }

    /// The access token of a token answer.
    pub fn access_token(&self) -> String {
        assert_eq!(self.status, 200, "{}", self.body);
        self.json()["access_token"].as_str().expect("a token").to_owned()
    }
}
