//! A platform on which no future waits. It returns fixed values, and panics on an operation that KV would refuse.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use crate::crypto::{Crypto, PublicKey, SealingKey};
use futures::future::try_join_all;

use crate::delivery::{BackEnd, Event, ObjectError, Objects, Post, requests};
use crate::runtime::{Clock, Entropy, Level, Log, PlatformError, Point, Signal};
use crate::store::{KvKey, KvNamespace, KvOptions, KvPage};
use crate::values::Timestamp;
use crate::web::{BodyError, Requests};
use crate::wix::{Body, Fetch, Forward, Forwarded, HeldJws, JwsLimits, Outbound, Response, SendError};

/// The stub's time: 2026-01-01T00:00:00Z.
pub const NOW: Timestamp = Timestamp(1_767_225_600);
/// The cursor of its listings.
pub const CURSOR: &str = "next";
/// The tag of an origin in a state.
pub const HERE: [u8; 4] = *b"here";

/// The platform. Clones share one state.
#[derive(Clone)]
pub struct Stub(Rc<Inner>);

struct Inner {
    genuine: bool,
    slept_millis: Cell<u64>,
    value: Option<String>,
    listed: Option<(String, String)>,
    response: (u16, Vec<u8>),
    log: RefCell<String>,
}

/// A request's headers and body.
#[derive(Default)]
pub struct Inbound {
    /// The headers, with names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Stub {
    /// A platform that takes every signature and every sealed value for genuine, or none. Its KV is empty, and Wix
    /// responds with an empty object.
    pub fn new(genuine: bool) -> Self {
        let response = (200, b"{}".to_vec());
        Self(Rc::new(Inner {
            genuine,
            slept_millis: Cell::default(),
            value: None,
            listed: None,
            response,
            log: RefCell::default(),
        }))
    }

    /// Stores one value under every key.
    pub fn holding(self, value: &str) -> Self {
        self.change(|inner| inner.value = Some(value.to_owned()))
    }

    /// Shows one key in every listing: the prefix with `rest` after it, and its metadata.
    pub fn listing(self, rest: &str, metadata: &str) -> Self {
        self.change(|inner| inner.listed = Some((rest.to_owned(), metadata.to_owned())))
    }

    /// Lets Wix respond to every request with this.
    pub fn responding(self, status: u16, body: &[u8]) -> Self {
        self.change(|inner| inner.response = (status, body.to_vec()))
    }

    fn change(mut self, change: impl FnOnce(&mut Inner)) -> Self {
        if let Some(inner) = Rc::get_mut(&mut self.0) {
            change(inner);
        }
        self
    }

    /// The log lines.
    pub fn log_text(&self) -> String {
        self.0.log.borrow().clone()
    }
}

/// Splits a body into a held JWS. The held part is header and claims in one text.
pub fn hold(body: &[u8], limits: JwsLimits) -> Result<Option<HeldJws<Vec<u8>>>, BodyError> {
    if body.len() > limits.body {
        return Err(BodyError::TooLarge);
    }
    let body = body.trim_ascii();
    let parts: Vec<&[u8]> = body.split(|byte| *byte == b'.').collect();
    let [header, claims, signature] = parts[..] else { return Ok(None) };
    if header.len() > limits.header || signature.len() > limits.signature {
        return Ok(None);
    }
    Ok(Some(HeldJws { header: header.to_vec(), signature: signature.to_vec(), held: [header, b".", claims].concat() }))
}

/// The claims of a held part from [`hold`].
pub fn claims(held: &[u8]) -> Vec<u8> {
    held.splitn(2, |byte| *byte == b'.').nth(1).unwrap_or_default().to_vec()
}

impl Clock for Stub {
    fn now_millis(&self) -> u64 {
        NOW.0 * 1000 + self.0.slept_millis.get()
    }

    async fn sleep(&self, time: Duration) {
        let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        self.0.slept_millis.set(self.0.slept_millis.get().saturating_add(millis));
    }
}

impl Signal for Stub {
    async fn sleep_until_woken(&self, _key: u32, time: Duration) {
        self.sleep(time).await;
    }

    fn wake(&self, _key: u32) {}
}

