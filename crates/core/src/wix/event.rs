//! Webhook events: the envelope in the claims of a verified JWS (docs/wix.md, 4.5 and 5).

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::values::{AppId, InstanceId, json};

/// The largest webhook body, in bytes. Wix's entities reach half of it, and base64 adds a third.
pub const BODY_LIMIT: usize = 1024 * 1024;

/// The second layer: the JSON text in the claim `data`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    event_type: String,
    #[serde(default)]
    instance_id: Value,
    /// The third layer, as JSON text. An object is accepted too.
    data: Option<Box<RawValue>>,
    identity: Option<IgnoredAny>,
    webhook_id: Option<IgnoredAny>,
}

impl Envelope {
    /// The third layer's text, if it is a string.
    fn text(&self) -> Option<String> {
        serde_json::from_str(self.data.as_ref()?.get()).ok()
    }

    /// The third layer. It is optional, and so are all its fields, as in Wix's types.
    fn inner<T: DeserializeOwned + Default>(&self) -> T {
        let read = match (self.text(), &self.data) {
            (Some(text), _) => json::object(text.as_bytes()),
            (None, Some(data)) => json::object(data.get().as_bytes()),
            (None, None) => return T::default(),
        };
        read.unwrap_or_default()
    }

    /// Whether the event looks like one of the dashboard's test button: multi-line sample data without identity
    /// (docs/wix.md, 4.1).
    fn is_sample(&self) -> bool {
        self.identity.is_none()
            && self.webhook_id.is_none()
            && self.text().is_some_and(|text| text.contains('\n') || text.ends_with(' '))
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
    /// `AppRemoved`
    Removed,
    /// A plan was bought or changed.
    Plan {
        /// `vendorProductId`
        plan: String,
    },
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
    /// The instance, if the envelope names one.
    pub instance: Option<InstanceId>,
    /// The event.
    pub event: Event,
    /// Whether the dashboard's test button may have sent it.
    pub is_sample: bool,
}

/// Parses the claim `data`.
pub fn parse(app: &AppId, envelope: &str) -> Result<Message, EventError> {
    let envelope: Envelope = json::object(envelope.as_bytes())
        .map_err(|_| EventError("the claim `data` must be a JSON envelope with an eventType"))?;
    let instance = envelope.instance_id.as_str().and_then(|id| InstanceId::parse(id).ok());
    let event = match envelope.event_type.as_str() {
        "AppInstalled" | "AppRemoved" => {
            let Lifecycle { app_id, origin_instance_id } = envelope.inner();
            let is_installed = envelope.event_type == "AppInstalled";
            // An app id that is not a GUID is not the id of this app.
            if !app_id.is_null() && app_id.as_str().and_then(|id| AppId::parse(id).ok()).as_ref() != Some(app) {
                Event::OfAnotherApp
            } else if is_installed {
                Event::Installed { origin: origin_instance_id.as_str().and_then(|id| InstanceId::parse(id).ok()) }
            } else {
                Event::Removed
            }
        }
        "PaidPlanPurchased" | "PaidPlanChanged" | "PlanConvertedToPaid" | "PlanReactivated" | "PlanTransferred" => {
            let Bought { vendor_product_id } = envelope.inner();
            match vendor_product_id.as_str() {
                Some(plan) if is_plan(plan) => Event::Plan { plan: plan.to_owned() },
                // Without a product the event only proves that the instance exists.
                _ => Event::Other,
            }
        }
        _ => Event::Other,
    };
    Ok(Message { instance, event, is_sample: envelope.is_sample() })
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Lifecycle {
    app_id: Value,
    origin_instance_id: Value,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Bought {
    vendor_product_id: Value,
}

/// The longest `vendorProductId`, in characters (docs/wix.md, 5). It is stored in metadata, which KV limits to 1,024 bytes.
const PLAN_LIMIT: usize = 100;

fn is_plan(text: &str) -> bool {
    !text.is_empty() && text.chars().count() <= PLAN_LIMIT && !text.chars().any(char::is_control)
}
