//! Bodies: read to a limit, and never left unread.

use std::cell::Cell;
use std::rc::Rc;

use js_sys::{Array, Promise, Uint8Array};
use wasm_bindgen::{JsCast as _, JsValue};
use web_sys::Request;
use wix_edge_core::{Body, BodyError, HeldJws, InFlight, JwsLimits};

use crate::glue;

/// How much of a refused body is read and thrown away, in bytes. `wrangler dev` fails the next request on a connection
/// whose last body was left unread.
const DRAIN_LIMIT: u32 = 4 * 1024 * 1024;

thread_local! {
    /// The bytes of bodies that this isolate holds, but for those that the core asks for and drops at once.
    pub static IN_FLIGHT: InFlight = InFlight::default();
}

/// Room for the bytes of a body, given back when this is dropped.
struct Room(usize);

impl Room {
    fn reserve(bytes: usize) -> Result<Self, BodyError> {
        if IN_FLIGHT.with(|in_flight| in_flight.reserve(bytes)) { Ok(Self(bytes)) } else { Err(BodyError::Busy) }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        IN_FLIGHT.with(|in_flight| in_flight.release(self.0));
    }
}

/// Bytes that stay in JavaScript's memory.
pub struct Held {
    bytes: Uint8Array,
    /// None of a body that was read on the way in: `entry.js` keeps the room for that.
    _room: Option<Room>,
}

impl Held {
    pub fn bytes(&self) -> &Uint8Array {
        &self.bytes
    }
}

/// A request, and whether its body was asked for.
#[derive(Clone)]
pub struct Inbound {
    pub request: Request,
    /// A short body, which is read on the way in; `null` where it broke off, and undefined of a longer one.
    short: JsValue,
    asked_for: Rc<Cell<bool>>,
}

impl Inbound {
    pub fn new(request: Request, short: JsValue) -> Self {
        Self { request, short, asked_for: Rc::default() }
    }

    /// The body as it can be sent on: bytes, or a stream.
    pub fn payload(&self) -> JsValue {
        if self.short.is_undefined() {
            self.request.body().map_or(JsValue::UNDEFINED, JsValue::from)
        } else {
            self.short.clone()
        }
    }

    /// The body of up to `limit` bytes. A longer one is read on, to a bound, and thrown away.
    pub async fn read(&self, limit: usize) -> Result<Vec<u8>, BodyError> {
        self.asked_for.set(true);
        if self.short.is_undefined() {
            return read(&self.request, limit).await;
        }
        let short = bytes(&self.short).ok_or(BodyError::Broken)?;
        Some(short).filter(|bytes| bytes.len() <= limit).ok_or(BodyError::TooLarge)
    }

    /// The body as a compact JWS, held outside.
    pub async fn hold_jws(&self, limits: JwsLimits) -> Result<Option<HeldJws<Held>>, BodyError> {
        let (bytes, room) = if self.short.is_undefined() {
            let length = glue::header(&self.request, "content-length").and_then(|text| text.parse().ok());
            let room = Room::reserve(length.unwrap_or(limits.body).min(limits.body))?;
            self.asked_for.set(true);
            (read_outside(&self.request, limits.body).await?, Some(room))
        } else {
            self.asked_for.set(true);
            let bytes = self.short.dyn_ref::<Uint8Array>().ok_or(BodyError::Broken)?.clone();
            (bytes, None)
        };
        if bytes.length() > size(limits.body) {
            return Err(BodyError::TooLarge);
        }
        let parts = glue::split_jws(&bytes, size(limits.header), size(limits.signature));
        let Some(parts) = parts.dyn_ref::<Array>() else { return Ok(None) };
        let text = |at| parts.get(at).as_string().unwrap_or_default();
        let held = Held { bytes: parts.get(2).unchecked_into(), _room: room };
        Ok(Some(HeldJws { header: text(0), signature: text(1), held }))
    }

    /// Buffers the body if it ends within `limit` bytes. A longer one stays whole, to be streamed.
    pub async fn buffer(&self, limit: usize) -> Result<Body<Self>, BodyError> {
        self.asked_for.set(true);
        if !self.short.is_undefined() {
            let short = bytes(&self.short).ok_or(BodyError::Broken)?;
            let fits = short.len() <= limit;
            return Ok(if fits { Body::Buffered(short) } else { Body::Streamed(self.clone(), None) });
        }
        let read = glue::read_short(&self.request, size(limit)).await;
        match read.map_err(|_| BodyError::Broken)?.dyn_into::<Request>() {
            Ok(request) => Ok(Body::Streamed(Self { request, ..self.clone() }, None)),
            Err(read) => bytes(&read).map(Body::Buffered).ok_or(BodyError::Broken),
        }
    }

    /// Reads and throws away a body that nobody asked for.
    pub async fn drain(&self) {
        if !self.asked_for.get() && self.short.is_undefined() && glue::is_unread(&self.request) {
            let _ = read(&self.request, 0).await;
        }
    }
}

async fn read(request: &Request, limit: usize) -> Result<Vec<u8>, BodyError> {
    Ok(read_outside(request, limit).await?.to_vec())
}

/// The bytes of a body of up to `limit`, left where they are.
async fn read_outside(request: &Request, limit: usize) -> Result<Uint8Array, BodyError> {
    let most = size(limit);
    let mut read = glue::read(request, most, DRAIN_LIMIT).map_err(|_| BodyError::Broken)?;
    if let Some(promise) = read.dyn_ref::<Promise>() {
        read = promise.clone().await.map_err(|_| BodyError::Broken)?;
    }
    let bytes = read.dyn_into::<Uint8Array>().map_err(|_| BodyError::TooLarge)?;
    if bytes.length() <= most { Ok(bytes) } else { Err(BodyError::TooLarge) }
}

fn size(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

/// What was read.
pub fn bytes(read: &JsValue) -> Option<Vec<u8>> {
    read.dyn_ref::<Uint8Array>().map(Uint8Array::to_vec)
}
