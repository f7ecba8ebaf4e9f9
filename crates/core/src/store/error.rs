//! Why a record could not be read or written.

use crate::runtime::PlatformError;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// KV failed. The text is for the log.
    #[error("{0}")]
    Failed(String),
    /// KV did not answer in time.
    #[error("KV took longer than {after_ms} ms")]
    TimedOut {
        /// The time that was left.
        after_ms: u64,
    },
    /// There is no fact to fold.
    #[error("there is no fact of the instance")]
    NoFacts,
    /// A record cannot be serialised. serde's own message may quote the record.
    #[error("a record cannot be written as JSON")]
    NotJson,
    /// The platform's cryptography failed.
    #[error(transparent)]
    Platform(#[from] PlatformError),
}

impl From<serde_json::Error> for StoreError {
    fn from(_: serde_json::Error) -> Self {
        Self::NotJson
    }
}
