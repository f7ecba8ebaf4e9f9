//! Delivery: attempts one event after another, as long as one is due.

use std::time::Duration;

use serde::Serialize;

use super::about::About;
use super::queue::{Bounds, Look, Queue};
use super::schedule::{LONGEST_PAUSE, Pending, Role, Step, next_step, pause_after, retry_at, with_jitter};
use super::{Answer, Installation, ObjectPorts, Post, TargetAddress, signature};
use crate::runtime::{Level, PlatformError, Point};
use crate::values::{Timestamp, retry_after};

/// How long the target may take to answer, in milliseconds.
const TIMEOUT: u64 = 15_000;
/// How long a lease lasts, in milliseconds: longer than one attempt.
const LEASE: u64 = 20_000;
/// How many attempts one invocation makes. The free plan allows 50 subrequests.
const ATTEMPTS: u32 = 40;
/// When the alarm comes again after an error of the storage, in milliseconds.
const AFTER_ERROR: u64 = 60_000;
/// How long the content of a parked event is kept, in milliseconds.
const PARKED_FOR: u64 = 30 * 86_400_000;

/// The name of an attempt in the log and in the metrics.
const ROUTE: &str = "deliver";

/// The line that each attempt writes into the log.
#[derive(Serialize)]
struct Line<'a> {
    level: Level,
    route: &'static str,
    outcome: &'static str,
    duration_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    instance_id: Option<&'a str>,
    event_id: &'a str,
    sequence: u64,
    #[serde(rename = "type")]
    event_type: &'a str,
    attempt: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<&'a str>,
}

/// An attempt that has ended.
struct Tried<'a> {
    step: Step<'a>,
    /// The object's own name.
    name: Option<String>,
    answer: Answer,
    took: u64,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// Nothing is due. The alarm that acceptance has set comes in time.
    Idle,
    /// Nothing is due any more, and an attempt failed or events were parked.
    Failed,
    /// The run has made [`ATTEMPTS`].
    More,
    /// Meanwhile the storage was erased, or an attempt took so long that another delivery has begun.
    Lost,
}

