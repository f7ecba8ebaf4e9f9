//! Points in time, as values that are handed down: the clock is read once, at the top.

use serde::{Deserialize, Serialize};

/// Unix time in whole seconds, the unit of JWT's `iat` and `exp` (RFC 7519) and of everything that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(inline))]
#[serde(transparent)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// The second in which a millisecond lies.
    #[must_use]
    pub fn from_millis(millis: u64) -> Self {
        Self(millis / 1000)
    }

    /// So many seconds later.
    #[must_use]
    pub fn plus(self, seconds: u64) -> Self {
        Self(self.0.saturating_add(seconds))
    }

    /// Seconds from `earlier` to this; none if `earlier` is the later one.
    #[must_use]
    pub fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}
