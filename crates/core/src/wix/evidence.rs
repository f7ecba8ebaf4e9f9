//! What a response of Wix's proves, and about whom: the installation, the operator, the network, or nothing yet.
//!
//! Everything that asks Wix judges by this: tokens (those for proxied calls too), contested removals, redirects and BI
//! events. A proxied response is the caller's, and only its status 401 is looked at. A firewall or
//! a proxy on the way answers with the same statuses as Wix, so a refusal counts as Wix's only with Wix's JSON error.

use serde::Deserialize;
use serde_json::Value;

use crate::json;
use crate::platform::Answer;
use crate::time::Timestamp;

/// What a response proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Wix did what it was asked for.
    Success,
    /// Wix refuses this for this installation: asking again in the same way changes nothing.
    Installation,
    /// Wix refuses the app's own credentials: the operator's fault.
    Operator,
    /// The status of a refusal without Wix's JSON error: something between Wix and this server answered.
    Network,
    /// It may pass: ask again, after this many milliseconds where Wix says so.
    Transient(u64),
    /// A status that is not expected of Wix.
    Unexpected,
}

/// Judges a response. `now` is the real time, for a `Retry-After` with a date.
#[must_use]
pub fn judge(answer: &Answer, now: Timestamp) -> Verdict {
    match answer.status {
        200..=299 => Verdict::Success,
        400 | 401 | 403 | 404 => match JsonError::read(&answer.body) {
            None => Verdict::Network,
            Some(error) if error.names_the_client() => Verdict::Operator,
            Some(_) => Verdict::Installation,
        },
        408 | 425 | 429 | 500..=599 => {
            let wait = answer.retry_after.as_deref().and_then(|text| retry_after(text, now));
            Verdict::Transient(wait.unwrap_or(0).saturating_mul(1000))
        }
        _ => Verdict::Unexpected,
    }
}

/// Wix's JSON error: an object with a text `error` or `message`. The content type does not matter.
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

    /// RFC 6749, 5.2.
    fn names_the_client(&self) -> bool {
        let texts = [&self.error, &self.message].into_iter().filter_map(Value::as_str);
        texts.into_iter().any(|text| matches!(text, "invalid_client" | "unauthorized_client"))
    }
}

/// `Retry-After` in seconds (RFC 9110, 10.2.3): a number, or a date in any of the forms of HTTP.
#[must_use]
pub fn retry_after(text: &str, now: Timestamp) -> Option<u64> {
    let text = text.trim();
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        // So many digits that they do not fit are as long as it gets.
        return (!text.is_empty()).then(|| text.parse().unwrap_or(u64::MAX));
    }
    let date = httpdate::parse_http_date(text).ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some(Timestamp(date.as_secs()).since(now))
}

#[cfg(test)]
#[path = "evidence_tests.rs"]
mod tests;
