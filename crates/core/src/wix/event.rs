//! Webhook events: the envelope in the claims of a verified JWS (docs/wix.md, 4.5 and 5).

mod installation;
mod plan;

use std::borrow::Cow;

use chrono::DateTime;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::values::json::Fields;
use crate::values::{AppId, InstanceId, SiteId, Timestamp, json};
use installation::Installation;
use plan::Plan;
pub use plan::{cycle_of, product};

/// The largest webhook body, in bytes. Wix's entities reach half of it, and base64 adds a third.
pub const BODY_LIMIT: usize = 1024 * 1024;

/// The second layer: the JSON text in the claim `data`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Envelope {
    event_type: String,
    #[serde(default)]
    instance_id: Value,
    /// The third layer, as JSON text. An object is accepted too.
    data: Option<Box<RawValue>>,
    /// JSON text. An object is accepted too.
    identity: Option<Box<RawValue>>,
    webhook_id: Option<Box<RawValue>>,
    account_info: Option<Box<RawValue>>,
}

/// The account that an event belongs to (docs/wix.md, 4.5), in the form of the delivery.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub struct Account {
    #[serde(rename = "account_id", skip_serializing_if = "Option::is_none")]
    own: Option<String>,
    /// Of a child account.
    #[serde(rename = "parent_account_id", skip_serializing_if = "Option::is_none")]
    parent: Option<String>,
    /// Of an event of a site.
    #[serde(rename = "site_id", skip_serializing_if = "Option::is_none")]
    site: Option<String>,
}

/// A text.
fn text(raw: &RawValue) -> Option<String> {
    json::parse(raw.get()).ok()
}

/// The parts of an event that are delivered to the app.
pub struct Content<'a> {
    /// `eventType`
    pub event_type: &'a str,
    /// The third layer as JSON. A text that is not JSON is a JSON string.
    pub data: Option<Cow<'a, str>>,
    /// Who caused the event, as JSON.
    pub identity: Option<Cow<'a, str>>,
    /// The account, if it is known.
    pub account: Option<Account>,
    /// The id of a domain event, or `webhookId`.
    pub own_id: Option<String>,
    /// When it happened, if the event says so.
    pub event_time: Option<String>,
    /// Whether a privacy request caused the event.
    pub is_anonymize: bool,
}

impl Envelope {
    /// The third layer's text, if it is a string.
    fn text(&self) -> Option<String> {
        text(self.data.as_deref()?)
    }

    /// `eventType`
    #[must_use]
    pub fn event_type(&self) -> &str {
        &self.event_type
    }

    /// The parts that are delivered to the app.
    #[must_use]
    pub fn content(&self) -> Content<'_> {
        let inner = self.inner();
        // Other events than domain events (docs/wix.md, 4.7) may have the id of an entity there.
        let id = json::text(&inner, "id").filter(|_| json::text(&inner, "entityFqdn").is_some());
        let webhook_id = || text(self.webhook_id.as_deref()?);
        Content {
            event_type: &self.event_type,
            data: self.data.as_deref().map(layer),
            identity: self.identity.as_deref().map(layer),
            account: self.account(),
            own_id: id.or_else(webhook_id).filter(|id| !id.is_empty()),
            event_time: json::text(&inner, "eventTime"),
            is_anonymize: json::is_true(&json::value(&inner, "triggeredByAnonymizeRequest")),
        }
    }

    fn account(&self) -> Option<Account> {
        let account: Fields = json::object(self.account_info.as_ref()?.get().as_bytes()).ok()?;
        let text = |name| json::text(&account, name);
        let account = Account { own: text("accountId"), parent: text("parentAccountId"), site: text("siteId") };
        Some(account).filter(|account| *account != Account::default())
    }

    /// The third layer. It is optional, and so are all its fields, as in Wix's types.
    fn inner(&self) -> Fields {
        let text = match (self.text(), &self.data) {
            (Some(text), _) => Cow::Owned(text),
            (None, Some(data)) => Cow::Borrowed(data.get()),
            (None, None) => return Fields::new(),
        };
        json::object(text.as_bytes()).unwrap_or_default()
    }

    /// Whether the event looks like one of the dashboard's test button: multi-line sample data without identity
    /// (docs/wix.md, 4.1).
    fn is_sample(&self) -> bool {
        self.identity.is_none()
            && self.webhook_id.is_none()
            && self.text().is_some_and(|text| text.contains('\n') || text.ends_with(' '))
    }
}

