//! An event for the app: its identity and its body, and the text in which it is passed to the object.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, SecondsFormat};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::values::{InstanceId, Timestamp, json};
use crate::wix::event::Content;

/// How ids begin that are derived from content.
const DERIVED: &str = "evt_";

/// An event, complete but for its sequence number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Everything but the body.
    pub identity: Identity,
    /// The body before the sequence number. It has no line break.
    pub before: String,
    /// The body after the sequence number.
    pub after: String,
}

/// The identity of an event, as the object stores it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The event's own id, or the hash of its content.
    pub key: String,
    /// Whether `key` is a hash of the content. Two events may then have the same key.
    #[serde(default)]
    pub by_content: bool,
    /// When Wix signed the message.
    pub iat: Timestamp,
    /// `eventType`
    #[serde(rename = "type")]
    pub event_type: String,
}

/// The text is not an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the message to the object must be an event")]
pub struct MessageError;

#[derive(Serialize)]
struct Before<'a> {
    #[serde(rename = "type")]
    event_type: &'a str,
    timestamp: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    instance_id: Option<&'a InstanceId>,
}

impl Event {
    /// An event of Wix's, which signed it at `iat`. `None` if a part cannot be written as JSON, which cannot happen.
    #[must_use]
    pub fn of(content: &Content<'_>, instance: Option<&InstanceId>, iat: Timestamp) -> Option<Self> {
        let Content { event_type, data, identity, account, own_id, event_time, is_anonymize } = content;
        let stated = event_time.as_deref().filter(|time| DateTime::parse_from_rfc3339(time).is_ok());
        let timestamp = stated.map_or_else(|| rfc3339(iat), str::to_owned);
        let before = before_sequence(event_type, &timestamp, instance)?;
        let mut after = format!(r#","source":"wix","data":{}"#, data.as_deref().unwrap_or("null"));
        if let Some(identity) = identity {
            after.extend([r#","identity":"#, identity]);
        }
        if let Some(account) = account {
            after.extend([r#","account":"#, &serde_json::to_string(account).ok()?]);
        }
        after.extend([r#","anonymize":"#, if *is_anonymize { "true}" } else { "false}" }]);

        let (key, by_content) = match own_id {
            Some(id) if is_plain(id) => (id.clone(), false),
            Some(id) => (hash(&[id]), false),
            None => {
                let instance = instance.map_or("", InstanceId::as_str);
                // The same account comes with each copy. `after` has everything that Wix sent, in one form.
                (hash(&[instance, event_type, &after]), true)
            }
        };
        let identity = Identity { key, by_content, iat, event_type: (*event_type).to_owned() };
        Some(Self { identity, before, after })
    }

    /// An event of our own, with JSON as data. `unique` makes its id.
    #[must_use]
    pub fn own(
        event_type: &str,
        instance: Option<&InstanceId>,
        at: Timestamp,
        data: &str,
        unique: &[u8; 16],
    ) -> Option<Self> {
        let before = before_sequence(event_type, &rfc3339(at), instance)?;
        let after = format!(r#","source":"wix-edge","data":{data},"anonymize":false}}"#);
        let key = format!("{DERIVED}{}", URL_SAFE_NO_PAD.encode(unique));
        let identity = Identity { key, by_content: false, iat: at, event_type: event_type.to_owned() };
        Some(Self { identity, before, after })
    }

    /// The text for the object of this name: a line each for the name, the identity and the first half of the body, then the
    /// rest.
    #[must_use]
    pub fn to_message(&self, object: &str) -> Option<String> {
        let identity = serde_json::to_string(&self.identity).ok()?;
        Some([object, "\n", identity.as_str(), "\n", &self.before, "\n", &self.after].concat())
    }

    /// Reads what [`Self::to_message`] wrote: the event, and the name of the object.
    pub fn from_message(message: &str) -> Result<(Self, &str), MessageError> {
        let mut parts = message.splitn(4, '\n');
        let (Some(object), Some(identity), Some(before), Some(after)) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(MessageError);
        };
        let identity = json::parse(identity).map_err(|_| MessageError)?;
        Ok((Self { identity, before: before.to_owned(), after: after.to_owned() }, object))
    }

    /// The body with its sequence number.
    #[must_use]
    pub fn body(&self, sequence: u64) -> String {
        [self.before.as_str(), &sequence.to_string(), &self.after].concat()
    }
}

impl Identity {
    /// The `webhook-id`. If it is derived from content, the time of the first copy tells equal events apart.
    #[must_use]
    pub fn webhook_id(&self) -> String {
        if self.by_content { format!("{}_{}", self.key, self.iat.0) } else { self.key.clone() }
    }
}

/// The body up to the sequence number.
fn before_sequence(event_type: &str, timestamp: &str, instance_id: Option<&InstanceId>) -> Option<String> {
    let mut before = serde_json::to_string(&Before { event_type, timestamp, instance_id }).ok()?;
    before.pop();
    before.push_str(r#","sequence":"#);
    Some(before)
}

/// Whether an own id can be a `webhook-id` as it is. The specification uses the full stop as a separator.
fn is_plain(id: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=128).contains(&id.len()) && id.bytes().all(is_allowed) && !id.starts_with(DERIVED)
}

/// A hash of texts, each with its length, so that no two lists have the same bytes.
fn hash(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    let digest = hash.finalize();
    format!("{DERIVED}{}", URL_SAFE_NO_PAD.encode(digest.get(..24).unwrap_or_default()))
}

pub(super) fn rfc3339(time: Timestamp) -> String {
    let time = i64::try_from(time.0).ok().and_then(|seconds| DateTime::from_timestamp(seconds, 0));
    time.unwrap_or_default().to_rfc3339_opts(SecondsFormat::Secs, true)
}
