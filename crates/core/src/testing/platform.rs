//! The platform of the tests: KV, Wix, clock and log in memory.
//!
//! Hundreds of requests run concurrently in one thread, in the same order in each run, and an hour of backoff takes no
//! real time. The operations on KV, the requests to Wix and the log lines are recorded for the tests.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use aes_gcm::aead::{Aead as _, KeyInit as _, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use sha2::{Digest as _, Sha256};

use super::back_end::FakeBackEnd;
use super::clock::Clock as FakeClock;
use super::duplex::{FakeDuplex, Written};
use super::jws;
use super::kv::{FakeKv, Op};
use super::object::{FakeObject, FakeObjects};
use super::wix::{CannedResponse, Sent, WixScript};
use crate::crypto::{Crypto, PublicKey, SealingKey};
use crate::delivery::{BackEnd, ObjectError, Objects, Post};
use crate::fuzz::stub;
use crate::runtime::{Clock, Entropy, Level, Log, PlatformError, Point, Signal};
use crate::store::{KvNamespace, KvOptions, KvPage};
use crate::web::{BodyError, Requests};
use crate::wix::{Body, Fetch, Forward, Forwarded, HeldJws, JwsLimits, Outbound, Response, SendError};
use crate::{Shared, object_alarm, object_deliver, object_fetch};

const REQUEST_ID: &str = "1767225601.1234567890";

/// The platform. Clones share one state.
#[derive(Clone, Default)]
pub struct Fake(Rc<Inner>);

#[derive(Default)]
struct Inner {
    clock: FakeClock,
    kv: FakeKv,
    wix: WixScript,
    log: RefCell<Vec<(Level, String)>>,
    points: RefCell<Vec<DataPoint>>,
    random: Cell<u64>,
    random_fails: Cell<bool>,
    is_body_memory_full: Cell<bool>,
    rate_limit: Cell<Option<u32>>,
    flows_begun: RefCell<HashMap<String, u32>>,
    objects: ObjectScript,
    back_end: FakeBackEnd,
}

/// The texts and numbers of a data point.
pub type DataPoint = ([String; 11], [u64; 4]);

/// The response of an object, and the milliseconds that it takes.
type ObjectAnswer = (u64, Result<(u16, String), ObjectError>);

/// The calls of the objects (name, path, body), the scripted responses to the next ones, and real objects, if there are some.
#[derive(Default)]
struct ObjectScript {
    calls: RefCell<Vec<(String, String, String)>>,
    answers: RefCell<VecDeque<ObjectAnswer>>,
    real: RefCell<Option<FakeObjects>>,
}

/// An inbound request's headers and body.
#[derive(Clone, Default)]
pub struct Inbound {
    /// The headers in their order, with names in lower case.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Vec<u8>,
    /// Whether the connection breaks while the body is read.
    pub broken: bool,
    /// Whether the body comes without `Content-Length`.
    pub chunked: bool,
    /// After how many parts of the response the client leaves.
    pub leaves_after: Option<usize>,
    /// Whether the body was streamed to Wix.
    pub streamed: Rc<Cell<bool>>,
}

impl Fake {
    /// The clock.
    pub fn clock(&self) -> &FakeClock {
        &self.0.clock
    }

    /// The KV namespace.
    pub fn kv(&self) -> &FakeKv {
        &self.0.kv
    }

    /// Wix: its scripted responses, and the requests to it.
    pub fn wix(&self) -> &WixScript {
        &self.0.wix
    }

    /// The lines of the log.
    pub fn log_lines(&self) -> Vec<(Level, String)> {
        self.0.log.borrow().clone()
    }

    /// The data points.
    pub fn points(&self) -> Vec<DataPoint> {
        self.0.points.borrow().clone()
    }

    /// The last line of the log.
    pub fn last_log(&self) -> serde_json::Value {
        let log = self.0.log.borrow();
        serde_json::from_str(&log.last().expect("a log line").1).expect("a log line must be JSON")
    }

    /// Lets every request for random bytes fail.
    pub fn fail_random(&self) {
        self.0.random_fails.set(true);
    }

    /// Lets every request for a held body fail as `Busy`.
    pub fn exhaust_body_memory(&self) {
        self.0.is_body_memory_full.set(true);
    }

    /// Lets each client begin so many flows. With 0 the rate limiter itself fails.
    pub fn limit_rate(&self, flows: u32) {
        self.0.rate_limit.set(Some(flows));
    }

