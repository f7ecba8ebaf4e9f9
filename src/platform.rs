//! Implements the core's traits for the Workers runtime: clock, randomness, log, inbound requests, KV, outbound
//! requests, cryptography.

use std::cell::OnceCell;
use std::time::Duration;

use js_sys::{Array, Date, JsString, Reflect, Uint8Array};
use wasm_bindgen::{JsCast as _, JsValue};
use web_sys::ReadableStream;
use wix_edge_core::{
    BackEnd, Body, BodyError, Clock, Crypto, Entropy, Fetch, Forward, Forwarded, HeldJws, JwsLimits, KvKey,
    KvNamespace, KvOptions, KvPage, Level, Log, ObjectError, Objects, Outbound, PlatformError, Point, Post, PublicKey,
    Requests, Response, SealingKey, SendError, Signal,
};
use worker::Env;

use crate::body::{self, Held, Inbound};
use crate::glue::{self, Duplex, Kv, Promise, Timer};
use crate::{convert, crypto, random};

/// The longest response from Wix or the app's back end that is read, in bytes.
const RESPONSE_LIMIT: u32 = 1024 * 1024;
const USER_AGENT: &str = concat!("wix-edge/", env!("CARGO_PKG_VERSION"));

thread_local! {
    /// The dataset of Analytics Engine, if it is bound. It is looked for once, since the environment of an isolate does not
    /// change.
    static DATASET: OnceCell<Option<JsValue>> = const { OnceCell::new() };
}

/// The Workers runtime, for one request.
pub struct Edge {
    env: Env,
    kv: OnceCell<Option<Kv>>,
}

impl Edge {
    pub fn new(env: Env) -> Self {
        Self { env, kv: OnceCell::new() }
    }

    fn kv(&self) -> Result<&Kv, PlatformError> {
        let bound = || Reflect::get(&self.env, &"INSTANCES".into()).ok().filter(JsValue::is_object);
        let kv = self.kv.get_or_init(|| bound().map(JsValue::unchecked_into));
        kv.as_ref().ok_or_else(|| PlatformError("INSTANCES is not bound".to_owned()))
    }
}

/// Stops a timer when it is dropped.
struct Stopped(Timer);

impl Drop for Stopped {
    fn drop(&mut self) {
        self.0.stop();
    }
}

impl Clock for Edge {
    fn now_millis(&self) -> u64 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "milliseconds since 1970")]
        let millis = Date::now() as u64;
        millis
    }

    async fn sleep(&self, time: Duration) {
        let timer = Stopped(Timer::new(millis(time)));
        // It does not reject.
        let _ = timer.0.end().await;
    }
}

impl Signal for Edge {
    async fn sleep_until_woken(&self, key: u32, time: Duration) {
        let _ = glue::sleep_until_woken(key, millis(time)).await;
    }

    fn wake(&self, key: u32) {
        glue::wake(key);
    }
}

impl Entropy for Edge {
    fn random(&self, bytes: &mut [u8]) -> Result<(), PlatformError> {
        random::fill(bytes).map_err(|_| PlatformError("no random bytes".to_owned()))
    }
}

impl Log for Edge {
    fn log(&self, level: Level, line: &str) {
        match level {
            Level::Info => glue::log(line),
            Level::Warn => glue::warn(line),
            Level::Error => glue::error(line),
        }
    }

    fn measure(&self, point: &Point<'_>) {
        let bound = || Reflect::get(&self.env, &"METRICS".into()).ok().filter(JsValue::is_object);
        DATASET.with(|dataset| {
            if let Some(dataset) = dataset.get_or_init(bound) {
                let numbers = point.doubles().map(|number| number.to_string());
                glue::measure(dataset, &point.blobs().join("\n"), &numbers.join("\n"));
            }
        });
    }
}

impl Requests for Edge {
    type Duplex = Duplex;

    fn header(&self, inbound: &Inbound, name: &'static str) -> Option<String> {
        glue::header(&inbound.request, name)
    }

