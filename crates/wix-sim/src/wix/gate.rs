//! The middleware of all endpoints: reads the body, applies faults and the rate limit, records the call.
//!
//! It adds `x-wix-request-id` to every response (section 9).

use std::time::Instant;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_LENGTH, PRAGMA, RETRY_AFTER};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::{StreamExt as _, stream};
use serde_json::{Map, Value};

use super::error::WixError;
use crate::clock::Clock;
use crate::faults::{self, Endpoint, Kind};
use crate::line::Connection;
use crate::shared::Ctx;
use crate::tokens;
use crate::world::{Call, World, push};
use crate::{fields, ids};

/// The largest accepted body.
const LIMIT: usize = 8 << 20;

/// The properties of a call that the middleware reads from the request.
struct CallInfo {
    endpoint: Endpoint,
    instance_id: Option<String>,
    grant_type: Option<String>,
    cache_control: Option<String>,
    pragma: Option<String>,
}

/// A call over the rate limit.
struct OverLimit {
    retry_after: Option<RetryAfter>,
}

/// The two forms of `Retry-After` (RFC 9110 10.2.3).
enum RetryAfter {
    Seconds(u32),
    Date(u32),
}

impl RetryAfter {
    fn value(&self) -> Option<HeaderValue> {
        match *self {
            Self::Seconds(seconds) => Some(HeaderValue::from(seconds)),
            // By the wall clock, which the app uses. Rounded up, since an HTTP date has whole seconds only.
            Self::Date(seconds) => {
                HeaderValue::from_str(&ids::http_date(Clock::wall_ms() + i64::from(seconds) * 1000 + 999)).ok()
            }
        }
    }
}

/// Runs the endpoint, applies a fault or the rate limit, and records the call.
pub(crate) async fn intercept(
    State(ctx): State<Ctx>,
    ConnectInfo(connection): ConnectInfo<Connection>,
    request: Request,
    next: Next,
) -> Response {
    let Some(endpoint) = Endpoint::at(request.uri().path()) else { return next.run(request).await };
    let (at_ms, started) = (ctx.clock.now_ms(), Instant::now());
    let (parts, body) = request.into_parts();
    let (method, path) = (parts.method.to_string(), parts.uri.path().to_owned());
    let Ok(bytes) = to_bytes(body, LIMIT).await else {
        return refusal(endpoint, 413, "invalid_request", "the body must not be larger than 8 MiB").into_response();
    };
    let (info, fault, limited) = ctx.change(|world| {
        let info = describe(world, endpoint, &parts, &bytes);
        record_findings(world, &parts, &bytes, &info, at_ms);
        let fault = faults::take(&mut world.faults, endpoint, info.instance_id.as_deref());
        let limited = check_rate_limit(world, &info, at_ms);
        (info, fault, limited)
    });
    let fault_name = fault.as_ref().map(name_of);
    let run = next.run(Request::from_parts(parts, Body::from(bytes)));
    let mut response = match (fault, limited) {
        (Some(fault), _) => apply_fault(fault, endpoint, &connection, run).await,
        (None, Some(OverLimit { retry_after })) => too_many(retry_after),
        (None, None) => run.await,
    };
    let request_id = format!("{}.{}", at_ms.div_euclid(1000), u32::from_be_bytes(first_four()));
    if let Ok(value) = HeaderValue::from_str(&request_id) {
        response.headers_mut().insert("x-wix-request-id", value);
    }
    let status = if connection.is_cut() { 0 } else { response.status().as_u16() };
    let duration_ms = i64::try_from(started.elapsed().as_millis()).unwrap_or(i64::MAX);
    ctx.change(|world| {
        let id = world.next_id();
        *world.counts.entry(endpoint).or_default() += 1;
        let CallInfo { instance_id, grant_type, cache_control, pragma, .. } = info;
        let call = Call {
            id,
            at_ms,
            method,
            path,
            endpoint,
            grant_type,
            instance_id,
            status,
            duration_ms,
            fault: fault_name,
            request_id,
            cache_control,
            pragma,
        };
        push(&mut world.calls, call);
    });
    response
}

