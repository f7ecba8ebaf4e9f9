//! The App Installations events: domain events about the newer entity of an installation (docs/wix.md, 4.7 and 5).

use serde::Deserialize;
use serde_json::Value;

use super::{Envelope, Event, event_time, names_another_app};
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
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Domain {
    event_time: Value,
    created_event: Value,
    updated_event: Value,
    deleted_event: Value,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Entity {
    app_id: Value,
    instance_id: Value,
    status: Value,
    site_info: Value,
}

/// Parses an event; `None` if it is of another type.
pub(super) fn parse(app: &AppId, envelope: &Envelope) -> Option<Installation> {
    let kind = envelope.event_type();
    if ![CREATED, UPDATED, DELETED].contains(&kind) {
        return None;
    }
    let Domain { event_time: at, created_event, updated_event, deleted_event } = envelope.inner();
    let entity = match kind {
        CREATED => entity(&created_event, &["entity", "entityAsJson"]),
        UPDATED => entity(&updated_event, &["currentEntity", "currentEntityAsJson"]),
        _ => entity(&deleted_event, &["deletedEntity"]),
    };
    let event = match (kind, entity.status.as_str()) {
        // The events are of all apps of the developer's account.
        _ if names_another_app(&entity.app_id, app) => Event::OfAnotherApp,
        (CREATED, _) => Event::Created,
        (DELETED, _) => Event::Deleted,
        (_, Some("UNINSTALLED")) => Event::Removed,
        (_, Some("INSTALLED")) => Event::Listed,
        // A status that Wix may add says nothing about the installation.
        _ => Event::Other,
    };
    Some(Installation {
        event,
        at: event_time(&at),
        instance: entity.instance_id.as_str().and_then(|id| InstanceId::parse(id).ok()),
        site: entity.site_info.get("siteId").and_then(Value::as_str).and_then(|id| SiteId::parse(id).ok()),
    })
}

/// The entity, which is an object or JSON text.
fn entity(event: &Value, names: &[&str]) -> Entity {
    let value = names.iter().find_map(|name| event.get(name).filter(|value| !value.is_null()));
    let read = match value {
        Some(Value::String(text)) => json::object(text.as_bytes()).ok(),
        Some(value) => Entity::deserialize(value).ok(),
        None => None,
    };
    read.unwrap_or_default()
}
