//! Converts between the runtime's types and the core's.

use std::borrow::Cow;
use std::cell::RefCell;

use http::Method;
use js_sys::Reflect;
use wasm_bindgen::JsValue;
use web_sys::{ReadableStream, Response};
use wix_edge_core::{Binding, Config, Fault, Reply, ReplyBody, Request};
use worker::{Env, Error};

use crate::body::Inbound;
use crate::glue::{self, Headers};

type ConstantHeaders = (Vec<(&'static str, &'static str)>, Headers);

thread_local! {
    /// It has an entry for each set of constant headers in the code.
    static CONSTANT_HEADERS: RefCell<Vec<ConstantHeaders>> = const { RefCell::new(Vec::new()) };
}

/// Parses the configuration from the environment's bindings.
pub fn config(env: &Env) -> Result<Config, Vec<Fault>> {
    let binding = |name: &str| Reflect::get(env, &JsValue::from_str(name)).unwrap_or(JsValue::UNDEFINED);
    let lookup = |name: &str| {
        let value = binding(name);
        match value.as_string() {
            Some(text) => Binding::Text(text),
            None if value.is_undefined() || value.is_null() => Binding::Missing,
            None if value.is_object() => Binding::Object,
            None => Binding::NotText,
        }
    };
    Config::parse(lookup)
}

/// Converts a request. Its headers and its body stay in JavaScript's memory.
pub fn request(inbound: Inbound) -> worker::Result<Request<Inbound>> {
    let method = inbound.request.method();
    let method = Method::from_bytes(method.as_bytes()).map_err(|error| Error::RustError(error.to_string()))?;
    Ok(Request::new(method, inbound.request.url(), inbound))
}

/// Converts a response.
pub fn response(reply: &Reply<Option<ReadableStream>>) -> worker::Result<Response> {
    let varying = reply.headers.iter().filter_map(|(name, value)| match value {
        Cow::Owned(value) => Some((*name, value.as_str())),
        Cow::Borrowed(_) => None,
    });
    let varying = lines(varying).ok_or_else(broken_header)?;
    let status = reply.status.as_u16();
    let (text, stream) = match &reply.body {
        ReplyBody::Text(text) => (Some(text.as_str()), None),
        // With these statuses the runtime refuses any body, even an empty one.
        ReplyBody::Stream(stream) if !matches!(status, 204 | 205 | 304) => (None, stream.as_ref()),
        ReplyBody::Empty | ReplyBody::Stream(_) => (None, None),
    };
    Ok(glue::respond(status, Some(&constant_headers(reply)?), &varying, text, stream)?)
}

/// The headers with constant values, which are made once.
fn constant_headers(reply: &Reply<Option<ReadableStream>>) -> worker::Result<Headers> {
    let constant = || {
        reply.headers.iter().filter_map(|(name, value)| match value {
            Cow::Borrowed(value) => Some((*name, *value)),
            Cow::Owned(_) => None,
        })
    };
    let known = CONSTANT_HEADERS.with_borrow(|known| {
        let known = known.iter().find(|(known, _)| known.iter().copied().eq(constant()));
        known.map(|(_, headers)| headers.clone())
    });
    if let Some(known) = known {
        return Ok(known);
    }
    let headers = glue::constant_headers(&lines(constant()).ok_or_else(broken_header)?)?;
    CONSTANT_HEADERS.with_borrow_mut(|known| known.push((constant().collect(), headers.clone())));
    Ok(headers)
}

fn broken_header() -> Error {
    Error::RustError("a header must not have a line break".to_owned())
}

/// Encodes headers for `glue.js`: a line for each name, and a line for its value. `None` if a value has a line break,
/// after which `glue.js` would read another header.
pub fn lines<'a>(headers: impl IntoIterator<Item = (&'a str, &'a str)>) -> Option<String> {
    let mut lines = String::new();
    for (name, value) in headers {
        if value.bytes().any(|byte| matches!(byte, b'\n' | b'\r')) {
            return None;
        }
        lines.extend([name, "\n", value, "\n"]);
    }
    Some(lines)
}

/// Decodes the headers that `glue.js` found: a line for the index of each name, and a line for its value.
pub fn found(lines: &str, names: &[&'static str]) -> Vec<(&'static str, String)> {
    let mut lines = lines.split('\n');
    let mut found = Vec::new();
    while let (Some(index), Some(value)) = (lines.next(), lines.next()) {
        let name = index.parse::<usize>().ok().and_then(|index| names.get(index));
        found.extend(name.map(|name| (*name, value.to_owned())));
    }
    found
}
