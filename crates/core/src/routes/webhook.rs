//! `POST /webhook`: Wix's events. 200 means that everything that must last is stored (docs/wix.md, 4 and 5).

use http::StatusCode;

use crate::background::Task;
use crate::instances::accept_event;
use crate::web::{Call, Error, Outcome, Platform, Reply};
use crate::wix::event::{self, BODY_LIMIT};
use crate::wix::jws;

/// Verifies the event, stores it, and responds.
pub async fn webhook<P: Platform>(call: Call<'_, P>) -> Result<Outcome<P>, Error> {
    let (cx, wix) = (call.cx, &call.cx.settings.wix);
    let held = cx.platform.hold_jws(call.request.inbound, jws::limits(BODY_LIMIT)).await;
    let held = held.map_err(|error| Error::body(error, BODY_LIMIT))?;
    let claims = jws::verify(cx.platform, &wix.public_keys, cx.now(), held).await?;
    let message = event::parse(&wix.app_id, &claims.data)?;
    let id = message.instance.clone();
    if let Some(id) = &id {
        cx.trace().instance(id);
    }
    let accepted = accept_event(&cx, message, claims.issued_at).await?;
    cx.trace().outcome(accepted.name);
    let reply = Reply::json(StatusCode::OK, &serde_json::Map::new());
    let task = Task::after_event(accepted.follow_up, id);
    Ok(Outcome { task, ..reply.into() })
}
