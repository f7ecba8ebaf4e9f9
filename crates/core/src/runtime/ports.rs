//! The ports that every platform has.

use std::time::Duration;

use super::Point;

/// The clock and its timer.
#[expect(async_fn_in_trait, reason = "every implementation is single-threaded: no future needs to be `Send`")]
pub trait Clock {
    /// Unix time in milliseconds.
    fn now_millis(&self) -> u64;
    /// Waits.
    async fn sleep(&self, time: Duration);
}

/// Wakes requests of the same isolate.
#[expect(async_fn_in_trait, reason = "every implementation is single-threaded: no future needs to be `Send`")]
pub trait Signal: Clock {
    /// Waits until a request calls `wake` with this key, and at most for `time`. A call may be lost.
    async fn sleep_until_woken(&self, key: u32, time: Duration);
    /// Wakes all requests that sleep with this key. It neither waits nor fails.
    fn wake(&self, key: u32);
}

/// Cryptographic randomness.
pub trait Entropy {
    /// Fills `bytes` from a cryptographic generator.
    fn random(&self, bytes: &mut [u8]) -> Result<(), PlatformError>;
}

/// The log and the metrics.
pub trait Log {
    /// Writes one line of JSON.
    fn log(&self, level: Level, line: &str);
    /// Writes a data point, if the platform has a dataset. It neither waits nor fails.
    fn measure(&self, point: &Point<'_>);
}

/// The level of a log line, the least severe first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Normal operation.
    #[default]
    Info,
    /// The client made an error.
    Warn,
    /// The operator may have to act.
    Error,
}

impl Level {
    /// As in the log line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

/// The platform failed. The text is for the log and contains no argument of the failed call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PlatformError(pub String);