    /// The app's back end, as service plugin calls reach it.
    pub fn back_end(&self) -> &FakeBackEnd {
        &self.0.back_end
    }

    /// The calls of the objects so far: name, path and body.
    pub fn object_calls(&self) -> Vec<(String, String, String)> {
        self.0.objects.calls.borrow().clone()
    }

    /// Scripts the response to the next call of an object, after so many milliseconds. Without a script, objects store each
    /// event.
    pub fn object_answers(&self, delay: u64, answer: Result<(u16, &str), ObjectError>) {
        let answer = answer.map(|(status, text)| (status, text.to_owned()));
        self.0.objects.answers.borrow_mut().push_back((delay, answer));
    }

    /// The keys of the rechecks but for those that erase the record of a removed installation in a year.
    pub fn rechecks(&self) -> Vec<String> {
        let tomorrow = self.0.clock.now() / 1000 + 86_400;
        let due = |key: &str| key.split(':').nth(2).and_then(|due| due.parse::<u64>().ok()).expect("a time");
        self.0.kv.keys("v1:todo:").into_iter().filter(|key| due(key) < tomorrow).collect()
    }

    /// From now on, calls of objects go to real ones, with a database each. They do not deliver by themselves.
    pub fn use_objects(&self, objects: Option<FakeObjects>) {
        *self.0.objects.real.borrow_mut() = objects;
    }

    /// From now on, the real objects have another configuration.
    pub fn configure_objects(&self, shared: Rc<Shared>) {
        self.0.objects.real.borrow_mut().as_mut().expect("objects").shared = shared;
    }

    /// Whether there are real objects.
    pub fn has_objects(&self) -> bool {
        self.0.objects.real.borrow().is_some()
    }

    /// The object of that name.
    pub fn object(&self, name: &str) -> FakeObject {
        let objects = self.0.objects.real.borrow().clone().expect("objects");
        objects.get(self, name)
    }

    /// The object of that name delivers what is due.
    pub fn deliver(&self, name: &str) {
        self.0.clock.run(self.delivering(name));
    }

    /// The same, beside other work.
    pub async fn delivering(&self, name: &str) {
        let objects = self.0.objects.real.borrow().clone().expect("objects");
        object_deliver(&objects.get(self, name), &objects.shared).await;
    }

    /// The alarm of the object of that name fires.
    pub fn ring(&self, name: &str) {
        let objects = self.0.objects.real.borrow().clone().expect("objects");
        self.0.clock.run(object_alarm(&objects.get(self, name), &objects.shared));
    }

    /// Lets seconds pass. The alarms of that object fire when they are due.
    pub fn pass(&self, name: &str, seconds: u64) {
        let objects = self.0.objects.real.borrow().clone().expect("objects");
        let (object, clock) = (objects.get(self, name), &self.0.clock);
        let end = clock.now() + seconds * 1000;
        while let Some(at) = object.alarm_at().filter(|at| *at <= end) {
            object.take_alarm();
            clock.set_millis(at.max(clock.now()));
            self.ring(name);
        }
        clock.set_millis(end.max(clock.now()));
    }

    /// Records an operation, waits for its delay, and fails where the test says so.
    async fn begin_kv(&self, op: Op, key: &str) -> Result<(), PlatformError> {
        let (delay, broken) = self.0.kv.begin(op, key);
        if delay > 0 {
            self.0.clock.sleep(delay).await;
        }
        if broken { Err(PlatformError("KV: a scripted failure".to_owned())) } else { Ok(()) }
    }

    /// Waits for the response, or for the timeout.
    async fn response(&self, sent: Sent, timeout: Duration) -> Result<CannedResponse, SendError> {
        let canned = self.0.wix.respond(sent);
        let timeout = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        if canned.delay >= timeout {
            self.0.clock.sleep(timeout).await;
            return Err(SendError::Timeout);
        }
        if canned.delay > 0 {
            self.0.clock.sleep(canned.delay).await;
        }
        canned.result
    }
}

impl Clock for Fake {
    fn now_millis(&self) -> u64 {
        self.0.clock.now()
    }

    async fn sleep(&self, time: Duration) {
        self.0.clock.sleep(u64::try_from(time.as_millis()).unwrap_or(u64::MAX)).await;
    }
}

impl Signal for Fake {
    async fn sleep_until_woken(&self, key: u32, time: Duration) {
        let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        self.0.clock.sleep_until_woken(Some(key), millis).await;
    }

    fn wake(&self, key: u32) {
        self.0.clock.wake(key);
    }
}

