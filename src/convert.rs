//! The runtime's types, into the core's and back.

use std::borrow::Cow;

use http::Method;
use js_sys::Reflect;
use wasm_bindgen::JsValue;
use web_sys::{ReadableStream, Response};
use wix_edge_core::config::{Binding, Config, Fault};
use wix_edge_core::reply::Reply;
use wix_edge_core::request::Request;
use worker::{Env, Error};

use crate::body::Inbound;
use crate::glue;

/// The configuration, from the environment's bindings.
pub fn config(env: &Env) -> Result<Config, Vec<Fault>> {
    let binding = |name: &str| Reflect::get(env, &JsValue::from_str(name)).unwrap_or(JsValue::UNDEFINED);
    let lookup = |name: &str| {
        let value = binding(name);
        match value.as_string() {
            Some(text) => Binding::Text(text),
            None if value.is_undefined() || value.is_null() => Binding::Missing,
            None => Binding::NotText,
        }
    };
    Config::parse(lookup, binding("INSTANCES").is_object())
}

/// A request, with headers and body left where they are.
pub fn request(inbound: Inbound) -> worker::Result<Request<Inbound>> {
    let method = inbound.request.method();
    let method = Method::from_bytes(method.as_bytes()).map_err(|error| Error::RustError(error.to_string()))?;
    let url = inbound.request.url();
    Ok(Request::new(method, &url, inbound)?)
}

/// A response; `stream` in place of the reply's own body.
pub fn response(reply: &Reply, stream: Option<&ReadableStream>) -> worker::Result<Response> {
    let lines_of = |constant: bool| {
        let headers = reply.headers.iter().filter(|(_, value)| matches!(value, Cow::Borrowed(_)) == constant);
        lines(headers.map(|(name, value)| (*name, value.as_ref())))
    };
    let (Some(constant), Some(varying)) = (lines_of(true), lines_of(false)) else {
        return Err(Error::RustError("a header has a line break".to_owned()));
    };
    let status = reply.status.as_u16();
    // The runtime refuses a body, even an empty one, where HTTP has none.
    let stream = stream.filter(|_| !matches!(status, 204 | 205 | 304));
    let text = (!reply.body.is_empty()).then_some(reply.body.as_str());
    Ok(glue::respond(status, &constant, &varying, text, stream)?)
}

/// Names and values for `glue.js`, a line each; nothing where a line break would make a header of its own.
pub fn lines<'a>(headers: impl IntoIterator<Item = (&'a str, &'a str)>) -> Option<String> {
    let mut lines = String::new();
    for (name, value) in headers {
        if value.contains(['\n', '\r']) {
            return None;
        }
        lines.extend([name, "\n", value, "\n"]);
    }
    Some(lines)
}

/// The headers that were found, of those that were asked for: what `glue.js` gives as lines of a number and a value.
pub fn found(lines: &str, names: &[&'static str]) -> Vec<(&'static str, String)> {
    let mut lines = lines.split('\n');
    let mut found = Vec::new();
    while let (Some(number), Some(value)) = (lines.next(), lines.next()) {
        let name = number.parse::<usize>().ok().and_then(|number| names.get(number));
        found.extend(name.map(|name| (*name, value.to_owned())));
    }
    found
}
