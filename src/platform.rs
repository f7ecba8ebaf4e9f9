//! The seam, implemented: KV, fetch with a deadline, clock, randomness, log.

use std::pin::pin;
use std::time::Duration;

use futures::future::{Either, select};
use js_sys::{Date, Uint8Array};
use serde_json::Value;
use wasm_bindgen::JsValue;
use web_sys::ReadableStream;
use wix_edge_core::platform::{
    Answer, BodyError, Exchange, Exchanged, KvKey, KvOptions, KvPage, Level, Outbound, Payload, Platform,
    PlatformError, SendError, Short,
};
use wix_edge_core::public_key::PublicKey;
use wix_edge_core::seal::SealingKey;
use worker::kv::{KvError, KvStore};
use worker::{
    AbortController, AbortSignal, Delay, Env, Fetch, Headers, Method, Request, RequestInit, RequestRedirect,
    ResponseBody, console_error, console_log, console_warn,
};

use crate::{body, crypto};

/// The most that is read of an answer of Wix's, in bytes.
const ANSWER_LIMIT: usize = 1024 * 1024;
const USER_AGENT: &str = concat!("wix-edge/", env!("CARGO_PKG_VERSION"));

/// The Workers runtime, for the length of one request.
pub struct Edge {
    kv: Option<KvStore>,
}

impl Edge {
    pub fn new(env: &Env) -> Self {
        Self { kv: env.kv("INSTANCES").ok() }
    }

    fn kv(&self) -> Result<&KvStore, PlatformError> {
        self.kv.as_ref().ok_or_else(|| PlatformError("INSTANCES is not bound".to_owned()))
    }
}

impl Platform for Edge {
    type Inbound = web_sys::Request;
    type Stream = Option<ReadableStream>;