/// A layer as JSON. A text that is JSON by the grammar of RFC 8259 is taken byte for byte, whatever serde makes of its numbers,
/// escapes and repeated names. Any other text stays the JSON string that it is in the layer above.
fn layer(raw: &RawValue) -> Cow<'_, str> {
    match text(raw) {
        Some(text) if json::parse::<IgnoredAny>(&text).is_ok() => Cow::Owned(text),
        _ => Cow::Borrowed(raw.get()),
    }
}

/// The events that change the record of an instance, and all others.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    /// `AppInstalled`
    Installed {
        /// The instance of the site that this site was cloned from.
        origin: Option<InstanceId>,
    },
    /// `AppRemoved`, or `app_installation_updated` with the status `UNINSTALLED`.
    Removed,
    /// `app_installation_created`
    Created,
    /// `app_installation_updated` with the status `INSTALLED`.
    Listed,
    /// `app_installation_deleted`
    Deleted,
    /// A plan was bought or changed.
    Plan {
        /// `vendorProductId`
        plan: String,
        /// `cycle`
        cycle: Option<String>,
        /// `expiresOn`
        expires_at: Option<Timestamp>,
        /// Whether the plan renews itself, if the event says so.
        auto_renewing: Option<bool>,
    },
    /// A plan will not renew itself.
    Cancelled {
        /// `vendorProductId`
        plan: Option<String>,
        /// `cycle`
        cycle: Option<String>,
    },
    /// Something about billing changed, of which the event does not tell the result.
    Billing,
    /// The event names another app.
    OfAnotherApp,
    /// An event type without effect on the record.
    Other,
}

/// The payload of an event cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct EventError(pub &'static str);

/// A parsed event.
pub struct Message {
    /// The instance, if the message names one.
    pub instance: Option<InstanceId>,
    /// The event.
    pub event: Event,
    /// When it happened, if the event says so.
    pub at: Option<Timestamp>,
    /// The site, if the message names it.
    pub site: Option<SiteId>,
    /// Whether the dashboard's test button may have sent it. An event that names this app is genuine.
    pub is_sample: bool,
    /// The envelope.
    pub envelope: Envelope,
}

/// Parses the claim `data`.
pub fn parse(app: &AppId, envelope: &str) -> Result<Message, EventError> {
    let envelope: Envelope = json::object(envelope.as_bytes())
        .map_err(|_| EventError("the claim `data` must be a JSON envelope with an eventType"))?;
    let named = envelope.instance_id.as_str().and_then(|id| InstanceId::parse(id).ok());
    let account = envelope.account().and_then(|account| SiteId::parse(&account.site?).ok());
    let is_sample = envelope.is_sample();
    if let Some(installation) = installation::parse(app, &envelope) {
        let Installation { event, at, instance, site, names_app } = installation;
        let (instance, site) = (instance.or(named), site.or(account));
        let is_sample = is_sample && !names_app;
        return Ok(Message { instance, event, at, site, is_sample, envelope });
    }
    if let Some(Plan { event, at }) = plan::parse(app, &envelope) {
        return Ok(Message { instance: named, event, at, site: account, is_sample, envelope });
    }
    let (event, names_app) = match envelope.event_type.as_str() {
        kind @ ("AppInstalled" | "AppRemoved") => {
            let inner = envelope.inner();
            let app_id = json::value(&inner, "appId");
            let event = if names_another_app(&app_id, app) {
                Event::OfAnotherApp
            } else if kind == "AppInstalled" {
                let origin = json::text(&inner, "originInstanceId").and_then(|id| InstanceId::parse(&id).ok());
                Event::Installed { origin }
            } else {
                Event::Removed
            };
            (event, names_an_app(&app_id))
        }
        _ => (Event::Other, false),
    };
    let is_sample = is_sample && !names_app;
    Ok(Message { instance: named, event, at: None, site: account, is_sample, envelope })
}

/// Whether an event names an app. An absent id may come as an empty text (docs/wix.md, 5).
fn names_an_app(id: &Value) -> bool {
    !id.is_null() && id.as_str() != Some("")
}

/// Whether an event names an app, and another one. An app id that is not a GUID is not the id of this app.
fn names_another_app(id: &Value, app: &AppId) -> bool {
    names_an_app(id) && id.as_str().and_then(|id| AppId::parse(id).ok()).as_ref() != Some(app)
}

/// A time in RFC 3339's form.
pub fn event_time(value: &Value) -> Option<Timestamp> {
    let time = DateTime::parse_from_rfc3339(value.as_str()?).ok()?.timestamp();
    u64::try_from(time).ok().map(Timestamp)
}
