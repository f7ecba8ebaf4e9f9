//! `APP_FINISHED_CONFIGURATION`: sent once for an installation (docs/wix.md, 6).
//!
//! The webhook and the redirect of an installation arrive at the same time. In one isolate they share one flight. Between
//! isolates KV decides, which may return stale reads: a second event is then possible, and harmless.

use super::registry::record;
use super::{Context, InstanceError, Ports, installed, send_event};
use crate::facts::{Fact, Kind, SetupPolicy};
use crate::values::{InstanceId, Timestamp};
use crate::wix::BiEvent;

/// Sends the event, unless it was sent for this installation. Returns when it was sent.
pub async fn finish_configuration<P: Ports>(cx: &Context<'_, P>, id: &InstanceId) -> Result<Timestamp, InstanceError> {
    if cx.settings.setup == SetupPolicy::Never {
        return Err(InstanceError::SetupDisabled);
    }
    cx.cache.setup_events.share(cx.platform, id, cx.turn(false), send_once(cx, id)).await
}

async fn send_once<P: Ports>(cx: &Context<'_, P>, id: &InstanceId) -> Result<Timestamp, InstanceError> {
    let instance = installed(cx, id).await?;
    if let Some(at) = instance.configured_at {
        cx.trace().outcome("sent_before");
        return Ok(at);
    }
    // This isolate sent the event, and KV does not show the fact yet or did not store it.
    let remembered = cx.cache.setup_events.value(id);
    if let Some(at) = remembered.filter(|at| instance.installed_at.is_none_or(|since| *at >= since)) {
        cx.trace().outcome("sent_before");
        cx.note(record(cx, id, Fact::new(at, Kind::Configured)).await);
        return Ok(at);
    }
    send_event(cx, id, &BiEvent::finished_configuration()).await??;
    cx.trace().outcome("sent");
    // Wix has the event even if the fact cannot be stored. It may then be sent twice, which is harmless.
    cx.note(record(cx, id, Fact::new(cx.now(), Kind::Configured)).await);
    Ok(cx.now())
}
