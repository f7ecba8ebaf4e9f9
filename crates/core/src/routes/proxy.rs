//! `ANY /v1/instances/{id}/wix/{path…}`: a call to Wix's API with the instance's token (docs/wix.md, 1.4 and 9).
//!
//! It goes to the origin of `WIX_API_URL` only. Headers are allow-listed in both directions, and Wix's response is returned
//! as it is, errors included.

mod target;

use http::{Method, StatusCode};
use serde::Deserialize;

use self::target::Target;
use crate::facts::SetupPolicy;
use crate::instances::{self, ForwardOutcome, InstanceError, forward};
use crate::values::{InstanceId, json};
use crate::web::{self, Call, Error, Outcome, Platform, Reply, Request};
use crate::wix::{Body, Forwarded, WixError};

/// The longest body that is buffered, and so can be replayed, in bytes. `entry.js` reads bodies up to this length early.
const REPLAY_LIMIT: usize = 64 * 1024;

/// The request headers that are forwarded to Wix.
const TO_WIX: [&str; 12] = [
    "accept",
    "accept-language",
    "content-encoding",
    "content-language",
    "content-type",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "range",
    "x-wix-consistent",
];
/// The response headers that are returned. The runtime decodes the body, so that neither its length nor its encoding are.
const FROM_WIX: [&str; 12] = [
    "accept-ranges",
    "allow",
    "content-disposition",
    "content-language",
    "content-range",
    "content-type",
    "etag",
    "last-modified",
    "location",
    "retry-after",
    "x-wix-consistent",
    "x-wix-request-id",
];
/// `wix-edge-replay`, with a 401 of Wix's, after the token was refreshed: the body was not buffered.
const NOT_REPLAYED_REFRESHED: &str = "no; a new token is ready, send it again";
/// The same if the token could not be refreshed.
const NOT_REPLAYED: &str = "no; send it again";
/// The path of Send BI Event, after percent-decoding.
const BI_EVENT_PATH: &str = "apps/v1/bi-event";

/// See the module.
pub async fn proxy<P: Platform>(call: Call<'_, P>) -> Result<Outcome<P>, Error> {
    let (cx, id) = (call.cx, call.instance_id()?);
    let target = Target::of(&cx.settings.wix.api_url, &call.request)?;
    let headers = cx.platform.headers(&call.request.inbound, &TO_WIX);
    let method = call.request.method.clone();
    let body = take_body(cx.platform, call.request).await?;
    check_setup_event(cx.settings.setup, &method, &target, &body)?;

    let call = instances::Call { method, url: target.url(), headers, body, wanted: &FROM_WIX };
    let (response, outcome) = forward(&cx, &id, &call).await?;
    let reply = reply(&target, &id, response)?;
    Ok(match outcome {
        ForwardOutcome::Forwarded | ForwardOutcome::Replayed => reply,
        ForwardOutcome::NotReplayed { is_refreshed: true } => {
            reply.with_header("wix-edge-replay", NOT_REPLAYED_REFRESHED)
        }
        ForwardOutcome::NotReplayed { is_refreshed: false } => reply.with_header("wix-edge-replay", NOT_REPLAYED),
    }
    .into())
}

/// `FINISH_CONFIGURATION = "never"` also holds for proxied BI events: one `APP_FINISHED_CONFIGURATION` makes Wix show a
/// setup badge on every installation.
fn check_setup_event<I>(policy: SetupPolicy, method: &Method, target: &Target, body: &Body<I>) -> Result<(), Error> {
    #[derive(Deserialize)]
    struct Named {
        #[serde(rename = "eventName")]
        event_name: String,
    }
    let is_bi_event = target.is_path(BI_EVENT_PATH) && !matches!(*method, Method::GET | Method::HEAD);
    if !is_bi_event || policy != SetupPolicy::Never {
        return Ok(());
    }
    let named = match body {
        Body::Buffered(bytes) => json::object::<Named>(bytes).ok(),
        Body::Empty | Body::Streamed(..) => None,
    };
    match named {
        Some(named) if named.event_name == "APP_FINISHED_CONFIGURATION" => Err(InstanceError::SetupDisabled.into()),
        Some(_) => Ok(()),
        None => Err(Error::BadRequest("body", "it must be a BI event as JSON, with its eventName, of up to 64 KiB")),
    }
}

/// Buffers a short body. A longer one is streamed.
async fn take_body<P: Platform>(platform: &P, request: Request<P::Inbound>) -> Result<Body<P::Inbound>, Error> {
    let Request { method, inbound, .. } = request;
    let length = platform.header(&inbound, "content-length").and_then(|text| text.parse::<u64>().ok());
    let refuse = |error| Error::body(error, REPLAY_LIMIT);
    let body = match length {
        Some(length) if length > REPLAY_LIMIT as u64 => Body::Streamed(inbound, Some(length)),
        Some(_) => Body::Buffered(platform.body(inbound, REPLAY_LIMIT).await.map_err(refuse)?),
        // Most clients send no `content-length` with a request without a body.
        None => platform.buffer(inbound, REPLAY_LIMIT).await.map_err(refuse)?,
    };
    match body {
        Body::Buffered(bytes) if bytes.is_empty() => Ok(Body::Empty),
        Body::Buffered(_) | Body::Streamed(..) if matches!(method, Method::GET | Method::HEAD) => {
            Err(Error::BadRequest("body", "GET and HEAD must have none"))
        }
        body => Ok(body),
    }
}

/// Wix's response, with its `Location` at this Worker.
fn reply<S>(target: &Target, id: &InstanceId, response: Forwarded<S>) -> Result<Reply<S>, Error> {
    let status = StatusCode::from_u16(response.status).ok().filter(|status| (200..600).contains(&status.as_u16()));
    let status = status.ok_or_else(|| WixError::Failed("Wix answered with no status of HTTP's".to_owned()))?;
    let headers = response.headers.into_iter().filter_map(|(name, value)| match name {
        "location" => Some((name, target.location(id, &value)?.into())),
        _ => Some((name, value.into())),
    });
    Ok(Reply { status, headers: headers.collect(), body: web::Body::Stream(response.body) })
}

#[cfg(test)]
mod tests;
