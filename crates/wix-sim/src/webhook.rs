//! Webhooks: the message, the sample data, and the sender with its retries (sections 4 and 5).

mod deliver;
mod message;
pub(crate) mod samples;

use serde::Serialize;

pub(crate) use deliver::{emit, first_attempts, release, send_raw};
pub(crate) use message::{AccountInfo, Event, Identity, Raw, compose, compose_raw, test_message};

/// How one attempt ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Ended {
    /// Answered as Wix wants it.
    Delivered,
    /// Answered with another status.
    Refused,
    /// Not answered in time.
    TimedOut,
    /// No connection, or a broken one.
    Unreachable,
}

/// One attempt to deliver.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Attempt {
    pub at_ms: i64,
    /// The status of the answer, if one came.
    pub status: Option<u16>,
    pub duration_ms: i64,
    pub outcome: Ended,
    pub detail: Option<String>,
}

/// Where a delivery stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// An attempt is under way or due.
    Pending,
    /// Waits for its release.
    Held,
    /// Accepted.
    Delivered,
    /// Every attempt failed.
    GivenUp,
    /// Never sent, because `webhook_drop` is on.
    Dropped,
    /// Never sent, because no webhook URL is set.
    NotConfigured,
}

impl Outcome {
    /// Whether nothing more will happen by itself.
    pub(crate) fn settled(self) -> bool {
        self != Self::Pending
    }
}

/// A message on its way to the app, and what became of it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Delivery {
    pub id: u64,
    pub created_at_ms: i64,
    pub event_type: String,
    pub instance_id: Option<String>,
    pub outcome: Outcome,
    pub attempts: Vec<Attempt>,
    /// When the next attempt is due, by the simulated clock.
    pub next_attempt_at_ms: Option<i64>,
    #[serde(skip)]
    pub body: String,
    #[serde(skip)]
    pub event: Option<Event>,
    #[serde(skip)]
    pub content_type: Option<String>,
    #[serde(skip)]
    pub retries: bool,
}