fn first_four() -> [u8; 4] {
    ids::random_bytes(4).try_into().unwrap_or_default()
}

fn name_of(kind: &Kind) -> String {
    let text = serde_json::to_value(kind).ok();
    text.and_then(|value| value.get("kind").and_then(Value::as_str).map(str::to_owned)).unwrap_or_default()
}

/// Determines the endpoint, instance and grant type from the body, `Authorization` and the query.
fn describe(world: &World, endpoint: Endpoint, parts: &Parts, bytes: &Bytes) -> CallInfo {
    let body = fields::read(&parts.headers, bytes).unwrap_or_default();
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    let of_token = |token: &str| world.tokens.get(token).map(|token| token.instance_id.clone());
    let query = fields::query(&parts.uri);
    let authorization = parts.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let instance_id = text("instance_id")
        .map(str::to_owned)
        .or_else(|| text("refresh_token").and_then(of_token))
        .or_else(|| text("token").and_then(of_token))
        .or_else(|| text("access_token").and_then(of_token))
        .or_else(|| text("code").and_then(|code| world.codes.get(code)).map(|code| code.instance_id.clone()))
        .or_else(|| authorization.map(tokens::bare).and_then(of_token))
        .or_else(|| query.get("access_token").map(String::as_str).and_then(of_token));
    let grant_type = text("grant_type").or_else(|| text("grantType")).map(|grant| grant.chars().take(60).collect());
    let header = |name| parts.headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    CallInfo { endpoint, instance_id, grant_type, cache_control: header(CACHE_CONTROL), pragma: header(PRAGMA) }
}

/// Records known mistakes of the app (sections 1.4 and 11).
fn record_findings(world: &mut World, parts: &Parts, bytes: &Bytes, info: &CallInfo, at_ms: i64) {
    let path = parts.uri.path();
    for header in ["wix-site-id", "wix-account-id"] {
        if parts.headers.contains_key(header) {
            world.add_finding(
                at_ms,
                path,
                "forbidden_header",
                format!("{header} must not be sent with an app token, only with an API key (1.4)"),
            );
        }
    }
    let query = fields::query(&parts.uri);
    for (wrong, right) in [("client_id", "appId"), ("redirect_uri", "redirectUrl"), ("redirectURL", "redirectUrl")] {
        if info.endpoint == Endpoint::Install && query.contains_key(wrong) {
            world.add_finding(
                at_ms,
                path,
                "wrong_parameter",
                format!("the parameter must be {right}, not {wrong} (3.3)"),
            );
        }
    }
    let oauth = matches!(info.endpoint, Endpoint::Oauth2Token | Endpoint::OauthAccess);
    if oauth && parts.headers.contains_key(AUTHORIZATION) {
        world.add_finding(
            at_ms,
            path,
            "needless_authorization",
            "a token request must not have an Authorization header (1.1)",
        );
    }
    if info.endpoint == Endpoint::OauthAccess
        && fields::read(&parts.headers, bytes).is_some_and(|body| body.contains_key("grantType"))
    {
        world.add_finding(at_ms, path, "camel_case", "the fields must be snake_case (2.3)");
    }
}

/// Counts the call, and returns [`OverLimit`] if it exceeds the rate limit.
fn check_rate_limit(world: &mut World, info: &CallInfo, now_ms: i64) -> Option<OverLimit> {
    let most = usize::try_from(world.switches.rate_limit_per_minute).unwrap_or(usize::MAX);
    let retry_after = Some(world.switches.rate_limit_retry_after_seconds).filter(|seconds| *seconds > 0);
    let retry_after = retry_after.map(RetryAfter::Seconds);
    let api = !matches!(info.endpoint, Endpoint::Install | Endpoint::AppInstaller | Endpoint::CloseWindow);
    let instance_id = info.instance_id.as_ref().filter(|id| api && most > 0 && world.instances.contains_key(*id))?;
    let recent = world.recent_calls.entry(instance_id.clone()).or_default();
    while recent.front().is_some_and(|at_ms| now_ms - at_ms >= 60_000) {
        recent.pop_front();
    }
    if recent.len() >= most {
        return Some(OverLimit { retry_after });
    }
    recent.push_back(now_ms);
    None
}

