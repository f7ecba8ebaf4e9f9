//! What the core needs of the place it runs in, and all it knows of it.
//!
//! Implemented by the Worker (`src/platform.rs`), by the tests (`fake.rs`) and for the fuzzer (`fuzz/stub.rs`). Bodies and headers of the
//! inbound request stay where they are until they are asked for: each crossing between wasm and JavaScript costs.

use std::cell::Cell;
use std::time::Duration;

use http::Method;

use crate::public_key::PublicKey;
use crate::seal::SealingKey;

/// The seam between the core and the platform.
#[expect(async_fn_in_trait, reason = "one thread everywhere it is implemented: no future needs to be `Send`")]
pub trait Platform {
    /// An inbound request whose headers and body have not been read.
    type Inbound;
    /// A body on its way that the core does not look into.
    type Stream;
    /// The bytes of a body that were read and stay outside.
    type Held;

    /// Unix time in milliseconds.
    fn now_millis(&self) -> u64;
    /// Waits.
    async fn sleep(&self, time: Duration);
    /// Fills with bytes of a cryptographic generator.
    fn random(&self, bytes: &mut [u8]) -> Result<(), PlatformError>;
    /// Writes one line of JSON to the log.
    fn log(&self, level: Level, line: &str);

    /// One header of the inbound request. Several of one name come joined with `, ` (for `cookie`, `; `).
    fn header(&self, inbound: &Self::Inbound, name: &'static str) -> Option<String>;
    /// Those of several that it has.
    fn headers(&self, inbound: &Self::Inbound, names: &[&'static str]) -> Vec<(&'static str, String)> {
        names.iter().filter_map(|name| Some((*name, self.header(inbound, name)?))).collect()
    }
    /// The inbound body, read to its end unless it is longer than `limit` bytes.
    async fn body(&self, inbound: Self::Inbound, limit: usize) -> Result<Vec<u8>, BodyError>;

    /// The inbound body if it ends within `limit` bytes; else a request whose body can still be handed on whole.
    async fn short_body(&self, inbound: Self::Inbound, limit: usize) -> Result<Short<Self::Inbound>, BodyError>;

    /// The inbound body as a compact JWS (RFC 7515, 3.1), held outside until its signature is verified. Nothing where it has
    /// not three parts, or its header or signature is longer than these many bytes.
    async fn hold_jws(
        &self,
        inbound: Self::Inbound,
        limits: JwsLimits,
    ) -> Result<Option<HeldJws<Self::Held>>, BodyError>;
    /// The claims of a held JWS, still encoded.
    fn held_claims(&self, held: &Self::Held) -> Vec<u8>;

    /// Whether a client may go on, by the platform's rate limiter; always where there is none.
    async fn is_within_rate(&self, client: &str) -> Result<bool, PlatformError>;

    /// A value of the key-value store.
    async fn kv_get(&self, key: &str) -> Result<Option<String>, PlatformError>;
    /// Writes a value, with what a listing is to show beside the key (JSON, at most 1024 bytes).
    async fn kv_put(&self, key: &str, value: &str, options: KvOptions<'_>) -> Result<(), PlatformError>;
    /// Removes a value; no error if there is none.
    async fn kv_delete(&self, key: &str) -> Result<(), PlatformError>;
    /// Up to `limit` (at most 1000) keys with a prefix, in order.
    async fn kv_list(&self, prefix: &str, cursor: Option<&str>, limit: u16) -> Result<KvPage, PlatformError>;

    /// Sends a request and reads the whole answer, following no redirect.
    async fn send(&self, request: Outbound<'_>, timeout: Duration) -> Result<Answer, SendError>;

    /// Sends a request and hands back the answer with its body unread, following no redirect. The time is for the
    /// answer's head; its body may take as long as it takes.
    async fn exchange(
        &self,
        request: Exchange<'_, Self::Inbound>,
        timeout: Duration,
    ) -> Result<Exchanged<Self::Stream>, SendError>;

    /// RSASSA-PKCS1-v1_5 with SHA-256 (RFC 7518, `RS256`): whether `signature` is of a held JWS's header and claims.
    async fn verify_rs256(&self, key: &PublicKey, held: &Self::Held, signature: &[u8]) -> Result<bool, PlatformError>;
    /// AES-256-GCM: cipher text with the 16-byte tag behind it.
    async fn aes_gcm_seal(
        &self,
        key: &SealingKey,
        nonce: [u8; 12],
        associated: &[u8],
        plain: &[u8],
    ) -> Result<Vec<u8>, PlatformError>;
    /// AES-256-GCM: the plain text, or nothing where key, nonce, associated data or cipher text do not belong together.
    async fn aes_gcm_open(
        &self,
        key: &SealingKey,
        nonce: [u8; 12],
        associated: &[u8],
        cipher: &[u8],
    ) -> Result<Option<Vec<u8>>, PlatformError>;
}

/// How loud a log line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// As it should be.
    Info,
    /// Somebody outside did something wrong.
    Warn,
    /// The operator has something to do.
    Error,
}

/// The platform did not do what it was asked. The text is for the log and holds no value that was passed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlatformError(pub String);

/// Why a body was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyError {
    /// It is longer than the limit.
    TooLarge,
    /// The connection broke.
    Broken,
    /// Too many bytes of bodies are being read at this moment.
    Busy,
}

/// How long the parts of a JWS may be, in bytes.
#[derive(Debug, Clone, Copy)]
pub struct JwsLimits {
    /// All of it.
    pub body: usize,
    /// The encoded header.
    pub header: usize,
    /// The encoded signature.
    pub signature: usize,
}

/// A compact JWS whose claims were not read.
pub struct HeldJws<H> {
    /// The header, encoded.
    pub header: String,
    /// The signature, encoded.
    pub signature: String,
    /// Header and claims, encoded: what the signature is of.
    pub held: H,
}

/// How many bytes of bodies may be in memory at once: anybody can send some.
#[derive(Debug, Default)]
pub struct InFlight(Cell<usize>);

impl InFlight {
    /// The bound, in bytes: an isolate has 128 MB.
    pub const LIMIT: usize = 16 * 1024 * 1024;

    /// Makes room for bytes, if there is room.
    #[must_use]
    pub fn reserve(&self, bytes: usize) -> bool {
        let sum = self.0.get().saturating_add(bytes);
        let fits = sum <= Self::LIMIT;
        if fits {
            self.0.set(sum);
        }
        fits
    }

    /// Gives the room back.
    pub fn release(&self, bytes: usize) {
        self.0.set(self.0.get().saturating_sub(bytes));
    }
}

/// A body of unknown length, looked into.
pub enum Short<I> {
    /// All of it.
    Whole(Vec<u8>),
    /// It is longer.
    Longer(I),
}

/// How a value is written.
#[derive(Debug, Clone, Copy, Default)]
pub struct KvOptions<'a> {
    /// Seconds until it is gone; at least 60.
    pub ttl: Option<u64>,
    /// JSON that a listing shows with the key.
    pub metadata: Option<&'a str>,
}

/// One page of a listing.
#[derive(Debug, Clone, Default)]
pub struct KvPage {
    /// The keys, in order.
    pub keys: Vec<KvKey>,
    /// Where the next page starts; none after the last.
    pub cursor: Option<String>,
}

/// A key in a listing.
#[derive(Debug, Clone)]
pub struct KvKey {
    /// The whole key.
    pub name: String,
    /// JSON that was written beside it.
    pub metadata: Option<String>,
}

/// A request to Wix.
pub struct Outbound<'a> {
    /// The method.
    pub method: Method,
    /// The whole URL.
    pub url: &'a str,
    /// The `Authorization` header.
    pub authorization: Option<&'a str>,
    /// A JSON body.
    pub json: Option<&'a str>,
}

