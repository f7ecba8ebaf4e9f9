//! The runtime's types, into the core's and back.

use http::Method;
use js_sys::Reflect;
use wasm_bindgen::JsValue;
use web_sys::{Headers, ReadableStream, Response, ResponseInit};
use wix_edge_core::config::{Binding, Config, Fault};
use wix_edge_core::reply::Reply;
use wix_edge_core::request::Request;
use worker::{Env, Error};

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
pub fn request(request: web_sys::Request) -> worker::Result<Request<web_sys::Request>> {
    let method =
        Method::from_bytes(request.method().as_bytes()).map_err(|error| Error::RustError(error.to_string()))?;
    Ok(Request::new(method, &request.url(), request)?)
}

/// A response; `stream` in place of the reply's own body.
pub fn response(reply: &Reply, stream: Option<&ReadableStream>) -> worker::Result<Response> {
    let headers = Headers::new()?;
    for (name, value) in &reply.headers {
        headers.append(name, value)?;
    }
    let init = ResponseInit::new();
    init.set_status(reply.status.as_u16());
    init.set_headers(&headers);
    // The runtime refuses a body, even an empty one, where HTTP has none.
    if let Some(stream) = stream.filter(|_| !matches!(reply.status.as_u16(), 204 | 205 | 304)) {
        return Ok(Response::new_with_opt_readable_stream_and_init(Some(stream), &init)?);
    }
    let body = (!reply.body.is_empty()).then_some(reply.body.as_str());
    Ok(Response::new_with_opt_str_and_init(body, &init)?)
}
