//! Judges Wix's responses: is the installation at fault, the operator, the network, or is the error transient?
//!
//! All calls of the Worker's own use it: tokens, contested removals, redirects and BI events. A proxied response is the
//! caller's to judge; the Worker only looks for the status 401. A firewall or a proxy answers with the same statuses as
//! Wix, so a refusal counts as Wix's only with Wix's JSON error.

use serde::Deserialize;
use serde_json::Value;

use super::Response;
use crate::values::{Timestamp, json, retry_after};

/// What a response proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Wix did what was requested.
    Success,
    /// Wix refuses the request for this installation. The error is permanent.
    Installation,
    /// Wix refuses the app's own credentials. The operator must correct them.
    Operator,
    /// The status of a refusal without Wix's JSON error: a firewall or a proxy answered.
    Network,
    /// The error is transient. `Retry-After` in milliseconds, or 0.
    Transient(u64),
    /// A status that Wix does not document.
    Unexpected,
}

/// Judges a response. `now` is the real time, for a `Retry-After` with a date.
#[must_use]
pub fn judge(response: &Response, now: Timestamp) -> Verdict {
    match response.status {
        200..=299 => Verdict::Success,
        400 | 401 | 403 | 404 => match JsonError::read(&response.body) {
            None => Verdict::Network,
            Some(error) if error.names_the_client() => Verdict::Operator,
            Some(_) => Verdict::Installation,
        },
        408 | 425 | 429 | 500..=599 => {
            let wait = response.retry_after.as_deref().and_then(|text| retry_after(text, now));
            Verdict::Transient(wait.unwrap_or(0).saturating_mul(1000))
        }
        _ => Verdict::Unexpected,
    }
}

/// Wix's JSON error: an object with a string `error` or `message`, whatever the content type.
#[derive(Deserialize)]
struct JsonError {
    #[serde(default)]
    error: Value,
    #[serde(default)]
    message: Value,
}

impl JsonError {
    fn read(body: &[u8]) -> Option<Self> {
        let read: Self = json::object(body).ok()?;
        (read.error.is_string() || read.message.is_string()).then_some(read)
    }

    /// Whether the error is about the client (RFC 6749, 5.2).
    fn names_the_client(&self) -> bool {
        let texts = [&self.error, &self.message].into_iter().filter_map(Value::as_str);
        texts.into_iter().any(|text| matches!(text, "invalid_client" | "unauthorized_client"))
    }
}

#[cfg(test)]
mod tests;