    fn now_millis(&self) -> u64 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "milliseconds since 1970")]
        let millis = Date::now() as u64;
        millis
    }

    async fn sleep(&self, time: Duration) {
        Delay::from(time).await;
    }

    fn random(&self, bytes: &mut [u8]) -> Result<(), PlatformError> {
        getrandom::fill(bytes).map_err(|_| PlatformError("no random bytes".to_owned()))
    }

    fn log(&self, level: Level, line: &str) {
        match level {
            Level::Info => console_log!("{line}"),
            Level::Warn => console_warn!("{line}"),
            Level::Error => console_error!("{line}"),
        }
    }

    fn header(&self, inbound: &web_sys::Request, name: &'static str) -> Option<String> {
        inbound.headers().get(name).ok().flatten()
    }

    async fn body(&self, inbound: web_sys::Request, limit: usize) -> Result<Vec<u8>, BodyError> {
        body::read(&inbound, limit).await
    }

    async fn short_body(&self, inbound: web_sys::Request, limit: usize) -> Result<Short<web_sys::Request>, BodyError> {
        body::read_short(inbound, limit).await
    }

    async fn kv_get(&self, key: &str) -> Result<Option<String>, PlatformError> {
        self.kv()?.get(key).text().await.map_err(kv_error)
    }

    async fn kv_put(&self, key: &str, value: &str, options: KvOptions<'_>) -> Result<(), PlatformError> {
        let mut put = self.kv()?.put(key, value).map_err(kv_error)?;
        if let Some(ttl) = options.ttl {
            put = put.expiration_ttl(ttl);
        }
        if let Some(metadata) = options.metadata {
            let metadata: Value =
                serde_json::from_str(metadata).map_err(|_| PlatformError("metadata is no JSON".to_owned()))?;
            put = put.metadata(metadata).map_err(kv_error)?;
        }
        put.execute().await.map_err(kv_error)
    }

    async fn kv_delete(&self, key: &str) -> Result<(), PlatformError> {
        self.kv()?.delete(key).await.map_err(kv_error)
    }

    async fn kv_list(&self, prefix: &str, cursor: Option<&str>, limit: u16) -> Result<KvPage, PlatformError> {
        let mut list = self.kv()?.list().prefix(prefix.to_owned()).limit(limit.into());
        if let Some(cursor) = cursor {
            list = list.cursor(cursor.to_owned());
        }
        let page = list.execute().await.map_err(kv_error)?;
        let keys = page.keys.into_iter();
        Ok(KvPage {
            keys: keys
                .map(|key| KvKey { name: key.name, metadata: key.metadata.map(|json| json.to_string()) })
                .collect(),
            cursor: page.cursor.filter(|cursor| !page.list_complete && !cursor.is_empty()),
        })
    }

    async fn send(&self, request: Outbound<'_>, timeout: Duration) -> Result<Answer, SendError> {
        let millis = u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX);
        let signal = AbortSignal::from(web_sys::AbortSignal::timeout_with_u32(millis));
        let request = outbound(&request).map_err(|_| SendError::Unreachable)?;
        let mut response =
            Fetch::Request(request).send_with_signal(&signal).await.map_err(|error| send_error(&error))?;

        let header = |name| response.headers().get(name).ok().flatten();
        let wix_request_id = header("x-wix-request-id");
        let retry_after = header("retry-after").and_then(|text| text.trim().parse().ok());
        let status = response.status_code();
        let body = match response.stream() {
            Ok(stream) => body::collect(stream, ANSWER_LIMIT)
                .await
                .map_err(|_| if signal.aborted() { SendError::Timeout } else { SendError::Unreachable })?,
            Err(_) => Vec::new(),
        };
        Ok(Answer { status, wix_request_id, retry_after, body })
    }

    async fn exchange(
        &self,
        request: Exchange<'_, web_sys::Request>,
        timeout: Duration,
    ) -> Result<Exchanged<Self::Stream>, SendError> {
        let wanted = request.wanted;
        let request = passed_on(&request).map_err(|_| SendError::Unreachable)?;
        // Not a signal with a time of its own, which would also cut off the answer's body.
        let controller = AbortController::default();
        let (signal, fetch) = (controller.signal(), Fetch::Request(request));
        let sent = pin!(fetch.send_with_signal(&signal));
        let response = match select(sent, pin!(Delay::from(timeout))).await {
            Either::Left((sent, _)) => sent.map_err(|error| send_error(&error))?,
            Either::Right(_) => {
                controller.abort();
                return Err(SendError::Timeout);
            }
        };
        let header = |name: &&'static str| Some((*name, response.headers().get(name).ok().flatten()?));
        let headers = wanted.iter().filter_map(header).collect();
        let status = response.status_code();
        let body = match response.into_parts().1 {
            ResponseBody::Stream(stream) => Some(stream),
            ResponseBody::Empty | ResponseBody::Body(_) => None,
        };
        Ok(Exchanged { status, headers, body })
    }

    async fn verify_rs256(&self, key: &PublicKey, message: &[u8], signature: &[u8]) -> Result<bool, PlatformError> {
        crypto::verify_rs256(key, message, signature).await.map_err(|_| crypto_error())
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

/// Redirects are not followed: a followed 307 would send the app secret elsewhere.
fn outbound(request: &Outbound<'_>) -> worker::Result<Request> {
    let headers = Headers::new();
    headers.set("user-agent", USER_AGENT)?;
    headers.set("accept", "application/json")?;
    if let Some(authorization) = request.authorization {
        headers.set("authorization", authorization)?;
    }
    let mut init = RequestInit::new();
    if let Some(json) = request.json {
        headers.set("content-type", "application/json")?;
        init.with_body(Some(Uint8Array::from(json.as_bytes()).into()));
    }
    init.with_method(Method::from(request.method.as_str().to_owned()))
        .with_headers(headers)
        .with_redirect(RequestRedirect::Manual);
    Request::new_with_init(request.url, &init)
}

/// Headers as they were chosen, and a body that no byte of passes through here.
fn passed_on(request: &Exchange<'_, web_sys::Request>) -> worker::Result<Request> {
    let headers = Headers::new();
    headers.set("user-agent", USER_AGENT)?;
    headers.set("authorization", request.authorization)?;
    for (name, value) in request.headers {
        headers.set(name, value)?;
    }
    let body = match &request.body {
        Payload::None => None,
        Payload::Bytes(bytes) => Some(Uint8Array::from(*bytes).into()),
        Payload::Inbound(inbound) => inbound.body().map(JsValue::from),
    };
    let mut init = RequestInit::new();
    init.with_method(Method::from(request.method.as_str().to_owned()))
        .with_headers(headers)
        .with_redirect(RequestRedirect::Manual)
        .with_body(body);
    Request::new_with_init(request.url, &init)
}

fn send_error(error: &worker::Error) -> SendError {
    match error {
        worker::Error::UnknownJsError { name: Some(name), .. } if name == "TimeoutError" => SendError::Timeout,
        error if error.to_string().starts_with("TimeoutError") => SendError::Timeout,
        _ => SendError::Unreachable,
    }
}

/// The first line alone: the rest is a JavaScript stack.
#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
fn kv_error(error: KvError) -> PlatformError {
    let text = error.to_string();
    PlatformError(format!("KV: {}", text.lines().next().unwrap_or_default()))
}

/// WebCrypto's own errors carry a stack, and nothing of use.
fn crypto_error() -> PlatformError {
    PlatformError("WebCrypto failed".to_owned())
}
