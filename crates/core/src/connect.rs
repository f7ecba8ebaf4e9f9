//! `GET /connect` and `GET /connected`: the external install flow, from the app's own site to Wix and back
//! (Wix's rules 3.2).
//!
//! Wix sends no code and no state of its own back. The state travels in the callback's query, and the instance is proven
//! by the signed value that comes with it; without one nothing is stored.

use http::{Method, StatusCode};
use url::Url;

use crate::App;
use crate::error::Error;
use crate::id::AppId;
use crate::page;
use crate::platform::Platform;
use crate::record::{Fact, Kind, Status};
use crate::reply::Reply;
use crate::request::Request;
use crate::signed_instance::{self, SignedInstance};
use crate::state::{self, Purpose, StateError};
use crate::task::{Outcome, Task};
use crate::time::Timestamp;

/// How long before a flow a value may have been signed that ends it, in seconds: Wix's clock and ours differ.
const SKEW: u64 = 60;

/// `GET /connect`, with `shareUrlId` where the app is not listed: answers with the redirect to Wix and the flow's cookie.
pub async fn connect<P: Platform>(app: &App<P>, request: &Request<P::Inbound>) -> Result<Reply, Error> {
    let share = request.guid("shareUrlId")?;

    app.begin_flow(request).await?;
    let origin = state::origin_tag(&request.origin());
    let issued = state::issue(&app.platform, &app.config().state_keys, Purpose::Connect, app.now(), origin)?;

    let callback = format!("{}/connected?state={}", app.origin(request), issued.state);
    let mut installer = Url::parse(&format!("{}/app-installer", app.config().wix_site_url))
        .map_err(|_| Error::Internal("WIX_SITE_URL makes no URL".to_owned()))?;
    installer
        .query_pairs_mut()
        .append_pair("appId", app.config().app_id.as_str())
        .append_pair("postInstallationUrl", &callback);
    if let Some(share) = share {
        installer.query_pairs_mut().append_pair("shareUrlId", share.as_str());
    }
    Ok(Reply::redirect(installer.into()).with_header("set-cookie", issued.set_cookie))
}

/// `GET /connected`: stores the installation, and sends the browser to `AFTER_INSTALL_URL` or to [`done`], so that the
/// signed value does not stay in its address.
pub async fn connected<P: Platform>(app: &App<P>, request: &Request<P::Inbound>) -> Result<Outcome<P::Stream>, Error> {
    let returned = match state::returned(app, request, Purpose::Connect) {
        Err(Error::State(StateError::OtherOrigin)) => return Ok(app.begin_again(request, "/connect")),
        returned => returned?,
    };
    if request.method == Method::HEAD {
        return Err(Error::Prefetch);
    }
    let signed = prove(app, request, returned.began_at)?;
    let id = &signed.instance;
    app.trace.instance(id);

    let next = app.config().after_install_url.clone().unwrap_or_else(|| format!("{}{DONE}", app.origin(request)));
    let outcome = Outcome::from(Reply::redirect(next));
    // Dated by Wix: whenever the address is opened again, it tells the same.
    let fact = Fact::new(signed.signed_at, Kind::Joined { site: signed.site });
    if app.memory().has_joined(&returned.flow, id, fact.at) || app.kv().knows(id, &fact).await? {
        app.trace.outcome("known");
        app.memory().remember_joined(&returned.flow, id, fact.at);
        return Ok(outcome);
    }
    let at = fact.at;
    let learnt = app.kv().learn_flow(id, fact, app.now(), Vec::new()).await?;
    app.memory().remember_joined(&returned.flow, id, at);
    if learnt.instance.status != Status::Removed {
        app.memory().clear_cool_down(id);
    }
    Ok(outcome.with_task(Task::after_install(app.config(), signed.instance)))
}

/// The path of [`done`].
const DONE: &str = "/connected/done";

/// `GET /connected/done`: the external install flow is done.
#[must_use]
pub fn done() -> Reply {
    Reply::page(StatusCode::OK, page::installed())
}

fn prove<P: Platform>(
    app: &App<P>,
    request: &Request<P::Inbound>,
    began_at: Timestamp,
) -> Result<SignedInstance, Error> {
    let named = request.guid("instanceId")?;
    let named = named.ok_or(Error::BadRequest("instanceId", "it is missing: the app was not installed at Wix"))?;
    let value = request.parameter("signedInstance")?;
    let value = value.ok_or(Error::NotProven("the browser brought no signed instance"))?;
    let config = app.config();
    let signed =
        signed_instance::verify(config.app_secrets(), &config.app_id, app.now(), &value).map_err(Error::NotProven)?;
    if signed.instance != named {
        return Err(Error::NotProven("the signed instance is another than the browser named"));
    }
    if signed.demo_mode {
        return Err(Error::NotProven("the signed instance is of a demonstration, not of an installation"));
    }
    if began_at.since(signed.signed_at) > SKEW {
        return Err(Error::NotProven("the instance was signed before this flow began"));
    }
    if request.parameter("appId")?.is_some_and(|id| AppId::parse(&id).as_ref() != Ok(&config.app_id)) {
        return Err(Error::NotProven("the browser came back from another app's installation"));
    }
    // Who installed the app, a site or an account. It proves nothing: the site comes from the signed instance.
    request.guid("tenantId")?;
    Ok(signed)
}

#[cfg(test)]
#[path = "connect_tests.rs"]
mod tests;
