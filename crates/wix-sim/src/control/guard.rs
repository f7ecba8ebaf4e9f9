//! Rejects requests from pages of another origin, and requests through DNS rebinding.

use std::net::IpAddr;

use axum::extract::Request;
use axum::http::header::{HOST, ORIGIN};
use axum::http::uri::Authority;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::input::Refusal;

/// Rejects a `Host` that is not loopback on every route, and a foreign `Origin` on routes that change state.
pub(crate) async fn check(request: Request, next: Next) -> Response {
    let host = request.headers().get(HOST).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !is_loopback(host) {
        return Refusal::forbidden("the Host header must name loopback").into_response();
    }
    let path = request.uri().path();
    let guarded = path.starts_with("/_sim/") || path == "/installer/consent";
    let origin = request.headers().get(ORIGIN);
    if guarded && origin.is_some_and(|origin| origin.to_str().ok() != Some(&format!("http://{host}"))) {
        return Refusal::forbidden("the Origin header must be the simulator's origin").into_response();
    }
    next.run(request).await
}

/// Whether a `Host` value names loopback, with or without a port.
fn is_loopback(host: &str) -> bool {
    let Ok(authority) = host.parse::<Authority>() else { return false };
    if host.contains('@') {
        return false;
    }
    let name = authority.host();
    let address = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests;