impl<P: ObjectPorts> Installation<'_, P> {
    /// Delivers what is due, after an event was accepted. Does nothing if a delivery runs: that one sees the new event. Returns
    /// whether the object still has what it stores.
    pub async fn deliver(&self) -> Result<bool, PlatformError> {
        if self.is_taken() {
            return Ok(true);
        }
        let queue = Queue::open(self.ports)?;
        let end = self.run(&queue).await?;
        let wake = match end {
            End::Idle | End::Lost => None,
            End::Failed => self.wake()?,
            End::More => Some(self.now()),
        };
        wake.map_or(Ok(()), |wake| self.set_alarm(wake))?;
        Ok(end != End::Lost)
    }

    /// Runs when the alarm is due: delivers, erases what is due, and sets the next alarm. Returns as [`Self::deliver`].
    pub async fn wake_up(&self) -> Result<bool, PlatformError> {
        let result = self.try_wake_up().await;
        if result.is_err() {
            // The runtime gives up after six errors, so that the alarm is set anew instead.
            self.set_alarm(self.now() + AFTER_ERROR)?;
        }
        result
    }

    async fn try_wake_up(&self) -> Result<bool, PlatformError> {
        let queue = Queue::open(self.ports)?;
        queue.tidy(self.now())?;
        let alarm = self.ports.alarm().await?;
        let Some(guard) = self.wake()? else { return Ok(true) };
        // Until this delivery ends, the alarm guards it.
        if alarm != Some(self.on_runtimes_clock(guard)) {
            self.set_alarm(guard)?;
        }
        if self.is_taken() {
            return Ok(true);
        }
        let end = self.run(&queue).await?;
        let wake = match end {
            End::Idle | End::Failed => self.wake()?,
            End::More => Some(self.now()),
            End::Lost => None,
        };
        // Without more to do, the guard ends with an invocation that does nothing.
        wake.filter(|wake| *wake != guard).map_or(Ok(()), |wake| self.set_alarm(wake))?;
        Ok(end != End::Lost)
    }

    fn is_taken(&self) -> bool {
        self.ports.lease() > self.ports.now_millis()
    }

    /// Attempts events until none is due.
    async fn run(&self, queue: &Queue<'_, P>) -> Result<End, PlatformError> {
        let mut look = queue.look(Bounds::default())?;
        let Some(target) = &self.settings.target else {
            let is_parked = self.park_expired(queue, &mut look)?;
            return Ok(if is_parked { End::Failed } else { End::Idle });
        };
        let (mut end, mut failed) = (End::Idle, None);
        for attempt in 0..=ATTEMPTS {
            // The lease is returned without an await after this look, so that a new event is seen either here or by the
            // delivery that follows its acceptance.
            if attempt > 0 {
                look = queue.look(look.bounds)?;
            }
            if self.park_expired(queue, &mut look)? {
                end = End::Failed;
            }
            let now = self.now();
            let step = match (&look.again, &look.head) {
                (Some(event), _) => Some(Step { event, at: now, role: Role::Redelivered }),
                (None, Some(head)) => Some(next_step(head, look.next.as_ref(), now, failed)),
                (None, None) => None,
            };
            let Some(step) = step.filter(|step| step.at <= now) else {
                self.ports.set_lease(0);
                return Ok(end);
            };
            if attempt == ATTEMPTS {
                break;
            }
            let lease = self.ports.now_millis() + LEASE;
            self.ports.set_lease(lease);
            let (body, name) = queue.content(step.event.sequence)?;
            // The content of a pending event is never erased.
            let (answer, took) = self.post(target, step.event, &body.unwrap_or_default()).await;
            let tried = Tried { step, name, answer, took };
            if self.ports.lease() != lease {
                return Ok(End::Lost);
            }
            self.ports.set_lease(0);
            if !self.note(queue, &tried)? {
                end = End::Failed;
                failed = (step.role == Role::Head).then_some(step.event.sequence).or(failed);
            }
        }
        queue.store_bounds(&look)?;
        Ok(End::More)
    }

    /// Attempts one event. Returns how that ended, and the milliseconds that it took.
    async fn post(&self, target: &TargetAddress, event: &Pending, body: &str) -> (Answer, u64) {
        let started = self.now();
        let headers = signature::headers(&self.settings.secrets, &event.id, Timestamp::from_millis(started), body);
        let post = Post { url: target.url(), binding: target.binding(), headers: &headers, body };
        let answer = self.ports.post(post, Duration::from_millis(TIMEOUT)).await;
        (answer, self.now().saturating_sub(started))
    }

    /// Notes how an attempt ended. Whether the event was delivered.
    fn note(&self, queue: &Queue<'_, P>, tried: &Tried<'_>) -> Result<bool, PlatformError> {
        let Tried { step, name, answer, took, .. } = tried;
        let (event, now, text) = (step.event, self.now(), text_of(answer));
        let is_delivered = matches!(answer, Answer::Status { status: 200..=299, .. });
        let outcome = if is_delivered {
            let retain = self.settings.retain_millis;
            queue.deliver(event.sequence, &text, now, (retain > 0).then(|| now + retain))?;
            if step.role == Role::Redelivered {
                self.recount(event.sequence)?;
            }
            "delivered"
        } else {
            self.fail(queue, tried, &text, now)?;
            "failed"
        };
        self.log(event, name.as_deref(), outcome, *took, Some(&text));
        Ok(is_delivered)
    }

    /// Notes a failed attempt.
    fn fail(&self, queue: &Queue<'_, P>, tried: &Tried<'_>, text: &str, now: u64) -> Result<(), PlatformError> {
        let Tried { step, answer, .. } = tried;
        let asked = match answer {
            Answer::Status { retry_after: Some(asked), .. } => retry_after(asked, Timestamp::from_millis(now)),
            _ => None,
        };
        let asked = asked.unwrap_or(0).saturating_mul(1000).min(LONGEST_PAUSE);
        let event = step.event;
        // When its time is over it is parked, and not attempted again.
        let parked_at = self.parked_at(event);
        match step.role {
            Role::Redelivered => queue.redelivery_failed(event.sequence, text),
            // It is due as soon as it is the head.
            Role::Next => {
                let next_at = (now + asked).min(parked_at);
                queue.fail(&Pending { next_at, ..event.clone() }, text, now)
            }
            Role::Head => {
                let pause = pause_after(event.pause);
                let next_at = retry_at(event, with_jitter(pause, self.random()), asked, now).min(parked_at);
                queue.fail(&Pending { pause, next_at, ..event.clone() }, text, now)
            }
        }
    }

    /// Parks all events whose time is over, and then reads the queue anew. Returns whether there were any. Events are accepted in the order
    /// of their numbers, so that the head's time is over first.
    fn park_expired(&self, queue: &Queue<'_, P>, look: &mut Look) -> Result<bool, PlatformError> {
        let now = self.now();
        let Some(last) = look.head.take_if(|head| self.parked_at(head) <= now) else { return Ok(false) };
        let before = now.saturating_sub(self.settings.keep_millis);
        let parked = queue.park(look.bounds, before, now, now + PARKED_FOR)?;
        let name = About::open(self.ports)?.name()?;
        for event in parked {
            self.log(&event, name.as_deref(), "parked", 0, None);
        }
        *look = queue.look(look.bounds)?;
        if let (Some(head), Some(_)) = (&mut look.head, last.failed_at) {
            // The target may be down: the pauses of the next head do not begin anew. If it failed too, it also waits.
            head.pause = last.pause;
            if head.failed_at.is_some() {
                let next_at = (last.attempted_at + last.pause).min(self.parked_at(head));
                head.next_at = head.next_at.max(next_at);
            }
            queue.hold_back(head.sequence, head.pause, head.next_at)?;
        }
        Ok(true)
    }

    fn random(&self) -> u16 {
        let mut bytes = [0; 2];
        let _ = self.ports.random(&mut bytes);
        u16::from_be_bytes(bytes)
    }

    fn log(&self, event: &Pending, name: Option<&str>, outcome: &'static str, duration_ms: u64, answer: Option<&str>) {
        let level = if outcome == "delivered" { Level::Info } else { Level::Warn };
        let attempt = event.attempts + 1;
        // Wix's types are short. One line of the platform's is one value.
        let is_type = |text: &&str| text.len() <= 128 && !text.contains(char::is_control);
        let event_type = Some(event.event_type.as_str()).filter(is_type).unwrap_or_default();
        self.ports.measure(&Point {
            route: ROUTE,
            outcome,
            level,
            event_type,
            answer: answer.unwrap_or_default(),
            duration_ms,
            attempt,
            ..Point::default()
        });
        if level < self.log_level {
            return;
        }
        let line = Line {
            level,
            route: ROUTE,
            outcome,
            duration_ms,
            instance_id: name.filter(|name| *name != self.app_id.as_str()),
            event_id: &event.id,
            sequence: event.sequence,
            event_type: &event.event_type,
            attempt,
            answer,
        };
        if let Ok(line) = serde_json::to_string(&line) {
            self.ports.log(level, &line);
        }
    }
}

/// As `last_answer` shows it.
fn text_of(answer: &Answer) -> String {
    match answer {
        Answer::Status { status, .. } => status.to_string(),
        Answer::Timeout => "timeout".to_owned(),
        Answer::Unreachable => "unreachable".to_owned(),
    }
}