/// Wix's answer. Its body may hold tokens, so it has no `Debug`.
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The `x-wix-request-id` header.
    pub wix_request_id: Option<String>,
    /// The `retry-after` header.
    pub retry_after: Option<String>,
    /// The body.
    pub body: Vec<u8>,
}

/// A request to Wix on behalf of somebody else.
pub struct Exchange<'a, I> {
    /// The method.
    pub method: &'a Method,
    /// The whole URL.
    pub url: &'a str,
    /// The `Authorization` header.
    pub authorization: &'a str,
    /// All other headers, but for what the runtime needs of its own.
    pub headers: &'a [(&'static str, String)],
    /// The body.
    pub body: Payload<'a, I>,
    /// Which of the answer's headers are wanted.
    pub wanted: &'a [&'static str],
}

/// The body of a request on behalf of somebody else.
pub enum Payload<'a, I> {
    /// None.
    None,
    /// Bytes that were read.
    Bytes(&'a [u8]),
    /// That of the inbound request, handed on as it comes; once.
    Inbound(&'a I),
}

/// Wix's answer to somebody else.
pub struct Exchanged<S> {
    /// The status.
    pub status: u16,
    /// Those of the wanted headers that it has. Several of one name come joined with `, `.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: S,
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendError {
    /// None within the time given.
    Timeout,
    /// The connection could not be made, or broke.
    Unreachable,
}
