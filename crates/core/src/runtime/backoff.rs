//! Backoff between attempts.

use std::time::Duration;

use super::Clock;

/// Exponential backoff: the pause doubles with each failed attempt, up to a limit. In the unit of its fields.
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    /// The pause after the first failed attempt.
    pub first: u64,
    /// The longest pause.
    pub longest: u64,
}

impl Backoff {
    /// The pause after this many failed attempts, of which there is at least one.
    #[must_use]
    pub fn after(self, failed: u32) -> u64 {
        self.first.saturating_mul(1 << failed.saturating_sub(1).min(16)).min(self.longest)
    }
}

/// Attempts an operation until it succeeds, with these pauses between the attempts. Returns the last error.
pub async fn retry<T, E>(
    clock: &impl Clock,
    pauses: &[Duration],
    attempt: impl AsyncFn() -> Result<T, E>,
) -> Result<T, E> {
    for pause in pauses {
        if let Ok(value) = attempt().await {
            return Ok(value);
        }
        clock.sleep(*pause).await;
    }
    attempt().await
}

#[cfg(test)]
mod tests;
