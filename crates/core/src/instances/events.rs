//! The events of an installation, as the app's back end sees and repairs their delivery.

use super::{Context, InstanceError, Ports};
use crate::delivery::{Event, EventPage, ObjectCallError, PageRequest, ask, command, requests, submit};
use crate::store::{ParkedEvents, StoreError};
use crate::values::{InstanceId, json};

/// How long an object may take, in milliseconds. Nobody waits for it but the app's back end.
const TIMEOUT: u64 = 5_000;

/// The type of a test event.
const TEST: &str = "wix-edge.test";

/// The deadline of a request to an object that begins now.
pub(super) fn deadline<P: Ports>(cx: &Context<'_, P>) -> u64 {
    cx.platform.now_millis() + TIMEOUT
}

/// The object of an installation is asked only if the installation is known: a request would create it. The app's id stands
/// for the events of no installation.
async fn require_known<P: Ports>(cx: &Context<'_, P>, id: &InstanceId) -> Result<(), InstanceError> {
    if id.as_str() == cx.settings.wix.app_id.as_str() {
        return Ok(());
    }
    cx.store().instance(id).await?.map(|_| ()).ok_or(InstanceError::Unknown)
}

/// One page of the events of an installation.
pub async fn list_events<P: Ports>(
    cx: &Context<'_, P>,
    id: &InstanceId,
    page: PageRequest,
) -> Result<EventPage, InstanceError> {
    require_known(cx, id).await?;
    let message = serde_json::to_string(&page).map_err(|_| StoreError::NotJson)?;
    let text = command(cx.platform, id.as_str(), requests::EVENTS, &message, deadline(cx)).await?;
    let malformed = |_| ObjectCallError::Failed("its answer has another form".to_owned());
    Ok(json::parse(&text).map_err(malformed)?)
}

/// Lets an event be attempted once more.
pub async fn redeliver<P: Ports>(cx: &Context<'_, P>, id: &InstanceId, event_id: &str) -> Result<(), InstanceError> {
    require_known(cx, id).await?;
    match ask(cx.platform, id.as_str(), requests::REDELIVER, event_id, deadline(cx)).await? {
        (200, _) => Ok(()),
        (404, _) => Err(InstanceError::UnknownEvent),
        (410, _) => Err(InstanceError::ErasedEvent),
        (status, _) => Err(ObjectCallError::Failed(format!("it answered {status}")).into()),
    }
}

/// One page of the installations that have parked events.
pub async fn list_parked<P: Ports>(
    cx: &Context<'_, P>,
    cursor: Option<&str>,
    limit: u16,
) -> Result<(Vec<ParkedEvents>, Option<String>), InstanceError> {
    Ok(cx.store().parked(cursor, limit).await?)
}

/// Lets the parked events of one installation be attempted once more, or those of all.
pub async fn redeliver_parked<P: Ports>(cx: &Context<'_, P>, id: Option<&InstanceId>) -> Result<(), InstanceError> {
    let app = cx.settings.wix.app_id.as_str();
    match id {
        Some(id) => {
            require_known(cx, id).await?;
            command(cx.platform, id.as_str(), requests::REDELIVER_PARKED, "", deadline(cx)).await?
        }
        None => command(cx.platform, app, requests::REDELIVER_ALL, app, deadline(cx)).await?,
    };
    Ok(())
}

/// Stores a test event in the object of the app, which delivers it. Returns its id.
pub async fn send_test_event<P: Ports>(cx: &Context<'_, P>) -> Result<String, InstanceError> {
    let mut unique = [0; 16];
    cx.platform.random(&mut unique)?;
    let event = Event::own(TEST, None, cx.now(), "{}", &unique).ok_or(StoreError::NotJson)?;
    submit(cx.platform, cx.settings.wix.app_id.as_str(), &event, deadline(cx)).await?;
    Ok(event.identity.webhook_id())
}
