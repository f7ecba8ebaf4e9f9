//! A verified webhook event: stores what it says about the instance.

use futures::future::join;

use super::registry::CHECK_INTERVAL;
use super::{Context, InstanceError, Ports};
use crate::delivery;
use crate::facts::{Fact, Instance, Kind, Status};
use crate::store::{StoreError, TIMEOUT_MILLIS};
use crate::values::{CLOCK_SKEW, InstanceId, Timestamp};
use crate::wix::event::Envelope;
use crate::wix::{Event, Message};

/// The outcome of an event, as the log names it, and the deferred work.
pub struct EventOutcome {
    /// The outcome.
    pub name: &'static str,
    /// The deferred work.
    pub follow_up: FollowUp,
}

/// The work that an event leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FollowUp {
    /// None.
    Nothing,
    /// Reconcile the instance.
    Reconcile,
    /// Send `APP_FINISHED_CONFIGURATION`.
    Setup,
}

impl EventOutcome {
    fn done(name: &'static str) -> Self {
        Self { name, follow_up: FollowUp::Nothing }
    }
}

/// Stores an event that Wix issued at `at`: what it says about the instance in KV, and the event itself in the object that
/// delivers it to the app. `None` if the event needs an instance and names none.
pub async fn accept_event<P: Ports>(
    cx: &Context<'_, P>,
    message: Message,
    at: Timestamp,
) -> Result<Option<EventOutcome>, InstanceError> {
    let Message { instance, event, is_sample, envelope } = message;
    let id = instance.as_ref();
    let kind = match event {
        Event::OfAnotherApp => return Ok(Some(EventOutcome::done("other_app_ignored"))),
        // The dashboard's test button sends events without an app, for an invented instance.
        Event::Other | Event::Plan { .. } if is_sample && is_unknown(cx, id).await? => {
            return Ok(Some(EventOutcome::done("sample_ignored")));
        }
        Event::Other => None,
        Event::Installed { origin } => Some(Kind::Installed { origin }),
        Event::Removed => Some(Kind::Removed),
        Event::Plan { plan } => Some(Kind::Plan { plan }),
    };
    if id.is_none() && kind.is_some() {
        return Ok(None);
    }
    let recorded = async {
        match (id, kind) {
            (Some(id), Some(kind)) => store(cx, id, at, kind).await,
            (Some(id), None) => record_sighting(cx, id, at).await,
            (None, _) => Ok(EventOutcome::done("event_of_no_instance")),
        }
    };
    // Await both, even if one fails: the runtime would cancel the other with the response.
    let (recorded, submitted) = join(recorded, submit_event(cx, id, &envelope, at)).await;
    let recorded = recorded?;
    submitted?;
    Ok(Some(recorded))
}

/// Passes an event to the object that delivers it, if events of its type are delivered. An event of no instance belongs to the
/// object of the app.
async fn submit_event<P: Ports>(
    cx: &Context<'_, P>,
    id: Option<&InstanceId>,
    envelope: &Envelope,
    at: Timestamp,
) -> Result<(), InstanceError> {
    if !cx.settings.events.wants(envelope.event_type()) {
        return Ok(());
    }
    let event = delivery::Event::of(&envelope.content(), id, at).ok_or(StoreError::NotJson)?;
    let name = id.map_or(cx.settings.wix.app_id.as_str(), InstanceId::as_str);
    let deadline = cx.trace().started_millis + TIMEOUT_MILLIS;
    let accepted = delivery::submit(cx.platform, name, &event, deadline).await?;
    cx.trace().delivery(accepted.as_str());
    Ok(())
}

async fn is_unknown<P: Ports>(cx: &Context<'_, P>, id: Option<&InstanceId>) -> Result<bool, InstanceError> {
    match id {
        Some(id) => Ok(cx.store_in_time().instance(id).await?.is_none()),
        None => Ok(true),
    }
}

async fn store<P: Ports>(
    cx: &Context<'_, P>,
    id: &InstanceId,
    at: Timestamp,
    kind: Kind,
) -> Result<EventOutcome, InstanceError> {
    let installed = matches!(kind, Kind::Installed { .. });
    let store = cx.store_in_time();
    let recorded = match kind {
        Kind::Removed => store.record_removal(id, at, cx.cache.tokens.value(id), cx.now()).await?,
        kind => store.record(id, Fact::new(at, kind), cx.now()).await?,
    };
    if recorded.instance.status == Status::Removed {
        cx.cache.forget(id);
    }
    if recorded.is_gone() {
        store.erase_tokens(id).await?;
    }
    if installed && recorded.changed {
        cx.cache.cool_downs.clear(id);
    }
    let follow_up = if installed && recorded.instance.needs_setup_event(cx.settings.setup) {
        FollowUp::Setup
    } else if recorded.changed {
        FollowUp::Reconcile
    } else {
        FollowUp::Nothing
    };
    Ok(EventOutcome { name: if recorded.changed { "stored" } else { "known" }, follow_up })
}

/// An event of an unhandled type. Its signature proves that the instance exists, so that it is recorded if the instance is
/// unknown, or if it contradicts a removal.
async fn record_sighting<P: Ports>(
    cx: &Context<'_, P>,
    id: &InstanceId,
    at: Timestamp,
) -> Result<EventOutcome, InstanceError> {
    let accepted = EventOutcome::done("event_accepted");
    if cx.cache.seen_installed.contains(id, cx.now()) {
        return Ok(accepted);
    }
    match cx.store_in_time().instance(id).await? {
        Some(Instance { removed_at: None, .. }) => {
            cx.cache.seen_installed.set(id.clone(), cx.now().plus(CHECK_INTERVAL));
            return Ok(accepted);
        }
        Some(Instance { removed_at: Some(removed), .. }) if at.since(removed) <= CLOCK_SKEW => return Ok(accepted),
        _ => {}
    }
    store(cx, id, at, Kind::Seen).await
}
