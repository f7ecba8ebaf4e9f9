//! The App Installations events: domain events about the newer entity of an installation (docs/wix.md, 4.7 and 5).

use super::{Envelope, Event, event_time, names_an_app, names_another_app};
use crate::values::json::Fields;
use crate::values::{AppId, InstanceId, SiteId, Timestamp, json};

const CREATED: &str = "wix.app.installations.v1.app_installation_created";
const UPDATED: &str = "wix.app.installations.v1.app_installation_updated";
const DELETED: &str = "wix.app.installations.v1.app_installation_deleted";

/// What an event says. All its fields are optional.
pub(super) struct Installation {
    pub event: Event,
    /// When it happened.
    pub at: Option<Timestamp>,
    /// The instance that the entity names.
    pub instance: Option<InstanceId>,
    /// The site that the entity names.
    pub site: Option<SiteId>,
    /// Whether the entity names its app.
    pub names_app: bool,
}

/// Parses an event; `None` if it is of another type.
pub(super) fn parse(app: &AppId, envelope: &Envelope) -> Option<Installation> {
    let kind = envelope.event_type();
    if ![CREATED, UPDATED, DELETED].contains(&kind) {
        return None;
    }
    let inner = envelope.inner();
    let entity = match kind {
        CREATED => entity(&inner, "createdEvent", &["entity", "entityAsJson"]),
        UPDATED => entity(&inner, "updatedEvent", &["currentEntity", "currentEntityAsJson"]),
        _ => entity(&inner, "deletedEvent", &["deletedEntity"]),
    };
    let app_id = json::value(&entity, "appId");
    let event = match (kind, json::text(&entity, "status").as_deref()) {
        // The events are of all apps of the developer's account.
        _ if names_another_app(&app_id, app) => Event::OfAnotherApp,
        (CREATED, _) => Event::Created,
        (DELETED, _) => Event::Deleted,
        (_, Some("UNINSTALLED")) => Event::Removed,
        (_, Some("INSTALLED")) => Event::Listed,
        // A status that Wix may add says nothing about the installation.
        _ => Event::Other,
    };
    Some(Installation {
        event,
        at: event_time(&json::value(&inner, "eventTime")),
        instance: json::text(&entity, "instanceId").and_then(|id| InstanceId::parse(&id).ok()),
        site: json::text(&json::fields(&entity, "siteInfo"), "siteId").and_then(|id| SiteId::parse(&id).ok()),
        names_app: names_an_app(&app_id),
    })
}

/// The entity, which is an object or JSON text. It has no fields if there is none.
fn entity(inner: &Fields, event: &str, names: &[&str]) -> Fields {
    let event = json::fields(inner, event);
    let name = names.iter().find(|name| event.get(**name).is_some_and(|entity| entity.get() != "null"));
    name.map_or_else(Fields::new, |name| match json::text(&event, name) {
        Some(text) => json::object(text.as_bytes()).unwrap_or_default(),
        None => json::fields(&event, name),
    })
}
