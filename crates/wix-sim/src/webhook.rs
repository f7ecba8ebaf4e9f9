//! Webhooks: messages, sample data, and delivery with retries (sections 4 and 5).

mod deliver;
mod message;
pub(crate) mod samples;

use serde::Serialize;

use crate::app_backend::Sent;

pub(crate) use deliver::{emit, first_attempts, release, send_raw};
pub(crate) use message::{AccountInfo, Event, Identity, Raw, compose, compose_raw, test_message};

/// The outcome of one attempt.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AttemptOutcome {
    /// The endpoint answered with an accepted status.
    Delivered,
    /// The endpoint answered with another status.
    Refused,
    /// The endpoint did not answer in time.
    TimedOut,
    /// The connection failed.
    Unreachable,
}

/// One delivery attempt.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Attempt {
    pub at_ms: i64,
    /// The status of the response, if there was one.
    pub status: Option<u16>,
    pub duration_ms: i64,
    pub outcome: AttemptOutcome,
    pub detail: Option<String>,
}

/// The state of a delivery.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// An attempt is in progress or scheduled.
    Pending,
    /// Held until its release, because `webhook_hold` is on.
    Held,
    /// An attempt was accepted.
    Delivered,
    /// Every attempt failed.
    GivenUp,
    /// Never sent, because `webhook_drop` is on.
    Dropped,
    /// Never sent, because no webhook URL is set.
    NotConfigured,
}

impl Outcome {
    /// Whether no further attempt is scheduled.
    pub(crate) fn settled(self) -> bool {
        self != Self::Pending
    }
}

/// A message to the app, with its attempts.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Delivery {
    pub id: u64,
    pub created_at_ms: i64,
    pub event_type: String,
    pub instance_id: Option<String>,
    pub outcome: Outcome,
    pub attempts: Vec<Attempt>,
    /// The time of the next attempt, by the simulated clock.
    pub next_attempt_at_ms: Option<i64>,
    #[serde(skip)]
    pub body: String,
    #[serde(skip)]
    pub event: Option<Event>,
    #[serde(skip)]
    pub content_type: Option<String>,
    #[serde(skip)]
    pub retries: bool,
    /// The parts by which its event at the app is found.
    #[serde(skip)]
    pub sent: Option<Sent>,
}
