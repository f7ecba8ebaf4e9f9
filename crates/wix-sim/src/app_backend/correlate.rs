//! Finds the event that a webhook became at the app.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::{Inbox, Received};
use crate::jws;

/// Within this time, in seconds, equal contents are copies of one event.
const SAME_EVENT_SECONDS: u64 = 600;

/// The parts of a webhook by which its event is found.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    /// The `id` of a domain event, or `webhookId`.
    own_id: Option<String>,
    event_type: String,
    instance_id: Option<String>,
    /// The innermost layer as JSON.
    data: String,
    iat: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    event_type: String,
    #[serde(default)]
    instance_id: Option<String>,
    data: Option<Box<RawValue>>,
    #[serde(default)]
    webhook_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Domain {
    id: Option<String>,
    entity_fqdn: Option<String>,
}

impl Sent {
    /// Reads a message; `None` if it does not have Wix's form.
    pub(crate) fn read(jwt: &str) -> Option<Self> {
        let claims: Value = serde_json::from_slice(&jws::decode(jwt.split('.').nth(1)?)?).ok()?;
        let envelope: Envelope = serde_json::from_str(claims.get("data")?.as_str()?).ok()?;
        let data = envelope.data.map_or_else(|| "null".to_owned(), |layer| innermost(&layer));
        Some(Self {
            own_id: domain_id(&data).or(envelope.webhook_id),
            event_type: envelope.event_type,
            instance_id: envelope.instance_id.filter(|id| !id.is_empty()),
            data,
            iat: claims.get("iat")?.as_i64()?,
        })
    }

    /// The event at the app.
    pub(crate) fn find<'a>(&self, inbox: &'a Inbox) -> Option<&'a Received> {
        if let Some(id) = self.own_id.as_ref().filter(|id| is_webhook_id(id)) {
            return inbox.deliveries.iter().find(|received| received.webhook_id == *id);
        }
        let equal = inbox.deliveries.iter().filter(|received| {
            let event = &received.event;
            !received.is_own()
                && event.event_type == self.event_type
                && event.instance_id == self.instance_id
                && event.data.get() == self.data
        });
        let by_distance = equal.map(|received| (self.seconds_from(received), received));
        let nearest = by_distance.min_by_key(|(distance, _)| *distance);
        nearest.filter(|(distance, _)| *distance <= SAME_EVENT_SECONDS).map(|(_, received)| received)
    }

    /// Whether an event of the same instance that came before this time fails at the app. Then the later ones wait for it.
    pub(crate) fn is_behind_a_failing_event(&self, inbox: &Inbox, before_ms: i64) -> bool {
        let of_instance = |received: &&Received| received.event.instance_id == self.instance_id;
        let fails = |received: &Received| received.delivered.is_none() && received.first_at_ms <= before_ms;
        inbox.deliveries.iter().filter(of_instance).any(fails)
    }

    /// The seconds between the signature and the event's time, which is that of the first copy.
    fn seconds_from(&self, received: &Received) -> u64 {
        let at = received.event.timestamp.parse::<jiff::Timestamp>();
        at.map_or(u64::MAX, |at| at.as_second().abs_diff(self.iat))
    }
}

/// A layer of a message as JSON: a text that is JSON counts as such, any other as a string.
fn innermost(layer: &RawValue) -> String {
    match serde_json::from_str::<String>(layer.get()) {
        Ok(text) if serde_json::from_str::<&RawValue>(&text).is_ok() => text.trim().to_owned(),
        _ => layer.get().to_owned(),
    }
}

/// The id of a domain event. In other events, `id` may be that of an entity.
fn domain_id(data: &str) -> Option<String> {
    let domain: Domain = serde_json::from_str(data).ok()?;
    domain.entity_fqdn.and(domain.id)
}

/// Whether wix-edge uses the own id as `webhook-id`. It replaces others, which the specification does not allow.
fn is_webhook_id(id: &str) -> bool {
    (1..=128).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

#[cfg(test)]
mod tests;
