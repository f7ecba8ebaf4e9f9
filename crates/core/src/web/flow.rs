//! The browser's side of an install flow: its rate limit, its state and its cookie.

use std::net::Ipv6Addr;

use super::{Call, Error, Outcome, Platform, Reply, Request, Settings};
use crate::crypto::state::{self, Issued, Purpose, Returned, StateError};

/// Begins a flow, unless too many flows began at the client's address.
pub async fn begin<P: Platform>(call: &Call<'_, P>, purpose: Purpose) -> Result<Issued, Error> {
    check_rate(call).await?;
    let cx = &call.cx;
    let origin = state::origin_tag(&call.request.origin());
    Ok(state::issue(cx.platform, cx.settings.keys.state(), purpose, cx.now(), origin)?)
}

/// Verifies the state that a browser returns, which must be given once, with the request's cookies.
pub fn returned<P: Platform>(call: &Call<'_, P>, purpose: Purpose) -> Result<Returned, Error> {
    let state = call.request.parameter("state")?.filter(|state| state.len() <= state::LIMIT);
    let state = state.ok_or(StateError::Invalid)?;
    let cookies = call.header("cookie");
    let origin = state::origin_tag(&call.request.origin());
    let keys = call.cx.settings.keys.state();
    Ok(state::check(keys, purpose, call.cx.now(), &state, cookies.as_deref(), origin)?)
}

/// Redirects a browser to the start of a flow, at the origin for which it accepts the cookie.
pub fn begin_again<P: Platform>(call: &Call<'_, P>, path: &str) -> Outcome<P> {
    call.cx.trace().outcome("begun_again");
    Reply::redirect(format!("{}{path}", origin(call.settings, &call.request))).into()
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
