//! The Worker: converts the runtime's requests and responses. It makes no decisions.

// For another target the crate is empty, so that a native build of the workspace needs none of its dependencies.
#![cfg(target_arch = "wasm32")]

mod body;
mod convert;
mod crypto;
mod glue;
mod object;
mod platform;
mod promised;
mod random;
mod start;

use std::cell::OnceCell;
use std::rc::Rc;

use js_sys::Array;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use wix_edge_core::Shared;
use worker::Env;

use crate::body::Inbound;
use crate::glue::{Context, Object, Promise};
use crate::object::Cell;
use crate::platform::Edge;

thread_local! {
    /// The state that the requests of this isolate share. Its configuration is parsed once, since the environment of an
    /// isolate does not change.
    static SHARED: OnceCell<Rc<Shared>> = const { OnceCell::new() };
}

fn shared(env: &Env) -> Rc<Shared> {
    SHARED.with(|shared| Rc::clone(shared.get_or_init(|| Rc::new(Shared::new(convert::config(env))))))
}

/// Handles a request. Returns a response, or a promise of one. Not `#[event(fetch)]`, which begins each request in a
/// microtask of its own. `body` is a short body that `entry.js` has read.
#[wasm_bindgen]
pub fn fetch(request: web_sys::Request, env: Env, context: Context, body: JsValue) -> Result<JsValue, JsValue> {
    start::start(Box::pin(async move {
        let response = respond(Inbound::new(request, body), env, context).await;
        let response = response.or_else(|error| {
            glue::error(&error.to_string());
            glue::respond(500, None, "", Some("INTERNAL SERVER ERROR"), None)
        });
        response.map(JsValue::from)
    }))
}

/// Reserves memory for a body that `entry.js` reads. Returns whether there was enough.
#[wasm_bindgen]
#[must_use]
pub fn reserve(bytes: usize) -> bool {
    body::IN_FLIGHT.with(|in_flight| in_flight.reserve(bytes))
}

/// Releases the memory of a body that `entry.js` read.
#[wasm_bindgen]
pub fn release(bytes: usize) {
    body::IN_FLIGHT.with(|in_flight| in_flight.release(bytes));
}

async fn respond(inbound: Inbound, env: Env, context: Context) -> worker::Result<web_sys::Response> {
    let shared = shared(&env);
    let unread = inbound.clone();
    let inbound = convert::request(inbound)?;
    let answered = wix_edge_core::handle(Edge::new(env), &shared, inbound).await;
    if let Some(follow_up) = answered.follow_up {
        let work = start::start(Box::pin(async move {
            // What is started runs at once until it waits, and the response comes first.
            Promise::resolve(&JsValue::UNDEFINED).await?;
            follow_up.run().await;
            Ok(JsValue::UNDEFINED)
        }));
        context.wait_until(&work?)?;
    }
    unread.drain().await;
    convert::response(&answered.reply)
}

/// Runs the Cron Trigger.
#[wasm_bindgen]
pub fn scheduled(env: Env) -> Result<JsValue, JsValue> {
    start::start(Box::pin(async move {
        let shared = shared(&env);
        wix_edge_core::scheduled(Edge::new(env), &shared).await;
        Ok(JsValue::UNDEFINED)
    }))
}

/// A request to the object of an installation: status and text of the response, and whether an event may be due.
#[wasm_bindgen]
pub fn object_fetch(object: Object, path: String, body: String) -> Result<JsValue, JsValue> {
    start::start(Box::pin(async move {
        let cell = Cell::new(object);
        let shared = shared(cell.env());
        let reply = wix_edge_core::object_fetch(&cell, &shared, &path, &body).await;
        Ok(Array::of3(&reply.status.into(), &JsValue::from_str(&reply.text), &reply.delivers.into()).into())
    }))
}

/// Delivers the events of an object that are due.
#[wasm_bindgen]
pub fn object_deliver(object: Object) -> Result<JsValue, JsValue> {
    start::start(Box::pin(async move {
        let cell = Cell::new(object);
        let shared = shared(cell.env());
        wix_edge_core::object_deliver(&cell, &shared).await;
        Ok(JsValue::UNDEFINED)
    }))
}

/// The alarm of an object.
#[wasm_bindgen]
pub fn object_alarm(object: Object) -> Result<JsValue, JsValue> {
    start::start(Box::pin(async move {
        let cell = Cell::new(object);
        let shared = shared(cell.env());
        wix_edge_core::object_alarm(&cell, &shared).await;
        Ok(JsValue::UNDEFINED)
    }))
}
