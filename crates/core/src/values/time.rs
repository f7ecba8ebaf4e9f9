//! Points in time. Callers read the clock and pass the time down.

use serde::{Deserialize, Serialize};

/// How far the clocks of two servers may differ, in seconds.
pub const CLOCK_SKEW: u64 = 60;

/// Unix time in whole seconds: the unit of `iat` and `exp` in a JWT (RFC 7519), and of all stored times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(inline))]
#[serde(transparent)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// Rounds milliseconds of Unix time down to seconds.
    #[must_use]
    pub fn from_millis(millis: u64) -> Self {
        Self(millis / 1000)
    }

    /// Adds seconds.
    #[must_use]
    pub fn plus(self, seconds: u64) -> Self {
        Self(self.0.saturating_add(seconds))
    }

    /// The seconds since `earlier`; 0 if `earlier` is later than this.
    #[must_use]
    pub fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// Parses `Retry-After` into seconds (RFC 9110, 10.2.3): a number, or a date in any of the three forms of HTTP.
#[must_use]
pub fn retry_after(text: &str, now: Timestamp) -> Option<u64> {
    let text = text.trim();
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        // A number that does not fit counts as the longest.
        return (!text.is_empty()).then(|| text.parse().unwrap_or(u64::MAX));
    }
    let date = httpdate::parse_http_date(text).ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some(Timestamp(date.as_secs()).since(now))
}
