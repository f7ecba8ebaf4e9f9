//! A verified webhook event: stores what it says about the instance.

use futures::future::join;

use super::own_token::issued_by_object;
use super::registry::CHECK_INTERVAL;
use super::{Context, InstanceError, Ports};
use crate::delivery;
use crate::facts::{Fact, Instance, Kind, Name, Status};
use crate::store::{StoreError, TIMEOUT_MILLIS};
use crate::values::{CLOCK_SKEW, InstanceId, SiteId, Timestamp};
use crate::wix::event::Envelope;
use crate::wix::{Event, Message};

/// The outcome of an event, as the log names it, and the deferred work.
pub struct EventOutcome {
    /// The outcome.
    pub name: &'static str,
    /// The deferred work.
    pub follow_up: FollowUp,
    /// Whether the app is removed, as far as the event told or its recording showed.
    pub is_removed: bool,
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
        Self { name, follow_up: FollowUp::Nothing, is_removed: false }
    }
}

/// Stores an event that Wix issued at `issued_at`: what it says about the instance in KV, and the event itself in the object
/// that delivers it to the app.
pub async fn accept_event<P: Ports>(
    cx: &Context<'_, P>,
    message: Message,
    issued_at: Timestamp,
) -> Result<EventOutcome, InstanceError> {
    let Message { instance, event, at, site, is_sample, envelope } = message;
    let id = instance.as_ref();
    if event == Event::OfAnotherApp {
        return Ok(EventOutcome::done("other_app_ignored"));
    }
    // The dashboard's test button sends events without an app, for an invented instance.
    if is_sample && is_unknown(cx, id).await? {
        return Ok(EventOutcome::done("sample_ignored"));
    }
    // A message may be signed anew when it is sent again, so the event's own time counts. It cannot be later.
    let at = at.map_or(issued_at, |at| at.min(issued_at));
    let recorded = async {
        match id {
            Some(id) => store(cx, id, at, event, site).await,
            None => Ok(EventOutcome::done("event_of_no_instance")),
        }
    };
    // Await both, even if one fails: the runtime would cancel the other with the response.
    let (recorded, submitted) = join(recorded, submit_event(cx, id, &envelope, issued_at)).await;
    let recorded = recorded?;
    submitted?;
    Ok(recorded)
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
    event: Event,
    site: Option<SiteId>,
) -> Result<EventOutcome, InstanceError> {
    let kinds = match event {
        Event::Installed { origin } => vec![Kind::Installed { origin }],
        Event::Created => vec![Kind::Created],
        Event::Listed => vec![Kind::Listed],
        Event::Removed => vec![Kind::Removed],
        Event::Deleted => vec![Kind::Removed, Kind::Deleted],
        Event::Plan { plan, cycle, expires_at, auto_renewing } => {
            vec![Kind::Plan { plan, cycle, expires_at, auto_renewing }]
        }
        Event::Cancelled { plan, cycle } => vec![Kind::Cancelled { plan, cycle }],
        Event::Billing => vec![Kind::BillingChanged],
        Event::OfAnotherApp | Event::Other => return record_sighting(cx, id, at, site).await,
    };
    record(cx, id, at, kinds, site).await
}

