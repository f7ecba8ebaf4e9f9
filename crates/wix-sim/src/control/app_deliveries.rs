//! The events that the app's back end received.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::extract::{OriginalUri, State};
use serde::Serialize;

use super::Refusal;
use crate::app_backend::Received;
use crate::fields;
use crate::shared::Ctx;
use crate::world::World;

/// The longest wait for events.
const LONGEST_WAIT: Duration = Duration::from_mins(1);

/// Events in the order in which they first came.
#[derive(Serialize)]
pub(super) struct AppDeliveries {
    deliveries: Vec<Received>,
    /// How many deliveries were refused, by the reason.
    refused: BTreeMap<&'static str, u64>,
}

/// `?webhook_id=`, `?instance_id=` and `?type=` filter the list. `?wait_ms=` waits until there are events and all of them are
/// delivered.
pub(super) async fn list(
    State(ctx): State<Ctx>,
    OriginalUri(uri): OriginalUri,
) -> Result<Json<AppDeliveries>, Refusal> {
    if ctx.events_secrets.is_none() {
        return Err(Refusal::conflict("WIX_SIM_EVENTS_SECRETS must be set; without it the app has no back end"));
    }
    let query = fields::query(&uri);
    let wait_ms: u64 = match query.get("wait_ms") {
        Some(text) => text.parse().map_err(|_| Refusal::bad("wait_ms must be a number"))?,
        None => 0,
    };
    let is_wanted = |name: &str, value: Option<&str>| query.get(name).is_none_or(|wanted| value == Some(wanted));
    let choose = |world: &World| -> Vec<Received> {
        let is_chosen = |received: &&Received| {
            is_wanted("webhook_id", Some(&received.webhook_id))
                && is_wanted("instance_id", received.event.instance_id.as_deref())
                && is_wanted("type", Some(&received.event.event_type))
        };
        world.inbox.deliveries.iter().filter(is_chosen).cloned().collect()
    };
    let mut changes = ctx.changes();
    let wait = async {
        loop {
            let chosen = ctx.read(choose);
            if !chosen.is_empty() && chosen.iter().all(|received| received.delivered.is_some()) {
                return;
            }
            if changes.changed().await.is_err() {
                return;
            }
        }
    };
    // A timeout is no error: the list shows what came.
    let _ = tokio::time::timeout(Duration::from_millis(wait_ms).min(LONGEST_WAIT), wait).await;
    Ok(Json(ctx.read(|world| AppDeliveries { deliveries: choose(world), refused: world.inbox.refused.clone() })))
}
