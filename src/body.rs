//! Inbound bodies: read up to a limit, or streamed. None is left unread.

use std::cell::Cell;
use std::rc::Rc;

use js_sys::Uint8Array;
use wasm_bindgen::{JsCast as _, JsValue};
use web_sys::Request;
use wix_edge_core::{Body, BodyError, HeldJws, InFlight, JwsLimits};

use crate::glue::{self, Duplex, Jws, Promise};

/// How much of a refused body is read and discarded, in bytes. `wrangler dev` fails the next request on a connection
/// whose last body was left unread.
const DRAIN_LIMIT: u32 = 4 * 1024 * 1024;

thread_local! {
    /// The memory of the bodies that this isolate holds in JavaScript. Bodies that the core reads into wasm do not
    /// count.
    pub static IN_FLIGHT: InFlight = InFlight::default();
}

/// Memory reserved for the bytes of a body, and released on drop.
struct Reservation(usize);

impl Reservation {
    fn reserve(bytes: usize) -> Result<Self, BodyError> {
        if IN_FLIGHT.with(|in_flight| in_flight.reserve(bytes)) { Ok(Self(bytes)) } else { Err(BodyError::Busy) }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        IN_FLIGHT.with(|in_flight| in_flight.release(self.0));
    }
}

/// A JWS that stays in JavaScript's memory.
pub struct Held {
    pub jws: Jws,
    /// `None` for a body that `entry.js` read: it holds the reservation itself.
    _reservation: Option<Reservation>,
}

/// A request with its body.
#[derive(Clone)]
pub struct Inbound {
    pub request: Request,
    /// The body, if `entry.js` has read it: `null` where it broke off, and undefined where it was not read.
    read_early: JsValue,
    /// Whether the core took the body.
    taken: Rc<Cell<bool>>,
}

impl Inbound {
    pub fn new(request: Request, read_early: JsValue) -> Self {
        Self { request, read_early, taken: Rc::default() }
    }

    /// The body for a forwarded request: bytes or a stream.
    pub fn payload(&self) -> JsValue {
        if self.read_early.is_undefined() {
            self.request.body().map_or(JsValue::UNDEFINED, JsValue::from)
        } else {
            self.read_early.clone()
        }
    }

    /// Reads a body of up to `limit` bytes. A longer one is refused, and discarded up to `DRAIN_LIMIT`.
    pub async fn read(&self, limit: usize) -> Result<Vec<u8>, BodyError> {
        self.taken.set(true);
        if self.read_early.is_undefined() {
            return read(&self.request, limit).await;
        }
        let short = bytes(&self.read_early).ok_or(BodyError::Broken)?;
        Some(short).filter(|bytes| bytes.len() <= limit).ok_or(BodyError::TooLarge)
    }

    /// Reads a compact JWS, which stays in JavaScript's memory.
    pub async fn hold_jws(&self, limits: JwsLimits) -> Result<Option<HeldJws<Held>>, BodyError> {
        let (bytes, reservation) = if self.read_early.is_undefined() {
            let length = glue::header(&self.request, "content-length").and_then(|text| text.parse().ok());
            let reservation = Reservation::reserve(length.unwrap_or(limits.body).min(limits.body))?;
            self.taken.set(true);
            (read_in_js(&self.request, limits.body).await?, Some(reservation))
        } else {
            self.taken.set(true);
            let bytes = self.read_early.dyn_ref::<Uint8Array>().ok_or(BodyError::Broken)?.clone();
            (bytes, None)
        };
        if bytes.length() > size(limits.body) {
            return Err(BodyError::TooLarge);
        }
        let jws = glue::split_jws(&bytes, size(limits.header), size(limits.signature));
        Ok(jws.map(|jws| HeldJws {
            header: jws.header(),
            signature: jws.signature(),
            held: Held { jws, _reservation: reservation },
        }))
    }

    /// Buffers a body of up to `limit` bytes. A longer one can then be streamed from its start.
    pub async fn buffer(&self, limit: usize) -> Result<Body<Self>, BodyError> {
        self.taken.set(true);
        if !self.read_early.is_undefined() {
            let short = bytes(&self.read_early).ok_or(BodyError::Broken)?;
            let fits = short.len() <= limit;
            return Ok(if fits { Body::Buffered(short) } else { Body::Streamed(self.clone(), None) });
        }
        let read = glue::read_short(&self.request, size(limit)).await;
        match read.map_err(|_| BodyError::Broken)?.dyn_into::<Request>() {
            Ok(request) => Ok(Body::Streamed(Self { request, ..self.clone() }, None)),
            Err(read) => bytes(&read).map(Body::Buffered).ok_or(BodyError::Broken),
        }
    }

    /// Begins to read the body, and to write that of the response.
    pub fn duplex(&self) -> Result<Duplex, BodyError> {
        self.taken.set(true);
        if self.read_early.is_null() {
            return Err(BodyError::Broken);
        }
        Duplex::new(&self.payload()).map_err(|_| BodyError::Broken)
    }

    /// Reads and discards a body that the core did not take.
    pub async fn drain(&self) {
        if !self.taken.get() && self.read_early.is_undefined() && glue::is_unread(&self.request) {
            let _ = read(&self.request, 0).await;
        }
    }
}

async fn read(request: &Request, limit: usize) -> Result<Vec<u8>, BodyError> {
    Ok(read_in_js(request, limit).await?.to_vec())
}

/// Reads a body of up to `limit` bytes, and leaves the bytes in JavaScript's memory.
async fn read_in_js(request: &Request, limit: usize) -> Result<Uint8Array, BodyError> {
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

/// Copies an array of bytes into wasm. `None` if the value is not one.
pub fn bytes(value: &JsValue) -> Option<Vec<u8>> {
    value.dyn_ref::<Uint8Array>().map(Uint8Array::to_vec)
}
