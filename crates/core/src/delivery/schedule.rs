//! Which event is attempted when: order, backoff, and the rule for a head that keeps failing. All times are Unix
//! milliseconds of the Worker's clock.
//!
//! Events are sent in order, one at a time. If the head has failed for [`OVERTAKE_AFTER`], the next event is tried once
//! after each failure of the head: if it succeeds, the fault lies with the head, and the events behind it flow; if it
//! fails, the target is down and the order stays.

/// The pause after the first failed attempt.
const FIRST_PAUSE: u64 = 5_000;
/// The longest pause, and the longest `Retry-After` that is respected.
pub const LONGEST_PAUSE: u64 = 3_600_000;
/// For how long the head must have failed before the next event is tried.
pub const OVERTAKE_AFTER: u64 = 15 * 60_000;

/// A pending event, without its content.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pending {
    /// Its sequence number.
    pub sequence: u64,
    /// Its `webhook-id`.
    pub id: String,
    /// Its type.
    pub event_type: String,
    /// When it was accepted.
    pub received_at: u64,
    /// How many attempts have failed.
    pub attempts: u64,
    /// When the first attempt failed.
    pub failed_at: Option<u64>,
    /// When the latest attempt ended; 0 if there was none.
    pub attempted_at: u64,
    /// The pause after the latest attempt as head, without jitter.
    pub pause: u64,
    /// Before this time it is not attempted.
    pub next_at: u64,
}

/// The next attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step<'a> {
    /// The event.
    pub event: &'a Pending,
    /// When it may be attempted.
    pub at: u64,
    /// Why it is attempted.
    pub role: Role,
}

/// Why an event is attempted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It is the first pending event. Its failure has a backoff.
    Head,
    /// It is tried in place of a head that keeps failing.
    Next,
    /// The app's back end or the operator asked for it.
    Redelivered,
}

/// The next attempt, given the first two pending events in order. `failed` is the event that was attempted as head and
/// failed just now.
pub fn next_step<'a>(head: &'a Pending, next: Option<&'a Pending>, now: u64, failed: Option<u64>) -> Step<'a> {
    let of_head = Step { event: head, at: head.next_at, role: Role::Head };
    let overtaking = next.and_then(|next| {
        let at = (head.failed_at? + OVERTAKE_AFTER).max(next.next_at);
        let is_tried = next.attempted_at >= head.attempted_at;
        // A target that was down may be up again, so that the head comes first, unless an event has overtaken it before.
        let is_overtaken = next.sequence > head.sequence + 1;
        let may_overtake = is_overtaken || failed == Some(head.sequence);
        (may_overtake && !is_tried).then_some(Step { event: next, at, role: Role::Next })
    });
    match overtaking {
        Some(step) if head.next_at > now && step.at < head.next_at => step,
        _ => of_head,
    }
}

/// When a head that failed is attempted again. The end of [`OVERTAKE_AFTER`] is not missed by a long pause.
pub fn retry_at(event: &Pending, pause: u64, asked: u64, now: u64) -> u64 {
    let overtaken_at = event.failed_at.unwrap_or(now) + OVERTAKE_AFTER;
    let retry = now + pause;
    let retry = if now < overtaken_at { retry.min(overtaken_at) } else { retry };
    retry.max(now + asked)
}

/// The pause after a failed attempt of the head: twice the one before.
pub fn pause_after(before: u64) -> u64 {
    before.saturating_mul(2).clamp(FIRST_PAUSE, LONGEST_PAUSE)
}

/// A pause with jitter of at most a quarter in either direction. `random` is uniform.
pub fn with_jitter(pause: u64, random: u16) -> u64 {
    pause - pause / 4 + pause / 2 * u64::from(random) / u64::from(u16::MAX)
}
