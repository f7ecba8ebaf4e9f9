//! `GET /connect` and `GET /connected`: the external install flow, from the app's own site to Wix and back
//! (Wix's rules 3.2).
//!
//! Wix sends no code and no state of its own back. The state travels in the callback's query, and the instance is proven
//! by the signed value that comes with it; without one nothing is stored.

use url::Url;

use crate::App;
use crate::error::Error;
use crate::id::{AppId, InstanceId, SiteId};
use crate::page;
use crate::platform::Platform;
use crate::record::{Fact, Kind};
use crate::reply::Reply;
use crate::request::Request;
use crate::signed_instance::{self, SignedInstance};
use crate::state::{self, Purpose};
use crate::task::{Outcome, Task};

/// `GET /connect`, with `shareUrlId` where the app is not listed: answers with the redirect to Wix and the flow's cookie.
pub fn connect<P: Platform>(app: &App<P>, request: &Request<P::Inbound>) -> Result<Reply, Error> {
    let share = request.parameter("shareUrlId")?;
    if share.as_deref().is_some_and(|share| InstanceId::parse(share).is_err()) {
        return Err(Error::BadRequest("shareUrlId", "it is no GUID"));
    }

    let issued = state::issue(&app.platform, &app.config().state_keys, Purpose::Connect, app.now)?;

    let callback = format!("{}/connected?state={}", app.origin(request), issued.state);
    let mut installer = Url::parse(&format!("{}/app-installer", app.config().wix_site_url))
        .map_err(|_| Error::Internal("WIX_SITE_URL makes no URL".to_owned()))?;
    installer
        .query_pairs_mut()
        .append_pair("appId", app.config().app_id.as_str())
        .append_pair("postInstallationUrl", &callback);
    if let Some(share) = share {
        installer.query_pairs_mut().append_pair("shareUrlId", &share);
    }
    Ok(Reply::redirect(installer.into()).with_header("set-cookie", issued.set_cookie))
}

/// `GET /connected`: answers with the redirect to `AFTER_INSTALL_URL`, or a page that says that it is done.
pub async fn connected<P: Platform>(app: &App<P>, request: &Request<P::Inbound>) -> Result<Outcome<P::Stream>, Error> {
    let signed = prove(app, request)?;
    app.trace.instance(&signed.instance);

    let fact = Fact { at: app.now, kind: Kind::Joined { site: signed.site } };
    app.kv().learn(&signed.instance, fact, app.now).await?;
    app.memory().forgive(&signed.instance);

    let reply = match &app.config().after_install_url {
        Some(url) => Reply::redirect(url.clone()),
        None => Reply::page(http::StatusCode::OK, page::installed()),
    };
    Ok(Outcome::from(reply).with_task(Task::after_install(app.config(), signed.instance)))
}

fn prove<P: Platform>(app: &App<P>, request: &Request<P::Inbound>) -> Result<SignedInstance, Error> {
    state::returned(app, request, Purpose::Connect)?;

    let missing = Error::BadRequest("instanceId", "it is missing: the app was not installed at Wix");
    let named = request.parameter("instanceId")?.ok_or(missing)?;
    let named = InstanceId::parse(&named).map_err(|_| Error::BadRequest("instanceId", "it is no GUID"))?;
    let value = request.parameter("signedInstance")?;
    let value = value.ok_or(Error::NotProven("the browser brought no signed instance"))?;
    let config = app.config();
    let signed =
        signed_instance::verify(config.app_secrets(), &config.app_id, app.now, &value).map_err(Error::NotProven)?;
    if signed.instance != named {
        return Err(Error::NotProven("the signed instance is another than the browser named"));
    }
    if request.parameter("appId")?.is_some_and(|id| AppId::parse(&id).as_ref() != Ok(&config.app_id)) {
        return Err(Error::NotProven("the browser came back from another app's installation"));
    }
    let tenant = request.parameter("tenantId")?.and_then(|id| SiteId::parse(&id).ok());
    if let (Some(site), Some(tenant)) = (&signed.site, tenant)
        && *site != tenant
    {
        return Err(Error::NotProven("the signed instance is of another site than the browser named"));
    }
    Ok(signed)
}

#[cfg(test)]
#[path = "connect_tests.rs"]
mod tests;
