//! The runtime's types, into the core's and back.

use http::Method;
use js_sys::Reflect;
use url::Url;
use wasm_bindgen::JsValue;
use web_sys::{Headers, Response, ResponseInit};
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
    Ok(Request {
        method: Method::from_bytes(request.method().as_bytes()).map_err(|error| Error::RustError(error.to_string()))?,
        url: Url::parse(&request.url())?,
        inbound: request,
    })
}

/// A response.
pub fn response(reply: &Reply) -> worker::Result<Response> {
    let headers = Headers::new()?;
    for (name, value) in &reply.headers {
        headers.append(name, value)?;
    }
    let init = ResponseInit::new();
    init.set_status(reply.status.as_u16());
    init.set_headers(&headers);
    let body = (!reply.body.is_empty()).then_some(reply.body.as_str());
    Ok(Response::new_with_opt_str_and_init(body, &init)?)
}
