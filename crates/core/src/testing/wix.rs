//! Wix as the core sees it. Every request succeeds, unless a test scripts another response.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};

use http::Method;
use serde_json::{Value, json};

use super::Inbound;
use super::world::{APP_ID, INSTANCE, SITE};
use crate::wix::{Body, Forward, Outbound, SendError};

/// A request that Wix received.
#[derive(Debug, Clone)]
pub struct Sent {
    /// The method.
    pub method: Method,
    /// The whole URL.
    pub url: String,
    /// The header `Authorization`.
    pub authorization: Option<String>,
    /// The body where it is JSON, else null.
    pub json: Value,
    /// The body of a forwarded request.
    pub body: Vec<u8>,
    /// The headers of a forwarded request.
    pub headers: Vec<(&'static str, String)>,
    /// Whether the body of a forwarded request was streamed. `None` for the Worker's own requests.
    pub streamed: Option<bool>,
    /// The time at which it was sent, in milliseconds of Unix time.
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
            streamed: None,
            at,
        }
    }

    pub(super) fn forwarded(request: &Forward<'_, Inbound>, at: u64) -> Self {
        let body = match request.body {
            Body::Empty => Vec::new(),
            Body::Buffered(bytes) => bytes.clone(),
            Body::Streamed(inbound, _) => {
                assert!(!inbound.streamed.replace(true), "a stream must be sent once");
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
            streamed: Some(matches!(request.body, Body::Streamed(..))),
            at,
        }
    }

    /// The path.
    pub fn path(&self) -> &str {
        self.url.strip_prefix("https://www.wixapis.com").expect("the host must be that of Wix's API")
    }
}

/// A scripted result of a request: a response, or none.
#[derive(Debug, Clone)]
pub struct Canned {
    /// The time until the result, in milliseconds.
    pub delay: u64,
    /// The result.
    pub result: Result<CannedResponse, SendError>,
}

/// A scripted response.
#[derive(Debug, Clone)]
pub struct CannedResponse {
    /// The status.
    pub status: u16,
    /// The header `Retry-After`.
    pub retry_after: Option<String>,
    /// The body.
    pub body: String,
    /// The other headers, which only forwarded requests show.
    pub headers: Vec<(String, String)>,
}

impl Canned {
    /// A response of status 200 with a JSON body.
    pub fn ok(body: &Value) -> Self {
        Self::text(200, &body.to_string())
    }

    /// A response of a status with a body.
    pub fn text(status: u16, body: &str) -> Self {
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        Self { delay: 0, result: Ok(CannedResponse { status, retry_after: None, body: body.to_owned(), headers }) }
    }

    /// A response of a status with a JSON error of Wix.
    pub fn status(status: u16) -> Self {
        Self::text(status, r#"{"message":"scripted","details":{}}"#)
    }

    /// A connection that fails.
    pub fn unreachable() -> Self {
        Self { delay: 0, result: Err(SendError::Unreachable) }
    }

    /// No response before any timeout.
    pub fn hang() -> Self {
        Self { delay: u64::MAX, ..Self::unreachable() }
    }

    /// Delays the result by so many milliseconds.
    pub fn after(mut self, millis: u64) -> Self {
        self.delay = millis;
        self
    }

    /// Adds a header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        if let Ok(response) = &mut self.result {
            response.headers.push((name.to_owned(), value.to_owned()));
        }
        self
    }

    /// Adds the header `Retry-After`.
    pub fn retry_after(mut self, wait: impl std::fmt::Display) -> Self {
        if let Ok(response) = &mut self.result {
            response.retry_after = Some(wait.to_string());
        }
        self
    }
}

/// Wix: its scripted responses, and the requests that it received.
#[derive(Default)]
pub struct WixScript {
    queued: RefCell<HashMap<String, VecDeque<Canned>>>,
    always: RefCell<HashMap<String, Canned>>,
    sent: RefCell<Vec<Sent>>,
    issued: Cell<u32>,
}

impl WixScript {
    /// Queues responses for a path. When they are used up, the usual response follows.
    pub fn queue(&self, path: &str, responses: impl IntoIterator<Item = Canned>) {
        self.queued.borrow_mut().entry(path.to_owned()).or_default().extend(responses);
    }

    /// Sets the usual response of a path.
    pub fn always(&self, path: &str, response: Canned) {
        self.always.borrow_mut().insert(path.to_owned(), response);
    }

    /// Removes all scripted responses.
    pub fn clear_script(&self) {
        self.queued.take();
        self.always.take();
    }

    /// The requests since their paths were last taken.
    pub fn sent(&self) -> Vec<Sent> {
        self.sent.borrow().clone()
    }

    /// Removes the requests, and returns their paths.
    pub fn take_paths(&self) -> Vec<String> {
        self.sent.take().iter().map(|sent| sent.path().to_owned()).collect()
    }

    /// Records a request, and returns its result.
    pub(super) fn respond(&self, sent: Sent) -> Canned {
        let path = sent.path().to_owned();
        let is_forwarded = sent.streamed.is_some();
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
                "access_token": format!("OauthNG.JWS.planted-token.{}", self.next_token()),
                "token_type": "Bearer",
                "expires_in": 14_400,
            })),
            ("/oauth/access", "authorization_code" | "refresh_token") => Canned::ok(&json!({
                "refresh_token": REFRESH_TOKEN,
                "access_token": format!("OAUTH2.planted-token.{}", self.next_token()),
            })),
            ("/oauth2/token-info", _) => Canned::ok(&token_info()),
            ("/apps/v1/bi-event", _) => Canned::ok(&json!({})),
            ("/apps/v1/instance", _) if !is_forwarded => Canned::ok(&json!({"instance": {"instanceId": INSTANCE}})),
            _ if is_forwarded => Canned::ok(&json!({"answered": path})),
            _ => panic!("a request without a scripted response: {path} {grant}"),
        }
    }

    /// The number of the next access token.
    fn next_token(&self) -> u32 {
        self.issued.set(self.issued.get() + 1);
        self.issued.get()
    }
}

/// The refresh token in the response to a code.
pub const REFRESH_TOKEN: &str = "OAUTH2.planted-refresh-token";

/// Token info for a token of the tests' instance.
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
