//! `POST /plugins/{path…}`: a service plugin call of Wix's, answered by the app's back end (docs/wix.md, 4.8).

use http::StatusCode;

use super::path::{LIMIT, is_plain};
use crate::background::Task;
use crate::instances::{InstanceError, forward_plugin_call};
use crate::values::Timestamp;
use crate::web::{Call, Error, Outcome, Platform, Reply};
use crate::wix::jws;
use crate::wix::plugin::{self, BODY_LIMIT};

/// Verifies the call, forwards it, and returns the app's answer.
pub async fn plugins<P: Platform>(call: Call<'_, P>) -> Result<Outcome<P>, Error> {
    let (cx, wix) = (call.cx, &call.cx.settings.wix);
    let path = call.request.path().splitn(3, '/').nth(2).unwrap_or_default().to_owned();
    // Wix sends no query, and its signature would not cover one.
    if path.len() > LIMIT || !is_plain(&path) || call.request.query().is_some() {
        return Err(Error::NotFound);
    }
    let held = cx.platform.hold_jws(call.request.inbound, jws::limits(BODY_LIMIT)).await;
    let held = held.map_err(|error| Error::body(error, BODY_LIMIT))?;
    let claims = jws::open(cx.platform, &wix.public_keys, held).await?;
    let plugin_call = plugin::parse(&wix.app_id, &claims, cx.now())?;
    let id = plugin_call.instance.clone();
    if let Some(id) = &id {
        cx.trace().instance(id);
    }
    let Some(target) = &cx.settings.events.plugins else {
        cx.cache.plugin_calls_refused.set(Some(Timestamp::from_millis(cx.platform.now_millis())));
        return Err(InstanceError::NoPluginTarget.into());
    };
    let url = format!("{}/{path}", target.url());
    let answer = forward_plugin_call(&cx, &plugin_call, target.binding(), &url).await?;
    let status =
        StatusCode::from_u16(answer.status).map_err(|_| InstanceError::PluginFailed("its status is none of HTTP's"))?;
    let task = Task::after_event(answer.follow_up, id);
    Ok(Outcome { task, ..Reply::serialised_json(status, answer.json).into() })
}
