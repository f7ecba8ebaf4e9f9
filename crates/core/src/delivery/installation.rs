//! The object of one installation: accepts events, and says when it must run again.

use super::about::{About, Known};
use super::queue::{Bounds, Look, Queue};
use super::schedule::{Pending, next_step};
use super::{Event, MessageError, ObjectPorts, Settings};
use crate::runtime::{Level, PlatformError};
use crate::values::{AppId, Timestamp};

/// How long after its acceptance an event is delivered by the alarm, if the delivery that follows acceptance is lost. Longer
/// than a lease.
const GUARD: u64 = 30_000;
/// How long the object waits for a target to be configured.
const WITHOUT_TARGET: u64 = 3_600_000;

/// See the module.
pub struct Installation<'a, P> {
    pub(super) ports: &'a P,
    pub(super) settings: &'a Settings,
    pub(super) app_id: &'a AppId,
    pub(super) clock_offset_seconds: i64,
    pub(super) log_level: Level,
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
    pub fn new(
        ports: &'a P,
        settings: &'a Settings,
        app_id: &'a AppId,
        clock_offset_seconds: i64,
        log_level: Level,
    ) -> Self {
        Self { ports, settings, app_id, clock_offset_seconds, log_level }
    }

    /// The time of the Worker's clock, in Unix milliseconds.
    pub(super) fn now(&self) -> u64 {
        self.ports.now_millis().saturating_add_signed(self.clock_offset_seconds.saturating_mul(1000))
    }

    /// The time of the Worker's clock, in Unix seconds.
    #[must_use]
    pub fn time(&self) -> Timestamp {
        Timestamp::from_millis(self.now())
    }

    /// Random bytes that make an id unique.
    pub(super) fn token(&self) -> Result<[u8; 16], PlatformError> {
        let mut bytes = [0; 16];
        self.ports.random(&mut bytes)?;
        Ok(bytes)
    }

    /// Stores an event unless it is known. The object commits its writes and the alarm together.
    pub async fn accept(&self, message: &str) -> Result<Accepted, AcceptError> {
        let (event, object) = Event::from_message(message)?;
        let alarm = self.ports.alarm().await?;
        // Nothing is awaited from here on.
        let queue = Queue::open(self.ports)?;
        let known = self.begin(&About::open(self.ports)?, object)?;
        let is_known = queue.knows(&event)?;
        let (mut look, now) = (queue.look(Bounds::default())?, self.now());
        if !is_known {
            queue.add(&event, now, &mut look)?;
        }
        self.guard(alarm, self.wake_for(&known, &look, now))?;
        Ok(if is_known { Accepted::Known } else { Accepted::Stored })
    }

    /// Sets the alarm for the next task, unless an alarm is already set for that time or earlier. `wake` is on the Worker's clock.
    pub(super) fn guard(&self, alarm: Option<u64>, wake: Option<u64>) -> Result<(), PlatformError> {
        let Some(wake) = wake.map(|wake| self.on_runtimes_clock(wake)) else { return Ok(()) };
        // A late alarm is moved, an early one only costs an invocation.
        if alarm.is_none_or(|alarm| alarm > wake) {
            self.ports.set_alarm(wake)?;
        }
        Ok(())
    }

    /// When the object must run again, on the Worker's clock.
    pub(super) fn wake(&self) -> Result<Option<u64>, PlatformError> {
        let (known, queue) = (About::open(self.ports)?.known()?, Queue::open(self.ports)?);
        Ok(self.wake_for(&known, &queue.look(Bounds::default())?, self.now()))
    }

    /// The same. What is due now is being done, so the alarm only guards it.
    fn wake_for(&self, known: &Known, look: &Look, now: u64) -> Option<u64> {
        let task = self.next_task(known, look.head.is_none()).map(|at| if at > now { at } else { now + GUARD });
        [self.next_delivery(look, now), task].into_iter().flatten().min()
    }

    fn next_delivery(&self, look: &Look, now: u64) -> Option<u64> {
        let has_target = self.settings.target.is_some();
        if has_target && look.again.is_some() {
            return Some(now + GUARD);
        }
        let Some(head) = &look.head else { return look.erase_at };
        let at = if has_target {
            next_step(head, look.next.as_ref(), now, None).at
        } else {
            (now + WITHOUT_TARGET).min(self.parked_at(head))
        };
        Some(if at > now { at } else { now + GUARD })
    }

    /// When an event is parked that was not delivered.
    pub(super) fn parked_at(&self, event: &Pending) -> u64 {
        event.received_at.saturating_add(self.settings.keep_millis)
    }

    /// Sets the alarm for a time of the Worker's clock.
    pub(super) fn set_alarm(&self, at: u64) -> Result<(), PlatformError> {
        self.ports.set_alarm(self.on_runtimes_clock(at))
    }

    /// Lets the alarm come in so many milliseconds at the latest.
    pub async fn wake_within(&self, millis: u64) -> Result<(), PlatformError> {
        let at = self.ports.now_millis() + millis;
        match self.ports.alarm().await? {
            Some(alarm) if alarm <= at => Ok(()),
            _ => self.ports.set_alarm(at),
        }
    }

    /// Lets the app's object ask all installations to redeliver their parked events, by its alarm.
    pub fn redeliver_all(&self, object: &str) -> Result<(), PlatformError> {
        let about = About::open(self.ports)?;
        about.learn_name(object)?;
        about.set_redelivery(Some(""))?;
        self.ports.set_alarm(self.ports.now_millis())
    }

    /// From where in the list of parked events that goes on; `None` if there is nothing to do.
    pub fn redelivery(&self) -> Result<Option<String>, PlatformError> {
        About::open(self.ports)?.redelivery()
    }

    /// Notes from where it goes on.
    pub fn set_redelivery(&self, cursor: Option<&str>) -> Result<(), PlatformError> {
        About::open(self.ports)?.set_redelivery(cursor)
    }

    /// Erases everything that the object stores. A delivery that runs ends without noting anything.
    pub async fn erase(&self) -> Result<(), PlatformError> {
        self.ports.set_lease(0);
        self.ports.erase().await
    }

    pub(super) fn on_runtimes_clock(&self, at: u64) -> u64 {
        at.saturating_add_signed(self.clock_offset_seconds.saturating_mul(-1000))
    }
}
