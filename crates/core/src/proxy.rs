//! `ANY /v1/instances/{id}/wix/{path…}`: a call to Wix's API with the instance's token (Wix's rules 1.4 and 9).
//!
//! It goes to the origin of `WIX_API_URL` and nowhere else. Headers are chosen one by one in both directions, bodies are
//! handed on without being read, and Wix's answer is the answer, 429 and failures too. Where Wix no longer takes the
//! token the call is made once more with a new one, unless its body is gone: a long one is sent once.

mod target;

use std::time::Duration;

use http::{Method, StatusCode};

use serde::Deserialize;

use self::target::Target;
use crate::App;
use crate::config::FinishConfiguration;
use crate::error::Error;
use crate::id::InstanceId;
use crate::json;
use crate::memory::Token;
use crate::platform::{Exchange, Exchanged, Payload, Platform, SendError, Short};
use crate::reply::Reply;
use crate::request::Request;
use crate::task::Outcome;
use crate::token;
use crate::wix::DEADLINE_MILLIS;

/// The longest body that is read, so that it can be sent again, in bytes.
const REPLAY_LIMIT: usize = 64 * 1024;
/// How slow a body may be that is handed on, in bytes a second, on top of the deadline.
const SLOWEST: u64 = 256 * 1024;
/// The same for a body of unknown length, in milliseconds.
const UNKNOWN_LENGTH_MILLIS: u64 = 10 * 60 * 1000;
/// How long no new token is made where one changed nothing, in seconds: Wix also says 401 where a permission is missing.
const IN_VAIN: u64 = 60;

/// What of the caller's headers goes to Wix.
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
/// What of Wix's headers comes back. The body comes as the runtime decodes it, so neither its length nor its encoding.
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
/// `wix-edge-replay` of a 401 of Wix's: the call was not made again, because its body was not kept.
const NOT_REPLAYED_RENEWED: &str = "no; a new token is ready, send it again";
/// The same where Wix gave no new token either.
const NOT_REPLAYED: &str = "no; send it again";
/// Where BI events are sent, after percent decoding.
const BI_EVENT_PATH: &str = "apps/v1/bi-event";

/// The caller's body.
enum Body<I> {
    None,
    /// Short enough to be sent again.
    Kept(Vec<u8>),
    /// Handed on as it comes, with its length, as far as that is known.
    Passing(I, Option<u64>),
}

