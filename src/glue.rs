//! Bindings to `glue.js`, which does in one call of JavaScript what would else take several.

use js_sys::{Array, Uint8Array};
use wasm_bindgen::JsValue;
use wasm_bindgen::closure::Closure;
use wasm_bindgen::prelude::wasm_bindgen;
use web_sys::{CryptoKey, ReadableStream, Request, Response};

type Result<T> = std::result::Result<T, JsValue>;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = console)]
    pub fn log(line: &str);
    #[wasm_bindgen(js_namespace = console)]
    pub fn warn(line: &str);
    #[wasm_bindgen(js_namespace = console)]
    pub fn error(line: &str);

    /// `.await` gives its outcome: see promised.rs.
    #[derive(Clone)]
    pub type Promise;
    #[wasm_bindgen(static_method_of = Promise)]
    pub fn resolve(value: &JsValue) -> Promise;
}

#[wasm_bindgen(module = "/src/glue.js")]
extern "C" {
    /// The context of a request.
    pub type Context;
    /// Keeps the request alive until the promise is settled. Accepts any value.
    #[wasm_bindgen(method, catch, js_name = waitUntil)]
    pub fn wait_until(this: &Context, promise: &JsValue) -> Result<()>;

    /// A KV namespace.
    #[derive(Clone)]
    pub type Kv;
    #[wasm_bindgen(method, catch)]
    pub fn get(this: &Kv, key: &str) -> Result<Promise>;
    #[wasm_bindgen(js_name = getMany)]
    pub fn get_many(kv: &Kv, keys: &Array) -> Promise;
    #[wasm_bindgen(method, catch)]
    pub fn delete(this: &Kv, key: &str) -> Result<Promise>;
    #[wasm_bindgen(catch)]
    pub fn put(kv: &Kv, key: &str, value: &str, ttl: Option<f64>, metadata: Option<&str>) -> Result<Promise>;
    /// Resolves to lines: the cursor, then a name and its metadata for each key.
    pub fn list(kv: &Kv, prefix: &str, cursor: Option<&str>, limit: u16) -> Promise;

    #[wasm_bindgen(js_name = sleepUntilWoken)]
    pub fn sleep_until_woken(key: u32, millis: u32) -> Promise;
    pub fn wake(key: u32);

    /// Lines of texts, and lines of numbers.
    pub fn measure(dataset: &JsValue, blobs: &str, doubles: &str);

    /// An object of the class `Installation` in `entry.js`.
    pub type Object;
    #[wasm_bindgen(method, getter)]
    pub fn env(this: &Object) -> JsValue;
    #[wasm_bindgen(method, getter)]
    pub fn lease(this: &Object) -> f64;
    #[wasm_bindgen(method, setter)]
    pub fn set_lease(this: &Object, until: f64);
    #[wasm_bindgen(method, getter, js_name = hasTables)]
    pub fn has_tables(this: &Object) -> bool;
    #[wasm_bindgen(method, setter, js_name = hasTables)]
    pub fn set_has_tables(this: &Object, has_tables: bool);
    /// The rows as JSON, each a list of its columns; `None` if there is none. The values are a list in JSON.
    #[wasm_bindgen(catch)]
    pub fn sql(object: &Object, statement: &str, values: &str) -> Result<Option<String>>;
    /// Fails if the transaction was rolled back.
    #[wasm_bindgen(catch)]
    pub fn transaction(object: &Object, work: &mut dyn FnMut() -> bool) -> Result<()>;
    #[wasm_bindgen(catch)]
    pub fn alarm(object: &Object) -> Result<Promise>;
    #[wasm_bindgen(catch, js_name = setAlarm)]
    pub fn set_alarm(object: &Object, at: JsValue) -> Result<()>;
    pub fn erase(object: &Object) -> Promise;
    /// Status and `retry-after`; undefined when the time is over.
    pub fn deliver(binding: &JsValue, url: &str, headers: &str, body: &str, millis: u32) -> Promise;
    /// Status and text.
    #[wasm_bindgen(js_name = askObject)]
    pub fn ask_object(namespace: &JsValue, name: &str, path: &str, body: &str) -> Promise;

    /// Headers that many responses have.
    #[derive(Clone)]
    pub type Headers;
    #[wasm_bindgen(catch, js_name = constantHeaders)]
    pub fn constant_headers(lines: &str) -> Result<Headers>;
    #[wasm_bindgen(catch)]
    pub fn respond(
        status: u16,
        constant: Option<&Headers>,
        varying: &str,
        text: Option<&str>,
        stream: Option<&ReadableStream>,
    ) -> Result<Response>;
    pub fn header(request: &Request, name: &str) -> Option<String>;
    /// Lines: the index of a name and its value, for each header found.
    pub fn headers(message: &JsValue, names: &str) -> String;

    pub type Duplex;
    #[wasm_bindgen(constructor, catch)]
    pub fn new(body: &JsValue) -> Result<Duplex>;
    #[wasm_bindgen(method, getter)]
    pub fn stream(this: &Duplex) -> ReadableStream;
    /// Resolves to bytes, or to undefined at the end.
    #[wasm_bindgen(method)]
    pub fn read(this: &Duplex) -> Promise;
    #[wasm_bindgen(method)]
    pub fn write(this: &Duplex, text: &str) -> Promise;
    #[wasm_bindgen(method)]
    pub fn end(this: &Duplex, is_whole: bool) -> Promise;

    /// A timer that can be stopped.
    pub type Timer;
    #[wasm_bindgen(constructor)]
    pub fn new(millis: u32) -> Timer;
    /// Resolves at the end of the time.
    #[wasm_bindgen(method, getter)]
    pub fn end(this: &Timer) -> Promise;
    #[wasm_bindgen(method)]
    pub fn stop(this: &Timer);

    /// Calls `settled` when the promise is settled: with this number, whether it was fulfilled, and its value.
    pub fn settle(promise: &Promise, number: usize, settled: &Closure<dyn Fn(usize, bool, JsValue)>);

    /// A promise that wasm settles.
    pub type Deferred;
    pub fn deferred() -> Deferred;
    #[wasm_bindgen(method, getter)]
    pub fn promise(this: &Deferred) -> JsValue;
    #[wasm_bindgen(method)]
    pub fn resolve(this: &Deferred, value: &JsValue);
    #[wasm_bindgen(method)]
    pub fn reject(this: &Deferred, error: &JsValue);

    /// Bytes or a promise of them. Undefined if there are too many.
    #[wasm_bindgen(catch)]
    pub fn read(request: &Request, limit: u32, drain: u32) -> Result<JsValue>;
    /// Resolves to the bytes of a short body, or to a request with the whole of a longer one.
    #[wasm_bindgen(js_name = readShort)]
    pub fn read_short(request: &Request, limit: u32) -> Promise;
    /// A compact JWS in JavaScript's memory. Its parts are encoded.
    pub type Jws;
    #[wasm_bindgen(method, getter)]
    pub fn header(this: &Jws) -> Vec<u8>;
    #[wasm_bindgen(method, getter)]
    pub fn claims(this: &Jws) -> Vec<u8>;
    #[wasm_bindgen(method, getter)]
    pub fn signature(this: &Jws) -> Vec<u8>;
    /// None if the bytes are not a compact JWS of these limits.
    #[wasm_bindgen(js_name = splitJws)]
    pub fn split_jws(bytes: &Uint8Array, longest_header: u32, longest_signature: u32) -> Option<Jws>;
    #[wasm_bindgen(js_name = isWithinRate)]
    pub fn is_within_rate(limiter: &JsValue, key: &str) -> Promise;
    #[wasm_bindgen(js_name = isUnread)]
    pub fn is_unread(request: &Request) -> bool;

    /// A response that was read.
    pub type Answer;
    #[wasm_bindgen(method, getter)]
    pub fn status(this: &Answer) -> u16;
    /// Lines, as `headers` returns them.
    #[wasm_bindgen(method, getter)]
    pub fn found(this: &Answer) -> String;
    #[wasm_bindgen(method, getter)]
    pub fn body(this: &Answer) -> Vec<u8>;
    /// Sends a request to Wix. Resolves to undefined after the timeout.
    pub fn send(
        url: &str,
        method: &str,
        headers: &str,
        body: Option<&str>,
        millis: u32,
        names: &str,
        limit: u32,
    ) -> Promise;
    /// Sends a request to the app's back end, by a service binding if there is one. Resolves to undefined after the timeout.
    pub fn call(binding: &JsValue, url: &str, headers: &str, body: &str, millis: u32, limit: u32) -> Promise;
    /// Resolves to a response with its body unread. Undefined after the timeout.
    pub fn forward(url: &str, method: &str, headers: &str, body: &JsValue, millis: u32) -> Promise;

    #[wasm_bindgen(catch, js_name = importRs256)]
    pub fn import_rs256(spki: &[u8]) -> Result<Promise>;
    #[wasm_bindgen(catch, js_name = verifyRs256)]
    pub fn verify_rs256(key: &CryptoKey, signature: &[u8], jws: &Jws) -> Result<Promise>;
    #[wasm_bindgen(catch, js_name = importAes)]
    pub fn import_aes(key: &[u8]) -> Result<Promise>;
    #[wasm_bindgen(catch)]
    pub fn seal(key: &CryptoKey, nonce: &[u8], associated: &[u8], plain: &[u8]) -> Result<Promise>;
    /// Resolves to an array buffer, or to undefined if decryption fails.
    pub fn open(key: &CryptoKey, nonce: &[u8], associated: &[u8], cipher: &[u8]) -> Promise;
}
