//! `GET /install`: Wix's App URL. Sends the browser on to Wix's consent page with a state (Wix's rules 3.3, 1 and 2).

use url::Url;

use crate::App;
use crate::error::Error;
use crate::platform::Platform;
use crate::reply::Reply;
use crate::request::Request;
use crate::state::{self, Purpose};

/// Longest `token` passed on; the one published sample has 416 characters.
const TOKEN_LIMIT: usize = 4096;

/// Answers with the redirect and the flow's cookie.
pub async fn install<P: Platform>(app: &App<P>, request: &Request<P::Inbound>) -> Result<Reply, Error> {
    let token = request.parameter("token")?;
    if token.as_ref().is_some_and(|token| token.len() > TOKEN_LIMIT) {
        return Err(Error::BadRequest("token", "it must be a token of Wix's, which are shorter"));
    }

    app.begin_flow(request).await?;
    let origin = state::origin_tag(&request.origin());
    let issued = state::issue(&app.platform, &app.config().state_keys, Purpose::Install, app.now(), origin)?;

    let mut consent = Url::parse(&format!("{}/installer/install", app.config().wix_site_url))
        .map_err(|_| Error::Internal("WIX_SITE_URL makes no URL".to_owned()))?;
    consent
        .query_pairs_mut()
        .append_pair("appId", app.config().app_id.as_str())
        .append_pair("redirectUrl", &format!("{}/redirect", app.origin(request)))
        .append_pair("state", &issued.state);
    if let Some(token) = token {
        consent.query_pairs_mut().append_pair("token", &token);
    }
    Ok(Reply::redirect(consent.into()).with_header("set-cookie", issued.set_cookie))
}

#[cfg(test)]
#[path = "install_tests.rs"]
mod tests;
