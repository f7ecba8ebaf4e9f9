//! The simulated clock: the wall clock plus an offset, which the control API increases.
//!
//! Token and code expiry, the rate limit and webhook retries use it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;

/// The longest sleep before the clock reads the time again, in case somebody sets the wall clock.
const MAX_SLEEP: Duration = Duration::from_secs(30);

/// A clock that tests can advance.
pub(crate) struct Clock {
    offset_ms: watch::Sender<i64>,
}

impl Clock {
    /// A clock that agrees with the wall clock.
    pub(crate) fn new() -> Self {
        Self { offset_ms: watch::Sender::new(0) }
    }

    /// The wall clock, in Unix milliseconds. The app uses this clock too.
    pub(crate) fn wall_ms() -> i64 {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    /// The simulated time, in Unix milliseconds.
    pub(crate) fn now_ms(&self) -> i64 {
        Self::wall_ms().saturating_add(*self.offset_ms.borrow())
    }

    /// The offset of the simulated time from the wall clock, in milliseconds.
    pub(crate) fn offset_ms(&self) -> i64 {
        *self.offset_ms.borrow()
    }

    /// Advances the clock, and wakes every task in [`Self::sleep_until`].
    pub(crate) fn advance(&self, seconds: u32) {
        self.offset_ms.send_modify(|offset| *offset = offset.saturating_add(i64::from(seconds) * 1000));
    }

    /// Sets the clock back to the wall clock.
    pub(crate) fn reset(&self) {
        self.offset_ms.send_replace(0);
    }

    /// Returns when the simulated time has reached `at_ms`.
    pub(crate) async fn sleep_until(&self, at_ms: i64) {
        let mut moved = self.offset_ms.subscribe();
        loop {
            moved.mark_unchanged();
            let left = at_ms.saturating_sub(self.now_ms());
            if left <= 0 {
                return;
            }
            let sleep = Duration::from_millis(left.unsigned_abs()).min(MAX_SLEEP);
            tokio::select! {
                () = tokio::time::sleep(sleep) => {}
                _ = moved.changed() => {}
            }
        }
    }
}

#[cfg(test)]
mod tests;