impl Entropy for Stub {
    fn random(&self, bytes: &mut [u8]) -> Result<(), PlatformError> {
        bytes.fill(7);
        Ok(())
    }
}

impl Log for Stub {
    fn measure(&self, point: &Point<'_>) {
        assert!(point.blobs().iter().all(|blob| blob.len() <= 512), "a blob is too long");
    }

    fn log(&self, _level: Level, line: &str) {
        assert!(serde_json::from_str::<serde_json::Value>(line).is_ok(), "a log line must be JSON");
        self.0.log.borrow_mut().push_str(line);
    }
}

impl Crypto for Stub {
    type Held = Vec<u8>;

    async fn verify_rs256(&self, key: &PublicKey, _held: &Vec<u8>, signature: &[u8]) -> Result<bool, PlatformError> {
        assert_eq!(
            signature.len(),
            key.signature_len(),
            "a signature must be as long as its key before the platform verifies it"
        );
        Ok(self.0.genuine)
    }

    fn held_claims(&self, held: &Vec<u8>) -> Vec<u8> {
        claims(held)
    }

    async fn aes_gcm_seal(
        &self,
        _key: &SealingKey,
        _nonce: [u8; 12],
        _associated: &[u8],
        plain: &[u8],
    ) -> Result<Vec<u8>, PlatformError> {
        Ok(plain.to_vec())
    }

    async fn aes_gcm_open(
        &self,
        _key: &SealingKey,
        _nonce: [u8; 12],
        _associated: &[u8],
        cipher: &[u8],
    ) -> Result<Option<Vec<u8>>, PlatformError> {
        Ok(self.0.genuine.then(|| cipher.to_vec()))
    }
}

impl KvNamespace for Stub {
    async fn kv_get(&self, key: &str) -> Result<Option<String>, PlatformError> {
        assert!(key.len() <= 512, "KV: a key must be at most 512 bytes long");
        Ok(self.0.value.clone())
    }

    async fn kv_get_many(&self, keys: &[String]) -> Result<Vec<Option<String>>, PlatformError> {
        try_join_all(keys.iter().map(|key| self.kv_get(key))).await
    }

    async fn kv_put(&self, key: &str, _value: &str, options: KvOptions<'_>) -> Result<(), PlatformError> {
        assert!(key.len() <= 512, "KV: a key must be at most 512 bytes long");
        assert!(options.ttl.is_none_or(|ttl| ttl >= 60), "KV: a lifetime must be at least 60 seconds");
        assert!(options.metadata.is_none_or(|text| text.len() <= 1024), "KV: metadata must be at most 1024 bytes long");
        Ok(())
    }

    async fn kv_delete(&self, key: &str) -> Result<(), PlatformError> {
        assert!(key.len() <= 512, "KV: a key must be at most 512 bytes long");
        Ok(())
    }

    async fn kv_list(&self, prefix: &str, cursor: Option<&str>, limit: u16) -> Result<KvPage, PlatformError> {
        assert!((1..=1000).contains(&limit), "KV: the limit of a listing must be from 1 to 1000");
        assert!(
            cursor.is_none_or(|cursor| !cursor.is_empty() && cursor.len() <= 1024),
            "KV: a cursor must have 1 to 1024 bytes"
        );
        let keys = self
            .0
            .listed
            .iter()
            .map(|(rest, metadata)| KvKey { name: format!("{prefix}{rest}"), metadata: Some(metadata.clone()) });
        Ok(KvPage { keys: keys.collect(), cursor: cursor.is_none().then(|| CURSOR.to_owned()) })
    }
}

/// What an object without events answers.
pub fn object_answer(path: &str) -> &'static str {
    match path {
        requests::ACCEPT => "stored",
        requests::EVENTS => r#"{"events":[]}"#,
        requests::TOKEN => "0 - object 99999999999 14400 a",
        requests::PERMITS => "1",
        _ => "done",
    }
}

impl Objects for Stub {
    async fn ask_object(&self, _name: &str, path: &str, body: &str) -> Result<(u16, String), ObjectError> {
        if path == requests::ACCEPT {
            let body = Event::from_message(body).map(|(event, _)| event.body(1)).unwrap_or_default();
            assert!(
                serde_json::from_str::<serde::de::IgnoredAny>(&body).is_ok(),
                "the body of an event must be JSON: {body}"
            );
        }
        Ok((200, object_answer(path).to_owned()))
    }
}

