//! The events of an installation: what was delivered, what is parked, and another attempt.

use http::StatusCode;
use serde::{Deserialize, Serialize};

use super::BODY_LIMIT;
use super::instances::{CURSOR, page_of};
use crate::delivery::{PageRequest, Settings};
use crate::instances::{list_events, list_parked, redeliver, redeliver_parked, send_test_event};
use crate::store::ParkedEvents;
use crate::values::{AppId, InstanceId, json};
use crate::web::{Call, Error, Outcome, Platform, Reply};

/// The longest `webhook-id`, in bytes.
pub const EVENT_ID_LIMIT: usize = 256;

/// A page of the installations that have parked events.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ParkedPage {
    /// The installations.
    instances: Vec<ParkedEvents>,
    /// The cursor of the next page. Absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// Whose parked events are attempted once more. Without an installation: all.
#[derive(Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RedeliverRequest {
    /// The instance id; the app id for the events of no installation.
    instance_id: Option<InstanceId>,
}

/// The attempt begins.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Redelivering {}

/// The test event is stored, and its delivery begins.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct TestEvent {
    /// Its `webhook-id`.
    event_id: String,
    /// The app's id: `GET /v1/instances/{id}/events` lists the app's events under it.
    instance_id: AppId,
}

/// Refuses the request if there are no objects.
pub fn require_objects(events: &Settings) -> Result<(), Error> {
    if events.is_bound { Ok(()) } else { Err(Error::Misconfigured(events.notes())) }
}

/// Refuses the request if no event can be delivered.
fn require_target(events: &Settings) -> Result<(), Error> {
    if events.is_delivering() { Ok(()) } else { Err(Error::Misconfigured(events.notes())) }
}

/// `GET /v1/instances/{id}/events?cursor=&limit=`
pub async fn list<P: Platform>(call: Call<'_, P>) -> Result<Outcome<P>, Error> {
    let (cx, id) = (call.cx, call.instance_id()?);
    let (cursor, limit) = page_of(&call.request)?;
    let before = match cursor {
        None => None,
        Some(cursor) => Some(sequence(&cursor).ok_or(CURSOR)?),
    };
    require_objects(&cx.settings.events)?;
    let page = list_events(&cx, &id, PageRequest { before, limit }).await?;
    Ok(Reply::json(StatusCode::OK, &page).into())
}

/// A cursor is the last sequence number of a page, below the largest integer that JavaScript counts exactly.
fn sequence(cursor: &str) -> Option<u64> {
    let is_number = cursor.bytes().all(|byte| byte.is_ascii_digit()) && cursor.len() <= 16;
    cursor.parse().ok().filter(|sequence| is_number && *sequence < 1 << 53)
}

/// `POST /v1/instances/{id}/events/{event_id}/redeliver`
pub async fn redeliver_event<P: Platform>(call: Call<'_, P>) -> Result<Outcome<P>, Error> {
    let (cx, id) = (call.cx, call.instance_id()?);
    let segments = call.request.segments();
    let event_id = segments.get(4).copied().unwrap_or_default();
    let is_id = |id: &str| id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    if !is_id(event_id) || !(1..=EVENT_ID_LIMIT).contains(&event_id.len()) {
        return Err(Error::BadRequest("event id", "it must be the webhook-id of an event"));
    }
    require_target(&cx.settings.events)?;
    redeliver(&cx, &id, event_id).await?;
    Ok(Reply::json(StatusCode::ACCEPTED, &Redelivering {}).into())
}

/// `GET /v1/parked-events?cursor=&limit=`
pub async fn parked<P: Platform>(call: Call<'_, P>) -> Result<Outcome<P>, Error> {
    let (cursor, limit) = page_of(&call.request)?;
    require_objects(&call.cx.settings.events)?;
    let (instances, next_cursor) = list_parked(&call.cx, cursor.as_deref(), limit).await?;
    Ok(Reply::json(StatusCode::OK, &ParkedPage { instances, next_cursor }).into())
}

/// `POST /v1/parked-events/redeliver`
pub async fn redeliver_all<P: Platform>(call: Call<'_, P>) -> Result<Outcome<P>, Error> {
    let cx = call.cx;
    let body = call.body(BODY_LIMIT).await?;
    let request: RedeliverRequest = json::optional_object(&body)
        .map_err(|_| Error::BadRequest("body", r#"it must be empty or JSON of the form {"instance_id":"…"}"#))?;
    if let Some(id) = &request.instance_id {
        cx.trace().instance(id);
    }
    require_target(&cx.settings.events)?;
    redeliver_parked(&cx, request.instance_id.as_ref()).await?;
    Ok(Reply::json(StatusCode::ACCEPTED, &Redelivering {}).into())
}

/// `POST /v1/events/test`
pub async fn test<P: Platform>(call: Call<'_, P>) -> Result<Outcome<P>, Error> {
    require_target(&call.cx.settings.events)?;
    let event_id = send_test_event(&call.cx).await?;
    let instance_id = call.cx.settings.wix.app_id.clone();
    Ok(Reply::json(StatusCode::ACCEPTED, &TestEvent { event_id, instance_id }).into())
}