/// Records facts that a signed message proves.
pub(super) async fn record<P: Ports>(
    cx: &Context<'_, P>,
    id: &InstanceId,
    at: Timestamp,
    kinds: Vec<Kind>,
    site: Option<SiteId>,
) -> Result<EventOutcome, InstanceError> {
    let has = |kinds: &[Kind], name| kinds.iter().any(|kind| kind.name() == name);
    let is_new = has(&kinds, Name::Installed) || has(&kinds, Name::Created);
    let installed = is_new || has(&kinds, Name::Listed);
    let (removed, deleted) = (has(&kinds, Name::Removed), has(&kinds, Name::Deleted));
    let store = cx.store_in_time();
    // A deletion leaves nothing to remember of the site.
    let site = site.filter(|_| !deleted).map(|site| Kind::Site { site });
    let facts = kinds.into_iter().chain(site).map(|kind| Fact::new(at, kind)).collect();
    let recorded = if removed && !deleted {
        store.record_removal(id, at, facts, token_issued_at(cx, id).await?, cx.now()).await?
    } else {
        store.record_facts(id, facts, cx.now()).await?
    };
    if recorded.instance.status == Status::Removed {
        cx.cache.forget(cx.platform, id);
    }
    // After a deletion the object of the installation can erase itself, once its pending events are delivered or parked.
    if recorded.is_gone() {
        store.erase_tokens(id).await?;
    }
    if is_new && recorded.changed {
        cx.cache.cool_downs.clear(id);
    }
    let follow_up = if installed && recorded.instance.needs_setup_event(cx.settings.setup) {
        FollowUp::Setup
    } else if recorded.changed {
        FollowUp::Reconcile
    } else {
        FollowUp::Nothing
    };
    let name = if recorded.changed { "stored" } else { "known" };
    Ok(EventOutcome { name, follow_up, is_removed: recorded.instance.status == Status::Removed })
}

/// When the access token was issued that is known here, or else in the record.
async fn token_issued_at<P: Ports>(cx: &Context<'_, P>, id: &InstanceId) -> Result<Option<Timestamp>, InstanceError> {
    if let Some(token) = cx.cache.tokens.value(id) {
        return Ok(Some(token.issued_at()));
    }
    if cx.settings.events.is_bound {
        return issued_by_object(cx, id).await;
    }
    Ok(cx.store_in_time().access_token(id, cx.now()).await?.map(|token| token.issued_at()))
}

/// What the record says of an instance that a signed message of an unhandled type names.
pub(super) enum Sighting {
    /// It was seen to be installed within the last minutes.
    Recent,
    /// It is there.
    Expected {
        /// Whether its site is unknown.
        lacks_site: bool,
    },
    /// The app was removed from it, about when the message was signed or later.
    Removed,
    /// The message contradicts the removal.
    Contradicted,
    /// Nothing is known of it.
    Unknown,
}

impl Sighting {
    /// Compares the record with a message that Wix signed at `at`.
    pub(super) async fn of<P: Ports>(
        cx: &Context<'_, P>,
        id: &InstanceId,
        at: Timestamp,
    ) -> Result<Self, InstanceError> {
        if cx.cache.seen_installed.contains(id, cx.now()) {
            return Ok(Self::Recent);
        }
        Ok(match cx.store_in_time().instance(id).await? {
            None => Self::Unknown,
            Some(Instance { removed_at: Some(removed), .. }) if at.since(removed) <= CLOCK_SKEW => Self::Removed,
            Some(Instance { removed_at: Some(_), .. }) => Self::Contradicted,
            Some(Instance { site_id, .. }) => Self::Expected { lacks_site: site_id.is_none() },
        })
    }
}

/// Remembers that an instance was seen to be installed.
pub(super) fn remember<P: Ports>(cx: &Context<'_, P>, id: &InstanceId) {
    cx.cache.seen_installed.set(id.clone(), cx.now().plus(CHECK_INTERVAL));
}

/// An event of an unhandled type. Its signature proves that the instance exists, so that it is recorded if the instance is
/// unknown, or if it contradicts a removal.
async fn record_sighting<P: Ports>(
    cx: &Context<'_, P>,
    id: &InstanceId,
    at: Timestamp,
    site: Option<SiteId>,
) -> Result<EventOutcome, InstanceError> {
    let accepted = EventOutcome::done("event_accepted");
    match Sighting::of(cx, id, at).await? {
        Sighting::Expected { lacks_site: true } if site.is_some() => {
            let facts = site.into_iter().map(|site| Fact::new(at, Kind::Site { site })).collect();
            cx.store_in_time().record_facts(id, facts, cx.now()).await?;
            Ok(EventOutcome { follow_up: FollowUp::Reconcile, ..accepted })
        }
        Sighting::Expected { .. } => {
            remember(cx, id);
            Ok(accepted)
        }
        Sighting::Recent | Sighting::Removed => Ok(accepted),
        Sighting::Contradicted | Sighting::Unknown => record(cx, id, at, vec![Kind::Seen], site).await,
    }
}
