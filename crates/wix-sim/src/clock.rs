//! The simulated clock: the wall clock plus an offset that the control API moves forward.
//!
//! Token and code expiry, the rate limit and the webhook retries follow it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;

/// The longest wait before the clock looks again, so that a wall clock set by hand is noticed.
const LONGEST_NAP: Duration = Duration::from_secs(30);

/// A clock that can be moved.
pub(crate) struct Clock {
    offset_ms: watch::Sender<i64>,
}

impl Clock {
    /// A clock that shows the wall clock's time.
    pub(crate) fn new() -> Self {
        Self { offset_ms: watch::Sender::new(0) }
    }

    /// Milliseconds since the epoch by the wall clock, which is the app's clock too.
    pub(crate) fn wall_ms() -> i64 {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    /// Milliseconds since the epoch, simulated.
    pub(crate) fn now_ms(&self) -> i64 {
        Self::wall_ms().saturating_add(*self.offset_ms.borrow())
    }

    /// How far the simulated time is ahead, in milliseconds.
    pub(crate) fn offset_ms(&self) -> i64 {
        *self.offset_ms.borrow()
    }

    /// Moves the clock forward and wakes whoever waits for a moment.
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
            let nap = Duration::from_millis(left.unsigned_abs()).min(LONGEST_NAP);
            tokio::select! {
                () = tokio::time::sleep(nap) => {}
                _ = moved.changed() => {}
            }
        }
    }
}

#[cfg(test)]
mod tests;
