//! Wix, as far as the core sees it: a well-behaved one, with answers put in its mouth where a test wants others.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};

use http::Method;
use serde_json::{Value, json};

use super::Inbound;
use super::world::{APP_ID, INSTANCE, SITE};
use crate::wix::{Body, Forward, Outbound, SendError};

/// A request as Wix got it.
#[derive(Debug, Clone)]
pub struct Sent {
    /// The method.
    pub method: Method,
    /// The whole URL.
    pub url: String,
    /// The `Authorization` header.
    pub authorization: Option<String>,
    /// The body, if it is JSON.
    pub json: Value,
    /// The body of a proxied request.
    pub body: Vec<u8>,
    /// The headers of a proxied request.
    pub headers: Vec<(&'static str, String)>,
    /// Whether it is a proxied one, and its body was handed on unread.
    pub proxied: Option<bool>,
    /// When, in milliseconds of Unix time.
    pub at: u64,
}

impl Sent {
    pub(super) fn new(request: &Outbound<'_>, at: u64) -> Self {
        Self {
            method: request.method.clone(),
            url: request.url.to_owned(),
            authorization: request.authorization.map(str::to_owned),
            json: request.json.map_or(Value::Null, |json| serde_json::from_str(json).expect("a JSON body")),
            body: Vec::new(),
            headers: Vec::new(),
            proxied: None,
            at,
        }
    }

    pub(super) fn forwarded(request: &Forward<'_, Inbound>, at: u64) -> Self {
        let body = match request.body {
            Body::Empty => Vec::new(),
            Body::Buffered(bytes) => bytes.clone(),
            Body::Streamed(inbound, _) => {
                assert!(!inbound.handed_on.replace(true), "a stream is sent once");
                inbound.body.clone()
            }
        };
        Self {
            method: request.method.clone(),
            url: request.url.to_owned(),
            authorization: Some(request.authorization.to_owned()),
            json: serde_json::from_slice(&body).unwrap_or_default(),
            body,
            headers: request.headers.to_vec(),
            proxied: Some(matches!(request.body, Body::Streamed(..))),
            at,
        }
    }

    /// The path.
    pub fn path(&self) -> &str {
        self.url.strip_prefix("https://www.wixapis.com").expect("only Wix's API is asked")
    }
}

/// An answer, or none.
#[derive(Debug, Clone)]
pub struct Canned {
    /// How long it takes, in milliseconds.
    pub delay: u64,
    /// What it is.
    pub result: Result<CannedAnswer, SendError>,
}

/// An answer.
#[derive(Debug, Clone)]
pub struct CannedAnswer {
    /// The status.
    pub status: u16,
    /// `Retry-After`.
    pub retry_after: Option<String>,
    /// The body.
    pub body: String,
    /// Other headers; only those who proxy look at them.
    pub headers: Vec<(String, String)>,
}

impl Canned {
    /// 200 with JSON.
    pub fn ok(body: &Value) -> Self {
        Self::text(200, &body.to_string())
    }

    /// A status with a body.
    pub fn text(status: u16, body: &str) -> Self {
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        Self { delay: 0, result: Ok(CannedAnswer { status, retry_after: None, body: body.to_owned(), headers }) }
    }

    /// A failure in Wix's form.
    pub fn status(status: u16) -> Self {
        Self::text(status, r#"{"message":"scripted","details":{}}"#)
    }

    /// No connection.
    pub fn unreachable() -> Self {
        Self { delay: 0, result: Err(SendError::Unreachable) }
    }

    /// No answer, ever.
    pub fn hang() -> Self {
        Self { delay: u64::MAX, ..Self::unreachable() }
    }

    /// The same, so many milliseconds later.
    pub fn after(mut self, millis: u64) -> Self {
        self.delay = millis;
        self
    }

    /// The same with another header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        if let Ok(answer) = &mut self.result {
            answer.headers.push((name.to_owned(), value.to_owned()));
        }
        self
    }

    /// The same with `Retry-After`.
    pub fn retry_after(mut self, wait: impl std::fmt::Display) -> Self {
        if let Ok(answer) = &mut self.result {
            answer.retry_after = Some(wait.to_string());
        }
        self
    }
}

/// Wix: what it will answer, and what it was asked.
#[derive(Default)]
pub struct WixScript {
    queued: RefCell<HashMap<String, VecDeque<Canned>>>,
    always: RefCell<HashMap<String, Canned>>,
    sent: RefCell<Vec<Sent>>,
    minted: Cell<u32>,
}

impl WixScript {
    /// The next answers at a path, before the usual ones.
    pub fn next(&self, path: &str, answers: impl IntoIterator<Item = Canned>) {
        self.queued.borrow_mut().entry(path.to_owned()).or_default().extend(answers);
    }

    /// The answer at a path from now on.
    pub fn always(&self, path: &str, answer: Canned) {
        self.always.borrow_mut().insert(path.to_owned(), answer);
    }

    /// Well-behaved again.
    pub fn mend(&self) {
        self.queued.take();
        self.always.take();
    }

    /// All requests so far.
    pub fn sent(&self) -> Vec<Sent> {
        self.sent.borrow().clone()
    }

    /// The paths of the requests since the last call.
    pub fn take_paths(&self) -> Vec<String> {
        self.sent.take().iter().map(|sent| sent.path().to_owned()).collect()
    }

    pub(super) fn ask(&self, sent: Sent) -> Canned {
        let path = sent.path().to_owned();
        let proxied = sent.proxied.is_some();
        let grant = sent.json.get("grant_type").and_then(Value::as_str).unwrap_or_default().to_owned();
        self.sent.borrow_mut().push(sent);
        if let Some(canned) = self.queued.borrow_mut().get_mut(&path).and_then(VecDeque::pop_front) {
            return canned;
        }
        if let Some(canned) = self.always.borrow().get(&path) {
            return canned.clone();
        }
        match (path.as_str(), grant.as_str()) {
            ("/oauth2/token", "client_credentials") => Canned::ok(&json!({
                "access_token": format!("OauthNG.JWS.planted-token.{}", self.count()),
                "token_type": "Bearer",
                "expires_in": 14_400,
            })),
            ("/oauth/access", "authorization_code" | "refresh_token") => Canned::ok(&json!({
                "refresh_token": REFRESH_TOKEN,
                "access_token": format!("OAUTH2.planted-token.{}", self.count()),
            })),
            ("/oauth2/token-info", _) => Canned::ok(&token_info()),
            ("/apps/v1/bi-event", _) => Canned::ok(&json!({})),
            ("/apps/v1/instance", _) if !proxied => Canned::ok(&json!({"instance": {"instanceId": INSTANCE}})),
            _ if proxied => Canned::ok(&json!({"answered": path})),
            _ => panic!("Wix is asked for {path} {grant}"),
        }
    }

    fn count(&self) -> u32 {
        self.minted.set(self.minted.get() + 1);
        self.minted.get()
    }
}

/// The refresh token that the well-behaved Wix gives.
pub const REFRESH_TOKEN: &str = "OAUTH2.planted-refresh-token";

/// Token Info's answer for the instance of the tests.
pub fn token_info() -> Value {
    json!({
        "active": true,
        "subjectType": "APP",
        "subjectId": APP_ID,
        "exp": 1_767_240_000,
        "iat": 1_767_225_600,
        "clientId": APP_ID,
        "siteId": SITE,
        "instanceId": INSTANCE,
    })
}