/// What goes to Wix, apart from the token.
struct Call<I> {
    method: Method,
    target: Target,
    headers: Vec<(&'static str, String)>,
    body: Body<I>,
}

/// See the module.
pub async fn proxy<P: Platform>(
    app: &App<P>,
    id: &InstanceId,
    request: Request<P::Inbound>,
) -> Result<Outcome<P::Stream>, Error> {
    let target = Target::of(app.config(), &request)?;
    let headers = app.platform.headers(&request.inbound, &TO_WIX);
    let method = request.method.clone();
    let body = take_body(app, request).await?;
    let call = Call { method, target, headers, body };
    check_finish(app, &call)?;

    let token = token::fresh(app, id, false).await?;
    let answer = send(app, &call, &token).await?;
    if answer.status != 401 || app.memory().is_renewal_in_vain(id, app.now()) {
        app.trace.outcome("passed_on");
        return reply(&call, id, answer);
    }

    if matches!(call.body, Body::Passing(..)) {
        // The caller gets Wix's response even if the token for the next call cannot be refreshed.
        let renewed = token::fresh(app, id, true).await;
        let told = if renewed.is_ok() { NOT_REPLAYED_RENEWED } else { NOT_REPLAYED };
        app.note(renewed);
        app.trace.outcome("not_replayed");
        let mut outcome = reply(&call, id, answer)?;
        outcome.reply = outcome.reply.with_header("wix-edge-replay", told);
        return Ok(outcome);
    }
    let token = token::fresh(app, id, true).await?;
    let answer = send(app, &call, &token).await?;
    if answer.status == 401 {
        app.memory().renew_in_vain(id, app.now().plus(IN_VAIN));
    }
    app.trace.outcome("passed_on_again");
    reply(&call, id, answer)
}

/// `FINISH_CONFIGURATION = "never"` holds for proxied BI events too: one `APP_FINISHED_CONFIGURATION` makes Wix show a setup
/// badge on every installation.
fn check_finish<P: Platform>(app: &App<P>, call: &Call<P::Inbound>) -> Result<(), Error> {
    #[derive(Deserialize)]
    struct Named {
        #[serde(rename = "eventName")]
        event_name: String,
    }
    let is_bi_event = call.target.is_path(BI_EVENT_PATH) && !matches!(call.method, Method::GET | Method::HEAD);
    if !is_bi_event || app.config().finish_configuration != FinishConfiguration::Never {
        return Ok(());
    }
    let named = match &call.body {
        Body::Kept(bytes) => json::object::<Named>(bytes).ok(),
        Body::None | Body::Passing(..) => None,
    };
    match named {
        Some(named) if named.event_name == "APP_FINISHED_CONFIGURATION" => Err(Error::FinishDisabled),
        Some(_) => Ok(()),
        None => Err(Error::BadRequest("body", "it must be a BI event as JSON, with its eventName, of up to 64 KiB")),
    }
}

async fn take_body<P: Platform>(app: &App<P>, request: Request<P::Inbound>) -> Result<Body<P::Inbound>, Error> {
    let Request { method, inbound, .. } = request;
    let length = app.platform.header(&inbound, "content-length").and_then(|text| text.parse::<u64>().ok());
    let refuse = |error| Error::body(error, REPLAY_LIMIT);
    let body = match length {
        Some(length) if length > REPLAY_LIMIT as u64 => Body::Passing(inbound, Some(length)),
        Some(_) => Body::Kept(app.platform.body(inbound, REPLAY_LIMIT).await.map_err(refuse)?),
        // Few clients say that there is none.
        None => match app.platform.short_body(inbound, REPLAY_LIMIT).await.map_err(refuse)? {
            Short::Whole(bytes) => Body::Kept(bytes),
            Short::Longer(inbound) => Body::Passing(inbound, None),
        },
    };
    match body {
        Body::Kept(bytes) if bytes.is_empty() => Ok(Body::None),
        _ if matches!(method, Method::GET | Method::HEAD) => {
            Err(Error::BadRequest("body", "GET and HEAD must have none"))
        }
        body => Ok(body),
    }
}

async fn send<P: Platform>(
    app: &App<P>,
    call: &Call<P::Inbound>,
    token: &Token,
) -> Result<Exchanged<P::Stream>, Error> {
    let deadline = app.started_millis + DEADLINE_MILLIS;
    let left = deadline.saturating_sub(app.platform.now_millis());
    if left == 0 {
        return Err(Error::WixTimeout);
    }
    let (body, upload) = match &call.body {
        Body::None => (Payload::None, 0),
        Body::Kept(bytes) => (Payload::Bytes(bytes), 0),
        Body::Passing(inbound, length) => {
            let time = length.map_or(UNKNOWN_LENGTH_MILLIS, |length| length.saturating_mul(1000) / SLOWEST);
            (Payload::Inbound(inbound), time)
        }
    };
    let exchange = Exchange {
        method: &call.method,
        url: call.target.url(),
        authorization: token.access_token.expose(),
        headers: &call.headers,
        body,
        wanted: &FROM_WIX,
    };
    let answer = app.platform.exchange(exchange, Duration::from_millis(left.saturating_add(upload))).await;
    let answer = answer.map_err(|error| match error {
        SendError::Timeout => Error::WixTimeout,
        SendError::Unreachable => Error::WixFailed("the connection could not be made or broke".to_owned()),
    })?;
    if let Some((_, id)) = answer.headers.iter().find(|(name, _)| *name == "x-wix-request-id") {
        app.trace.wix_request_id(id);
    }
    Ok(answer)
}

/// Wix's answer, in the caller's terms.
fn reply<I, S>(call: &Call<I>, id: &InstanceId, answer: Exchanged<S>) -> Result<Outcome<S>, Error> {
    let status = StatusCode::from_u16(answer.status).ok().filter(|status| (200..600).contains(&status.as_u16()));
    let status = status.ok_or_else(|| Error::WixFailed("Wix answered with no status of HTTP's".to_owned()))?;
    let headers = answer.headers.into_iter().filter_map(|(name, value)| match name {
        "location" => Some((name, call.target.location(id, &value)?.into())),
        _ => Some((name, value.into())),
    });
    let reply = Reply { status, headers: headers.collect(), body: String::new() };
    Ok(Outcome { reply, task: None, stream: Some(answer.body) })
}

#[cfg(test)]
#[path = "proxy_tests.rs"]
mod tests;