impl Entropy for Fake {
    fn random(&self, bytes: &mut [u8]) -> Result<(), PlatformError> {
        if self.0.random_fails.get() {
            return Err(PlatformError("a scripted failure: no random bytes".to_owned()));
        }
        for chunk in bytes.chunks_mut(32) {
            self.0.random.set(self.0.random.get() + 1);
            let block = Sha256::digest(self.0.random.get().to_be_bytes());
            chunk.copy_from_slice(&block[..chunk.len()]);
        }
        Ok(())
    }
}

impl Log for Fake {
    fn measure(&self, point: &Point<'_>) {
        let blobs = point.blobs().map(str::to_owned);
        self.0.points.borrow_mut().push((blobs, point.doubles()));
    }

    fn log(&self, level: Level, line: &str) {
        self.0.log.borrow_mut().push((level, line.to_owned()));
    }
}

impl Crypto for Fake {
    type Held = Vec<u8>;

    async fn verify_rs256(&self, key: &PublicKey, held: &Vec<u8>, signature: &[u8]) -> Result<bool, PlatformError> {
        jws::verify(key.der(), held, signature).map_err(|problem| PlatformError(problem.to_owned()))
    }

    fn held_claims(&self, held: &Vec<u8>) -> Vec<u8> {
        stub::claims(held)
    }

    async fn aes_gcm_seal(
        &self,
        key: &SealingKey,
        nonce: [u8; 12],
        associated: &[u8],
        plain: &[u8],
    ) -> Result<Vec<u8>, PlatformError> {
        let payload = Payload { msg: plain, aad: associated };
        cipher(key).encrypt(&Nonce::from(nonce), payload).map_err(|_| PlatformError("AES-GCM".to_owned()))
    }

    async fn aes_gcm_open(
        &self,
        key: &SealingKey,
        nonce: [u8; 12],
        associated: &[u8],
        sealed: &[u8],
    ) -> Result<Option<Vec<u8>>, PlatformError> {
        Ok(cipher(key).decrypt(&Nonce::from(nonce), Payload { msg: sealed, aad: associated }).ok())
    }
}

impl KvNamespace for Fake {
    async fn kv_get(&self, key: &str) -> Result<Option<String>, PlatformError> {
        self.begin_kv(Op::Get, key).await?;
        Ok(self.0.kv.get(key, self.now_millis()))
    }

    async fn kv_get_many(&self, keys: &[String]) -> Result<Vec<Option<String>>, PlatformError> {
        assert!((1..=100).contains(&keys.len()), "KV: a bulk read has at most 100 keys");
        self.begin_kv(Op::Get, &keys[0]).await?;
        Ok(keys.iter().map(|key| self.0.kv.get(key, self.now_millis())).collect())
    }

    async fn kv_put(&self, key: &str, value: &str, options: KvOptions<'_>) -> Result<(), PlatformError> {
        self.begin_kv(Op::Put, key).await?;
        self.0.kv.put(key, value, options, self.now_millis());
        Ok(())
    }

    async fn kv_delete(&self, key: &str) -> Result<(), PlatformError> {
        self.begin_kv(Op::Delete, key).await?;
        self.0.kv.delete(key, self.now_millis());
        Ok(())
    }

    async fn kv_list(&self, prefix: &str, cursor: Option<&str>, limit: u16) -> Result<KvPage, PlatformError> {
        self.begin_kv(Op::List, prefix).await?;
        self.0.kv.list(prefix, cursor, limit, self.now_millis())
    }
}

impl Objects for Fake {
    async fn ask_object(&self, name: &str, path: &str, body: &str) -> Result<(u16, String), ObjectError> {
        let objects = &self.0.objects;
        objects.calls.borrow_mut().push((name.to_owned(), path.to_owned(), body.to_owned()));
        let scripted = objects.answers.borrow_mut().pop_front();
        let real = self.0.objects.real.borrow().clone();
        let (delay, answer) = match (scripted, real) {
            (Some(scripted), _) => scripted,
            (None, Some(objects)) => {
                let reply = Box::pin(object_fetch(&objects.get(self, name), &objects.shared, path, body)).await;
                (0, Ok((reply.status, reply.text.into_owned())))
            }
            (None, None) => (0, Ok((200, stub::object_answer(path).to_owned()))),
        };
        if delay > 0 {
            self.0.clock.sleep(delay).await;
        }
        answer
    }
}

