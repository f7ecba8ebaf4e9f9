//! The browser's side of an install flow: its rate limit, its state and its cookie.

use std::net::Ipv6Addr;

use url::Url;
use url::form_urlencoded::Serializer;

use super::{Audience, Call, Error, Outcome, Platform, Reply, Request, Settings, View, preferred};
use crate::crypto::state::{self, Issued, Purpose, Refused, Returned, StateError};
use crate::instances::{InstanceError, hand_over};
use crate::values::{InstanceId, Ref, SiteId};

/// Begins a flow with the `ref` of the request, unless too many flows began at the client's address.
pub async fn begin<P: Platform>(call: &Call<'_, P>, purpose: Purpose) -> Result<Issued, Error> {
    let reference = call.request.reference()?;
    check_rate(call).await?;
    let cx = &call.cx;
    let origin = state::origin_tag(&call.request.origin());
    Ok(state::issue(cx.platform, cx.settings.keys.state(), purpose, cx.now(), origin, reference.as_ref())?)
}

/// Verifies the state that a browser returns at the end of a flow, which must be given once, with the request's cookies. If
/// the flow does not end here, this is the outcome: a browser that began at another origin begins again at `start`, where it
/// accepts the cookie.
pub fn returned<P: Platform>(
    call: &Call<'_, P>,
    purpose: Purpose,
    start: &str,
) -> Result<Result<Returned, Outcome<P>>, Error> {
    let state = call.request.parameter("state")?.filter(|state| state.len() <= state::LIMIT);
    let state = state.ok_or(StateError::Invalid)?;
    let cookies = call.header("cookie");
    let origin = state::origin_tag(&call.request.origin());
    let keys = call.cx.settings.keys.state();
    match state::check(keys, purpose, call.cx.now(), &state, cookies.as_deref(), origin) {
        Ok(returned) => Ok(Ok(returned)),
        Err(Refused { error: StateError::OtherOrigin, reference }) => Ok(Err(begin_again(call, start, reference))),
        Err(Refused { error, reference }) => failed(call, start, reference, error.into()).map(Err),
    }
}

/// Ends a flow that failed. If its state proves that it began here with a `ref`, it returns to the app, or shows a page whose
/// link begins it again with the same `ref`.
pub fn failed<P: Platform>(
    call: &Call<'_, P>,
    start: &str,
    reference: Option<Ref>,
    error: Error,
) -> Result<Outcome<P>, Error> {
    let Some(reference) = reference else { return Err(error) };
    call.cx.trace().error(error.notice().code, error.cause());
    if let (Some(url), Some(code)) = (&call.settings.after_install_url, code(&error)) {
        return Ok(Reply::redirect(with_query(url, &[("error", code), ("ref", reference.as_str())])).into());
    }
    let start =
        Serializer::for_suffix(format!("{start}?"), start.len() + 1).append_pair("ref", reference.as_str()).finish();
    let view = View {
        texts: preferred(call.header("accept-language").as_deref()),
        settings: Some(call.settings),
        start: Some(&start),
        request_id: &call.cx.trace().request_id,
    };
    Ok(Reply::error(&error, Audience::Browser, &view).into())
}

fn begin_again<P: Platform>(call: &Call<'_, P>, start: &str, reference: Option<Ref>) -> Outcome<P> {
    call.cx.trace().outcome("begun_again");
    let start = format!("{}{start}", origin(call.settings, &call.request));
    let with_ref = |reference: Ref| Some(with_query(&Url::parse(&start).ok()?, &[("ref", reference.as_str())]));
    Reply::redirect(reference.and_then(with_ref).unwrap_or(start)).into()
}

/// Where the browser goes after a finished flow: to the app, with a hand-over, or else to `otherwise`.
pub async fn next_page<P: Platform>(
    call: &Call<'_, P>,
    purpose: Purpose,
    returned: &Returned,
    (id, site): (&InstanceId, Option<SiteId>),
    otherwise: impl FnOnce() -> String,
) -> Result<Reply<P::Stream>, Error> {
    let page = match &call.settings.after_install_url {
        Some(url) => with_query(url, &[("handoff", &hand_over(&call.cx, id, site, purpose, returned).await?)]),
        None => otherwise(),
    };
    Ok(Reply::redirect(page))
}

/// A URL with further parameters.
fn with_query(url: &Url, parameters: &[(&str, &str)]) -> String {
    let mut url = url.clone();
    url.query_pairs_mut().extend_pairs(parameters);
    url.into()
}

/// What the app is told about a failed flow. `None` if the same request may still succeed, since this server is at fault.
fn code(error: &Error) -> Option<&'static str> {
    match error {
        // Without these two Wix has not installed the app.
        Error::BadRequest("code" | "instanceId", _) => Some("denied"),
        Error::State(StateError::Expired) => Some("expired"),
        Error::State(StateError::OtherBrowser) => Some("other_browser"),
        Error::Instance(InstanceError::Wix(_)) => Some("wix_failed"),
        Error::BadRequest(..) | Error::Instance(InstanceError::NotProven(_) | InstanceError::CodeRefused(_)) => {
            Some("not_proven")
        }
        _ => None,
    }
}

/// The Worker's origin as Wix and browsers see it. A public one is https: a request over http was sent in plain text.
pub fn origin<I>(settings: &Settings, request: &Request<I>) -> String {
    let own = || {
        let origin = request.origin();
        match origin.strip_prefix("http:") {
            Some(rest) if request.is_plain_text() => format!("https:{rest}"),
            _ => origin,
        }
    };
    settings.public_url.clone().unwrap_or_else(own)
}

async fn check_rate<P: Platform>(call: &Call<'_, P>) -> Result<(), Error> {
    let Some(client) = call.header("cf-connecting-ip") else { return Ok(()) };
    match call.cx.platform.is_within_rate(&network(&client)).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(Error::TooManyFlows),
        // Beginning a flow stores nothing, so that a failed rate limiter does not stop installations.
        Err(error) => {
            call.cx.note::<()>(Err(error));
            Ok(())
        }
    }
}

/// The part of a client's address that one client cannot choose: of IPv6 the first 64 bits (RFC 6177).
pub fn network(address: &str) -> String {
    let address = address.trim();
    match address.parse::<Ipv6Addr>() {
        Ok(six) if !address.contains('.') => {
            let [a, b, c, d, ..] = six.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
        _ => address.to_owned(),
    }
}