    fn headers(&self, inbound: &Inbound, names: &[&'static str]) -> Vec<(&'static str, String)> {
        convert::found(&glue::headers(&inbound.request, &names.join("\n")), names)
    }

    async fn body(&self, inbound: Inbound, limit: usize) -> Result<Vec<u8>, BodyError> {
        inbound.read(limit).await
    }

    async fn buffer(&self, inbound: Inbound, limit: usize) -> Result<Body<Inbound>, BodyError> {
        inbound.buffer(limit).await
    }

    async fn hold_jws(&self, inbound: Inbound, limits: JwsLimits) -> Result<Option<HeldJws<Held>>, BodyError> {
        inbound.hold_jws(limits).await
    }

    fn duplex(&self, inbound: Inbound) -> Result<(Duplex, Self::Stream), BodyError> {
        let duplex = inbound.duplex()?;
        let stream = duplex.stream();
        Ok((duplex, Some(stream)))
    }

    async fn read_chunk(&self, duplex: &Duplex) -> Result<Option<Vec<u8>>, BodyError> {
        Ok(body::bytes(&duplex.read().await.map_err(|_| BodyError::Broken)?))
    }

    async fn write_chunk(&self, duplex: &Duplex, text: &str) -> Result<(), BodyError> {
        duplex.write(text).await.map(|_| ()).map_err(|_| BodyError::Broken)
    }

    async fn end(&self, duplex: &Duplex, is_whole: bool) {
        let _ = duplex.end(is_whole).await;
    }

    async fn is_within_rate(&self, client: &str) -> Result<bool, PlatformError> {
        let limiter = Reflect::get(&self.env, &"RATE_LIMITER".into()).unwrap_or(JsValue::UNDEFINED);
        if !limiter.is_object() {
            return Ok(true);
        }
        let within = glue::is_within_rate(&limiter, client).await;
        within.map(|within| within.is_truthy()).map_err(|_| PlatformError("RATE_LIMITER failed".to_owned()))
    }
}

impl KvNamespace for Edge {
    async fn kv_get(&self, key: &str) -> Result<Option<String>, PlatformError> {
        let value = self.kv()?.get(key).map_err(kv_error)?.await.map_err(kv_error)?;
        Ok(value.as_string())
    }

    async fn kv_get_many(&self, keys: &[String]) -> Result<Vec<Option<String>>, PlatformError> {
        let keys = keys.iter().map(|key| JsValue::from_str(key)).collect::<Array>();
        let values = glue::get_many(self.kv()?, &keys).await.map_err(kv_error)?;
        Ok(Array::from(&values).iter().map(|value| value.as_string()).collect())
    }

    async fn kv_put(&self, key: &str, value: &str, options: KvOptions<'_>) -> Result<(), PlatformError> {
        #[expect(clippy::cast_precision_loss, reason = "seconds, far below 2^52")]
        let ttl = options.ttl.map(|seconds| seconds as f64);
        let put = glue::put(self.kv()?, key, value, ttl, options.metadata).map_err(kv_error)?;
        put.await.map(|_| ()).map_err(kv_error)
    }

    async fn kv_delete(&self, key: &str) -> Result<(), PlatformError> {
        let deleted = self.kv()?.delete(key).map_err(kv_error)?;
        deleted.await.map(|_| ()).map_err(kv_error)
    }

    async fn kv_list(&self, prefix: &str, cursor: Option<&str>, limit: u16) -> Result<KvPage, PlatformError> {
        let page = glue::list(self.kv()?, prefix, cursor, limit).await.map_err(kv_error)?;
        let page = page.as_string().unwrap_or_default();
        let mut lines = page.split('\n');
        let cursor = lines.next().filter(|cursor| !cursor.is_empty()).map(str::to_owned);
        let mut keys = Vec::new();
        while let (Some(name), Some(metadata)) = (lines.next(), lines.next()) {
            let metadata = (!metadata.is_empty()).then(|| metadata.to_owned());
            keys.push(KvKey { name: name.to_owned(), metadata });
        }
        Ok(KvPage { keys, cursor })
    }
}

impl Objects for Edge {
    async fn ask_object(&self, name: &str, path: &str, body: &str) -> Result<(u16, String), ObjectError> {
        let namespace = Reflect::get(&self.env, &"INSTALLATIONS".into()).unwrap_or(JsValue::UNDEFINED);
        let answer = glue::ask_object(&namespace, name, path, body).await.map_err(|error| {
            let is = |name: &str| Reflect::get(&error, &name.into()).is_ok_and(|value| value.is_truthy());
            ObjectError { is_retryable: is("retryable") && !is("overloaded"), text: message(&error) }
        })?;
        let answer = Array::from(&answer);
        Ok((status(&answer.get(0)), answer.get(1).as_string().unwrap_or_default()))
    }
}

impl BackEnd for Edge {
    async fn call(&self, post: Post<'_>, timeout: Duration) -> Result<(u16, Vec<u8>), SendError> {
        let headers = post_headers(&post).ok_or(SendError::Unreachable)?;
        let binding = binding(&self.env, post.binding);
        let sent = glue::call(&binding, post.url, &headers, post.body, millis(timeout), RESPONSE_LIMIT);
        let answer = answer(sent).await?;
        Ok((answer.status(), answer.body()))
    }
}

impl Fetch for Edge {
    type Inbound = Inbound;
    type Stream = Option<ReadableStream>;