impl BackEnd for Fake {
    async fn call(&self, post: Post<'_>, timeout: Duration) -> Result<(u16, Vec<u8>), SendError> {
        let (delay, answer) = self.0.back_end.answer(&post, timeout);
        let timeout = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        if delay >= timeout {
            self.0.clock.sleep(timeout).await;
            return Err(SendError::Timeout);
        }
        if delay > 0 {
            self.0.clock.sleep(delay).await;
        }
        answer
    }
}

impl Fetch for Fake {
    type Inbound = Inbound;
    type Stream = Written;

    async fn send(&self, request: Outbound<'_>, timeout: Duration) -> Result<Response, SendError> {
        let response = self.response(Sent::new(&request, self.now_millis()), timeout).await?;
        Ok(Response {
            status: response.status,
            wix_request_id: Some(REQUEST_ID.to_owned()),
            retry_after: response.retry_after,
            body: response.body.into_bytes(),
        })
    }

    async fn forward(&self, request: Forward<'_, Inbound>, timeout: Duration) -> Result<Forwarded<Written>, SendError> {
        let response = self.response(Sent::forwarded(&request, self.now_millis()), timeout).await?;
        let retry_after = response.retry_after.map(|wait| ("retry-after".to_owned(), wait));
        let id = ("x-wix-request-id".to_owned(), REQUEST_ID.to_owned());
        let sent: Vec<_> = response.headers.into_iter().chain(retry_after).chain([id]).collect();
        let wanted = |name: &&'static str| Some((*name, sent.iter().find(|(known, _)| known == name)?.1.clone()));
        let headers = request.wanted.iter().filter_map(wanted).collect();
        Ok(Forwarded { status: response.status, headers, body: Written::new(response.body) })
    }
}

impl Requests for Fake {
    type Duplex = FakeDuplex;

    fn header(&self, inbound: &Inbound, name: &'static str) -> Option<String> {
        let values: Vec<&str> =
            inbound.headers.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str()).collect();
        if name == "content-length" && values.is_empty() && !inbound.body.is_empty() && !inbound.chunked {
            return Some(inbound.body.len().to_string());
        }
        let separator = if name == "cookie" { "; " } else { ", " };
        if values.is_empty() { None } else { Some(values.join(separator)) }
    }

    async fn body(&self, inbound: Inbound, limit: usize) -> Result<Vec<u8>, BodyError> {
        match inbound {
            Inbound { broken: true, .. } => Err(BodyError::Broken),
            Inbound { body, .. } if body.len() > limit => Err(BodyError::TooLarge),
            Inbound { body, .. } => Ok(body),
        }
    }

    async fn buffer(&self, inbound: Inbound, limit: usize) -> Result<Body<Inbound>, BodyError> {
        match inbound {
            Inbound { broken: true, .. } => Err(BodyError::Broken),
            inbound if inbound.body.len() > limit => Ok(Body::Streamed(inbound, None)),
            Inbound { body, .. } => Ok(Body::Buffered(body)),
        }
    }

    async fn hold_jws(&self, inbound: Inbound, limits: JwsLimits) -> Result<Option<HeldJws<Vec<u8>>>, BodyError> {
        match inbound {
            Inbound { broken: true, .. } => Err(BodyError::Broken),
            _ if self.0.is_body_memory_full.get() => Err(BodyError::Busy),
            Inbound { body, .. } => stub::hold(&body, limits),
        }
    }

    fn duplex(&self, inbound: Inbound) -> Result<(FakeDuplex, Written), BodyError> {
        let duplex = FakeDuplex::new(inbound);
        let written = duplex.written();
        Ok((duplex, written))
    }

    async fn read_chunk(&self, duplex: &FakeDuplex) -> Result<Option<Vec<u8>>, BodyError> {
        duplex.read()
    }

    async fn write_chunk(&self, duplex: &FakeDuplex, text: &str) -> Result<(), BodyError> {
        duplex.write(text)
    }

    async fn end(&self, duplex: &FakeDuplex, is_whole: bool) {
        duplex.end(is_whole);
    }

    async fn is_within_rate(&self, client: &str) -> Result<bool, PlatformError> {
        let mut begun = self.0.flows_begun.borrow_mut();
        let count = begun.entry(client.to_owned()).or_default();
        *count += 1;
        match self.0.rate_limit.get() {
            Some(0) => Err(PlatformError("a scripted failure: no rate limiter".to_owned())),
            limit => Ok(limit.is_none_or(|limit| *count <= limit)),
        }
    }
}

fn cipher(key: &SealingKey) -> Aes256Gcm {
    Aes256Gcm::new(&(*key.key().expose()).into())
}