impl BackEnd for Stub {
    async fn call(&self, post: Post<'_>, _timeout: Duration) -> Result<(u16, Vec<u8>), SendError> {
        assert!(
            post.url.starts_with("https://back-end.example/plugins/"),
            "a plugin call must go to its target: {}",
            post.url
        );
        assert!(
            serde_json::from_str::<serde::de::IgnoredAny>(post.body).is_ok(),
            "the body of a plugin call must be JSON: {}",
            post.body
        );
        assert!(
            post.headers.iter().all(|(_, value)| value.bytes().all(|byte| matches!(byte, b' '..=b'~'))),
            "the headers must be printable ASCII: {:?}",
            post.headers
        );
        Ok(self.0.response.clone())
    }
}

impl Fetch for Stub {
    type Inbound = Inbound;
    type Stream = Vec<u8>;

    async fn send(&self, _request: Outbound<'_>, _timeout: Duration) -> Result<Response, SendError> {
        let (status, body) = self.0.response.clone();
        Ok(Response { status, wix_request_id: None, retry_after: None, body })
    }

    async fn forward(
        &self,
        request: Forward<'_, Inbound>,
        _timeout: Duration,
    ) -> Result<Forwarded<Self::Stream>, SendError> {
        assert!(
            request.url.starts_with("https://www.wixapis.com/"),
            "a forwarded request must go to Wix: {}",
            request.url
        );
        assert!(
            request.headers.iter().all(|(name, _)| *name != "authorization"),
            "the client's key must not be forwarded"
        );
        if let Body::Streamed(inbound, _) = request.body {
            assert!(!inbound.body.is_empty(), "a streamed body must not be empty");
        }
        let (status, body) = self.0.response.clone();
        let headers = request.wanted.iter().map(|name| (*name, "https://elsewhere.example/".to_owned())).collect();
        Ok(Forwarded { status, headers, body })
    }
}

impl Requests for Stub {
    type Duplex = RefCell<Option<Vec<u8>>>;

    fn duplex(&self, inbound: Inbound) -> Result<(Self::Duplex, Vec<u8>), BodyError> {
        Ok((RefCell::new(Some(inbound.body)), Vec::new()))
    }

    async fn read_chunk(&self, duplex: &Self::Duplex) -> Result<Option<Vec<u8>>, BodyError> {
        Ok(duplex.take())
    }

    async fn write_chunk(&self, _duplex: &Self::Duplex, text: &str) -> Result<(), BodyError> {
        let answer: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
        assert!(answer.get("outcome").is_some() && text.ends_with('\n'), "each line must be answered: {text}");
        Ok(())
    }

    async fn end(&self, _duplex: &Self::Duplex, is_whole: bool) {
        assert!(is_whole, "the body did not break off");
    }

    fn header(&self, inbound: &Inbound, name: &'static str) -> Option<String> {
        let mut values = inbound.headers.iter().filter(|(known, _)| known == name).map(|(_, value)| value.clone());
        let first = values.next()?;
        let separator = if name == "cookie" { "; " } else { ", " };
        Some(values.fold(first, |all, value| format!("{all}{separator}{value}")))
    }

    async fn body(&self, inbound: Inbound, limit: usize) -> Result<Vec<u8>, BodyError> {
        if inbound.body.len() > limit { Err(BodyError::TooLarge) } else { Ok(inbound.body) }
    }

    async fn buffer(&self, inbound: Inbound, limit: usize) -> Result<Body<Inbound>, BodyError> {
        Ok(if inbound.body.len() > limit { Body::Streamed(inbound, None) } else { Body::Buffered(inbound.body) })
    }

    async fn hold_jws(&self, inbound: Inbound, limits: JwsLimits) -> Result<Option<HeldJws<Vec<u8>>>, BodyError> {
        hold(&inbound.body, limits)
    }

    async fn is_within_rate(&self, _client: &str) -> Result<bool, PlatformError> {
        Ok(true)
    }
}
