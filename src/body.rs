//! Bodies: read to a limit, and never left unread.

use std::cell::Cell;
use std::rc::Rc;

use js_sys::{Promise, Uint8Array};
use wasm_bindgen::{JsCast as _, JsValue};
use web_sys::Request;
use wix_edge_core::platform::{BodyError, Short};

use crate::glue;

/// How much of a refused body is read and thrown away, in bytes. `wrangler dev` fails the next request on a connection
/// whose last body was left unread.
const DRAIN_LIMIT: u32 = 4 * 1024 * 1024;

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

    /// The body if it ends within `limit` bytes, or a request that has it whole.
    pub async fn read_short(&self, limit: usize) -> Result<Short<Self>, BodyError> {
        self.asked_for.set(true);
        if !self.short.is_undefined() {
            let short = bytes(&self.short).ok_or(BodyError::Broken)?;
            return Ok(if short.len() <= limit { Short::Whole(short) } else { Short::Longer(self.clone()) });
        }
        let read = glue::read_short(&self.request, u32::try_from(limit).unwrap_or(u32::MAX)).await;
        match read.map_err(|_| BodyError::Broken)?.dyn_into::<Request>() {
            Ok(request) => Ok(Short::Longer(Self { request, ..self.clone() })),
            Err(read) => bytes(&read).map(Short::Whole).ok_or(BodyError::Broken),
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
    let most = u32::try_from(limit).unwrap_or(u32::MAX);
    let mut read = glue::read(request, most, DRAIN_LIMIT).map_err(|_| BodyError::Broken)?;
    if let Some(promise) = read.dyn_ref::<Promise>() {
        read = promise.clone().await.map_err(|_| BodyError::Broken)?;
    }
    bytes(&read).filter(|bytes| bytes.len() <= limit).ok_or(BodyError::TooLarge)
}

/// What was read.
pub fn bytes(read: &JsValue) -> Option<Vec<u8>> {
    read.dyn_ref::<Uint8Array>().map(Uint8Array::to_vec)
}
