//! `POST /v1/instances/{id}/bi-events`: Send BI Event (docs/wix.md, 6).

use http::StatusCode;
use serde::Serialize;

use super::BODY_LIMIT;
use crate::instances::{InstanceError, finish_configuration, send_event};
use crate::values::InstanceId;
use crate::web::{Call, Error, Outcome, Platform, Reply};
use crate::wix::{BiEvent, EventName, WixError};

/// The event was sent.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "BiEventSent"))]
pub struct BiEventSent<'a> {
    /// The instance id.
    instance_id: &'a InstanceId,
    /// The name of the event.
    event_name: EventName,
}

/// `POST /v1/instances/{id}/bi-events`
pub async fn send<P: Platform>(call: Call<'_, P>) -> Result<Outcome<P>, Error> {
    let (cx, id) = (call.cx, call.instance_id()?);
    let event = BiEvent::parse(&call.body(BODY_LIMIT).await?)?;
    if event.name() == EventName::AppFinishedConfiguration {
        finish_configuration(&cx, &id).await?;
    } else {
        match send_event(&cx, &id, &event).await? {
            Err(WixError::Refused(400)) => return Err(InstanceError::EventRefused.into()),
            Err(WixError::Refused(403)) => return Err(InstanceError::EventNotPermitted.into()),
            sent => sent?,
        }
        cx.trace().outcome("sent");
    }
    Ok(Reply::json(StatusCode::OK, &BiEventSent { instance_id: &id, event_name: event.name() }).into())
}
