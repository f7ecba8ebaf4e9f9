//! The object of one installation: accepts events, and says when it must run again.

use super::queue::Queue;
use super::schedule::next_step;
use super::{Event, MessageError, ObjectPorts, Settings};
use crate::runtime::PlatformError;

/// How long after its acceptance an event is delivered by the alarm, if the delivery that follows acceptance is lost. Longer
/// than a lease.
const GUARD: u64 = 30_000;
/// How long the object waits for a target to be configured.
const WITHOUT_TARGET: u64 = 3_600_000;

/// See the module.
pub struct Installation<'a, P> {
    pub(super) ports: &'a P,
    pub(super) settings: &'a Settings,
    pub(super) clock_offset_seconds: i64,
}

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepted {
    /// It is stored.
    Stored,
    /// It was accepted before.
    Known,
}

impl Accepted {
    /// As the object answers it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Known => "known",
        }
    }

    /// Reads what the object answered.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Stored, Self::Known].into_iter().find(|accepted| accepted.as_str() == text)
    }
}

/// Why an event was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AcceptError {
    /// The request is not an event.
    #[error(transparent)]
    Message(#[from] MessageError),
    /// The storage failed.
    #[error(transparent)]
    Platform(#[from] PlatformError),
}

impl<'a, P: ObjectPorts> Installation<'a, P> {
    /// The object with these ports.
    pub fn new(ports: &'a P, settings: &'a Settings, clock_offset_seconds: i64) -> Self {
        Self { ports, settings, clock_offset_seconds }
    }

    /// The time of the Worker's clock, in Unix milliseconds.
    pub(super) fn now(&self) -> u64 {
        self.ports.now_millis().saturating_add_signed(self.clock_offset_seconds.saturating_mul(1000))
    }

    /// Stores an event unless it is known. The object commits its writes and the alarm together.
    pub async fn accept(&self, message: &str) -> Result<Accepted, AcceptError> {
        let event = Event::from_message(message)?;
        let alarm = self.ports.alarm().await?;
        // Nothing is awaited from here on.
        let queue = Queue::open(self.ports)?;
        let now = self.now();
        let accepted = if queue.knows(&event)? {
            Accepted::Known
        } else {
            queue.add(&event, now)?;
            Accepted::Stored
        };
        if let Some(wake) = self.wake(&queue, now)? {
            let wake = self.on_runtimes_clock(wake);
            // A late alarm is moved, an early one only costs an invocation.
            if alarm.is_none_or(|alarm| alarm > wake) {
                self.ports.set_alarm(wake)?;
            }
        }
        Ok(accepted)
    }

    /// When the object must run again, on the Worker's clock. What is due now is being delivered, so the alarm only guards it.
    pub(super) fn wake(&self, queue: &Queue<'_, P>, now: u64) -> Result<Option<u64>, PlatformError> {
        let mut bounds = queue.bounds()?;
        let (head, next) = queue.pending(&mut bounds)?;
        let Some(head) = head else { return queue.next_erasure() };
        if self.settings.target.is_none() {
            return Ok(Some(now + WITHOUT_TARGET));
        }
        let at = next_step(&head, next.as_ref(), now, None).at;
        Ok(Some(if at > now { at } else { now + GUARD }))
    }

    /// Sets the alarm for a time of the Worker's clock.
    pub(super) fn set_alarm(&self, at: u64) -> Result<(), PlatformError> {
        self.ports.set_alarm(self.on_runtimes_clock(at))
    }

    fn on_runtimes_clock(&self, at: u64) -> u64 {
        at.saturating_add_signed(self.clock_offset_seconds.saturating_mul(-1000))
    }
}
