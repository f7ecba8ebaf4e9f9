//! Forwards a call to Wix's API with the token of an instance (docs/wix.md, 1.4 and 9).
//!
//! Neither body passes through wasm unless it is short. After a 401 the token is refreshed and a buffered body replayed.

use std::time::Duration;

use http::Method;

use super::rate::permit;
use super::{Context, InstanceError, Ports, fresh_token};
use crate::values::InstanceId;
use crate::wix::{Body, DEADLINE_MILLIS, Forward, Forwarded, SendError, Token, WixError};

/// The slowest upload of a streamed body, in bytes per second. It extends the deadline.
const SLOWEST_UPLOAD: u64 = 256 * 1024;
/// The extension of the deadline for a streamed body of unknown length, in milliseconds.
const UNKNOWN_LENGTH_MILLIS: u64 = 10 * 60 * 1000;
/// For how long no token is refreshed after a new one did not end a 401, in seconds. Wix also answers 401 where a
/// permission is missing.
const USELESS_REFRESH: u64 = 60;

/// A call to Wix, without its token.
pub struct Call<'a, I> {
    /// The method.
    pub method: Method,
    /// The whole URL.
    pub url: &'a str,
    /// The headers to forward.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Body<I>,
    /// The response headers to return.
    pub wanted: &'static [&'static str],
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForwardOutcome {
    /// Wix answered the first attempt.
    Forwarded,
    /// Wix answered the attempt with a refreshed token.
    Replayed,
    /// Wix answered 401, and the body is gone. Whether a new token is ready.
    NotReplayed {
        /// See the variant.
        is_refreshed: bool,
    },
}

/// Forwards a call.
pub async fn forward<P: Ports>(
    cx: &Context<'_, P>,
    id: &InstanceId,
    call: &Call<'_, P::Inbound>,
) -> Result<(Forwarded<P::Stream>, ForwardOutcome), InstanceError> {
    let token = fresh_token(cx, id, false).await?;
    permit(cx, id).await?;
    let response = send(cx, call, &token).await?;
    if response.status != 401 || cx.cache.useless_refreshes.contains(id, cx.now()) {
        cx.trace().outcome("passed_on");
        return Ok((response, ForwardOutcome::Forwarded));
    }
    if matches!(call.body, Body::Streamed(..)) {
        // The caller gets Wix's response even if the token cannot be refreshed for the next call.
        let refreshed = fresh_token(cx, id, true).await;
        let is_refreshed = refreshed.is_ok();
        cx.note(refreshed);
        cx.trace().outcome("not_replayed");
        return Ok((response, ForwardOutcome::NotReplayed { is_refreshed }));
    }
    let token = fresh_token(cx, id, true).await?;
    permit(cx, id).await?;
    let response = send(cx, call, &token).await?;
    if response.status == 401 {
        cx.cache.useless_refreshes.set(id.clone(), cx.now().plus(USELESS_REFRESH));
    }
    cx.trace().outcome("passed_on_again");
    Ok((response, ForwardOutcome::Replayed))
}

async fn send<P: Ports>(
    cx: &Context<'_, P>,
    call: &Call<'_, P::Inbound>,
    token: &Token,
) -> Result<Forwarded<P::Stream>, InstanceError> {
    let deadline = cx.trace().started_millis + DEADLINE_MILLIS;
    let left = deadline.saturating_sub(cx.platform.now_millis());
    if left == 0 {
        return Err(WixError::Deadline.into());
    }
    let upload = match &call.body {
        Body::Empty | Body::Buffered(_) => 0,
        Body::Streamed(_, Some(length)) => length.saturating_mul(1000) / SLOWEST_UPLOAD,
        Body::Streamed(_, None) => UNKNOWN_LENGTH_MILLIS,
    };
    let request = Forward {
        method: &call.method,
        url: call.url,
        authorization: token.access_token.expose(),
        headers: &call.headers,
        body: &call.body,
        wanted: call.wanted,
    };
    cx.trace().wix_call();
    let response = cx.platform.forward(request, Duration::from_millis(left.saturating_add(upload))).await;
    let response = response.map_err(|error| match error {
        SendError::Timeout => WixError::Deadline,
        SendError::Unreachable => WixError::Failed(error.to_string()),
    })?;
    if let Some((_, id)) = response.headers.iter().find(|(name, _)| *name == "x-wix-request-id") {
        cx.trace().wix_request_id(id);
    }
    Ok(response)
}
