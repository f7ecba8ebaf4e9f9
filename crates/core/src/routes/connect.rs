//! `GET /connect` and `GET /connected`: the external install flow, from the app's own site to Wix and back (docs/wix.md,
//! 3.2).
//!
//! Wix returns neither a code nor a state of its own. The state is in the callback's query, and the signed instance that
//! Wix adds proves the instance. Without one nothing is stored.

use http::{Method, StatusCode};

use crate::background::Task;
use crate::crypto::state::{Purpose, Returned};
use crate::instances::{InstanceError, finish_external, prove_external};
use crate::values::{AppId, Timestamp};
use crate::web::{Call, Error, Outcome, Platform, Reply, View, begin, failed, next_page, origin, preferred, returned};
use crate::wix::{SignedInstance, links};

/// The path of [`done`].
const DONE: &str = "/connected/done";

/// `GET /connect?ref=`, with `shareUrlId` for an app that is not listed. Responds with the redirect to Wix and the flow's
/// cookie.
pub async fn connect<P: Platform>(call: Call<'_, P>) -> Result<Outcome<P>, Error> {
    let share = call.request.guid("shareUrlId")?;
    let share = share.as_ref().or(call.settings.share_url_id.as_ref());
    let issued = begin(&call, Purpose::Connect).await?;
    let callback = format!("{}/connected?state={}", origin(call.settings, &call.request), issued.state);
    let installer = links::installer(&call.cx.settings.wix, &callback, share);
    Ok(Reply::redirect(installer).with_header("set-cookie", issued.set_cookie).into())
}

/// `GET /connected`. Stores the installation, and redirects the browser to `AFTER_INSTALL_URL` or to [`done`], so that the
/// signed instance does not stay in its address bar.
pub async fn connected<P: Platform>(call: Call<'_, P>) -> Result<Outcome<P>, Error> {
    let returned = match returned(&call, Purpose::Connect, "/connect")? {
        Ok(returned) => returned,
        Err(outcome) => return Ok(outcome),
    };
    let reference = returned.reference.clone();
    finish(&call, returned).await.or_else(|error| failed(&call, "/connect", reference, error))
}

async fn finish<P: Platform>(call: &Call<'_, P>, returned: Returned) -> Result<Outcome<P>, Error> {
    if call.request.method == Method::HEAD {
        return Err(Error::Prefetch);
    }
    let signed = prove(call, returned.began_at)?;
    let (cx, id, site) = (call.cx, signed.instance.clone(), signed.site.clone());
    cx.trace().instance(&id);

    let is_news = finish_external(&cx, &returned, signed).await?;
    let again = if is_news { "" } else { "?again" };
    let own_page = || format!("{}{DONE}{again}", origin(call.settings, &call.request));
    let reply = next_page(call, Purpose::Connect, &returned, (&id, site), own_page).await?;
    if !is_news {
        cx.trace().outcome("known");
        return Ok(reply.into());
    }
    Ok(Outcome { task: Some(Task::after_install(cx.settings.setup, id)), ..reply.into() })
}

/// `GET /connected/done`: the page at the end of the flow, with `?again` if it was opened again.
pub fn done<P: Platform>(call: &Call<'_, P>) -> Reply<P::Stream> {
    let view = View {
        texts: preferred(call.header("accept-language").as_deref()),
        settings: Some(call.settings),
        start: None,
        request_id: &call.cx.trace().request_id,
    };
    let again = call.request.query() == Some("again");
    let page = view.finished(again, call.cx.settings.wix.site_url.as_str());
    Reply::for_owner(StatusCode::OK, &view, page)
}

fn prove<P: Platform>(call: &Call<'_, P>, began_at: Timestamp) -> Result<SignedInstance, Error> {
    let request = &call.request;
    let named = request.guid("instanceId")?;
    let named = named.ok_or(Error::BadRequest("instanceId", "it is missing: the app was not installed at Wix"))?;
    let value = request.parameter("signedInstance")?;
    let value = value.ok_or(InstanceError::NotProven("the browser brought no signed instance"))?;
    let signed = prove_external(&call.cx, &value, &named, began_at)?;
    let app = &call.cx.settings.wix.app_id;
    if request.parameter("appId")?.is_some_and(|id| AppId::parse(&id).as_ref() != Ok(app)) {
        return Err(InstanceError::NotProven("the browser came back from another app's installation").into());
    }
    // The site or account that installed the app. It proves nothing: the site comes from the signed instance.
    request.guid("tenantId")?;
    Ok(signed)
}
