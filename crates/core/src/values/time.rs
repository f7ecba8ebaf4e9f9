//! Points in time. Callers read the clock and pass the time down.

use serde::{Deserialize, Serialize};

/// How far the clocks of two servers may differ, in seconds.
pub const CLOCK_SKEW: u64 = 60;

/// Unix time in whole seconds: the unit of `iat` and `exp` in a JWT (RFC 7519), and of all stored times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
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