fn too_many(retry_after: Option<RetryAfter>) -> Response {
    let mut response = WixError::rest(429, "RESOURCE_EXHAUSTED", "too many requests").into_response();
    if let Some(value) = retry_after.and_then(|retry_after| retry_after.value()) {
        response.headers_mut().insert(RETRY_AFTER, value);
    }
    response
}

/// An error in the form of the endpoint.
fn refusal(endpoint: Endpoint, status: u16, error: &str, description: &str) -> WixError {
    if endpoint.is_oauth() {
        WixError::oauth(status, error, description)
    } else {
        WixError::rest(status, &error.to_ascii_uppercase(), description)
    }
}

/// Applies a fault to a call. `run` is the normal response, which some faults change or delay.
async fn apply_fault(
    fault: Kind,
    endpoint: Endpoint,
    connection: &Connection,
    run: impl Future<Output = Response>,
) -> Response {
    match fault {
        Kind::Status { status, body, content_type } => {
            let mut response = Response::new(Body::from(body));
            *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            if let Some(value) = content_type.and_then(|text| HeaderValue::from_str(&text).ok()) {
                response.headers_mut().insert(axum::http::header::CONTENT_TYPE, value);
            }
            response
        }
        Kind::Refused { status, error } => {
            refusal(endpoint, status, &error, "a fault of the simulator refuses this call").into_response()
        }
        Kind::RateLimited { retry_after, retry_after_date } => {
            too_many(retry_after.map(if retry_after_date { RetryAfter::Date } else { RetryAfter::Seconds }))
        }
        Kind::Delay { delay_ms } => {
            tokio::time::sleep(std::time::Duration::from_millis(u64::from(delay_ms))).await;
            run.await
        }
        Kind::Cut { processed } => {
            if processed {
                run.await;
            }
            connection.cut();
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
        Kind::CutBody => cut_body(run.await).await,
        Kind::MalformedJson => rewrite(run.await, |body| body.slice(..body.len() / 2)).await,
        Kind::WrongTypes => {
            edit(run.await, |fields| fields.values_mut().for_each(|value| *value = faults::of_another_type(value)))
                .await
        }
        Kind::DropField { field } => edit(run.await, |fields| drop(fields.remove(&field))).await,
        Kind::ReplaceField { field, value } => edit(run.await, |fields| drop(fields.insert(field, value))).await,
    }
}

/// Replaces the body of a response.
async fn rewrite(response: Response, make: impl FnOnce(Bytes) -> Bytes) -> Response {
    let (mut parts, body) = response.into_parts();
    parts.headers.remove(CONTENT_LENGTH);
    let bytes = to_bytes(body, LIMIT).await.unwrap_or_default();
    Response::from_parts(parts, Body::from(make(bytes)))
}

/// Changes the fields of a JSON response.
async fn edit(response: Response, act: impl FnOnce(&mut Map<String, Value>)) -> Response {
    rewrite(response, |bytes| match serde_json::from_slice::<Map<String, Value>>(&bytes) {
        Ok(mut fields) => {
            act(&mut fields);
            Value::Object(fields).to_string().into()
        }
        Err(_) => bytes,
    })
    .await
}

/// Sends the headers with the full `Content-Length` and half of the body, then breaks the connection.
async fn cut_body(response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    let bytes = to_bytes(body, LIMIT).await.unwrap_or_default();
    parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(bytes.len()));
    let half = bytes.slice(..bytes.len() / 2);
    // The pause lets the server send the headers and the first half before the connection breaks.
    let broken = async {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset))
    };
    let pieces = stream::once(async { Ok(half) }).chain(stream::once(broken));
    Response::from_parts(parts, Body::from_stream(pieces))
}