    async fn send(&self, request: Outbound<'_>, timeout: Duration) -> Result<Response, SendError> {
        const WANTED: [&str; 2] = ["x-wix-request-id", "retry-after"];
        let mut headers = vec![("user-agent", USER_AGENT), ("accept", "application/json")];
        headers.extend(request.authorization.map(|authorization| ("authorization", authorization)));
        headers.extend(request.json.map(|_| ("content-type", "application/json")));
        let headers = convert::lines(headers).ok_or(SendError::Unreachable)?;
        let (method, names) = (request.method.as_str(), WANTED.join("\n"));
        let millis = millis(timeout);
        let answer =
            answer(glue::send(request.url, method, &headers, request.json, millis, &names, RESPONSE_LIMIT)).await?;

        let found = convert::found(&answer.found(), &WANTED);
        let header = |name| found.iter().find(|(found, _)| *found == name).map(|(_, value)| value.clone());
        Ok(Response {
            status: answer.status(),
            wix_request_id: header("x-wix-request-id"),
            retry_after: header("retry-after"),
            body: answer.body(),
        })
    }

    async fn forward(
        &self,
        request: Forward<'_, Inbound>,
        timeout: Duration,
    ) -> Result<Forwarded<Self::Stream>, SendError> {
        let fixed = [("user-agent", USER_AGENT), ("authorization", request.authorization)];
        let others = request.headers.iter().map(|(name, value)| (*name, value.as_str()));
        let headers = convert::lines(fixed.into_iter().chain(others)).ok_or(SendError::Unreachable)?;
        let body = match request.body {
            Body::Empty => JsValue::UNDEFINED,
            Body::Buffered(bytes) => Uint8Array::from(bytes.as_slice()).into(),
            Body::Streamed(inbound, _) => inbound.payload(),
        };
        let sent = glue::forward(request.url, request.method.as_str(), &headers, &body, millis(timeout));
        let response = sent.await.map_err(|_| SendError::Unreachable)?;
        let response: web_sys::Response = response.dyn_into().map_err(|_| SendError::Timeout)?;
        let headers = convert::found(&glue::headers(&response, &request.wanted.join("\n")), request.wanted);
        Ok(Forwarded { status: response.status(), headers, body: response.body() })
    }
}

impl Crypto for Edge {
    type Held = Held;

    async fn verify_rs256(&self, key: &PublicKey, held: &Held, signature: &[u8]) -> Result<bool, PlatformError> {
        crypto::verify_rs256(key, &held.jws, signature).await.map_err(|_| crypto_error())
    }

    fn held_claims(&self, held: &Held) -> Vec<u8> {
        held.jws.claims()
    }

    async fn aes_gcm_seal(
        &self,
        key: &SealingKey,
        nonce: [u8; 12],
        associated: &[u8],
        plain: &[u8],
    ) -> Result<Vec<u8>, PlatformError> {
        crypto::aes_gcm_seal(key, nonce, associated, plain).await.map_err(|_| crypto_error())
    }

    async fn aes_gcm_open(
        &self,
        key: &SealingKey,
        nonce: [u8; 12],
        associated: &[u8],
        cipher: &[u8],
    ) -> Result<Option<Vec<u8>>, PlatformError> {
        crypto::aes_gcm_open(key, nonce, associated, cipher).await.map_err(|_| crypto_error())
    }
}

async fn answer(sent: Promise) -> Result<glue::Answer, SendError> {
    let answer = sent.await.map_err(|_| SendError::Unreachable)?;
    if answer.is_undefined() { Err(SendError::Timeout) } else { Ok(answer.unchecked_into()) }
}

/// The headers of a request to the app's back end. `None` if a value has a line break.
pub fn post_headers(post: &Post<'_>) -> Option<String> {
    let headers = [("content-type", "application/json"), ("user-agent", USER_AGENT)];
    convert::lines(headers.into_iter().chain(post.headers.iter().map(|(name, value)| (*name, value.as_str()))))
}

/// A service binding; undefined for the network.
pub fn binding(env: &Env, name: Option<&str>) -> JsValue {
    let binding = name.and_then(|name| Reflect::get(env, &name.into()).ok());
    binding.unwrap_or(JsValue::UNDEFINED)
}

pub fn millis(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX)
}

pub fn status(value: &JsValue) -> u16 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a status of fetch, from 200 to 599")]
    let status = value.as_f64().unwrap_or_default() as u16;
    status
}

#[expect(clippy::needless_pass_by_value, reason = "map_err passes a value")]
fn kv_error(error: JsValue) -> PlatformError {
    PlatformError(format!("KV: {}", message(&error)))
}

/// The first line of an error's message. The rest is a JavaScript stack.
pub fn message(error: &JsValue) -> String {
    let text = error.dyn_ref::<js_sys::Error>().map_or_else(JsString::default, js_sys::Error::message);
    String::from(text).lines().next().unwrap_or_default().to_owned()
}

/// WebCrypto's errors have a stack, and no cause that the log could use.
fn crypto_error() -> PlatformError {
    PlatformError("WebCrypto failed".to_owned())
}
