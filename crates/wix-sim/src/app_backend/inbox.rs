//! The verified deliveries, one record for each `webhook-id`, and how many were refused.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::AppAnswer;
use crate::world::push;

/// The body of a delivery. Fields that are not here are ignored.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Body {
    #[serde(rename = "type")]
    pub event_type: String,
    pub timestamp: String,
    pub instance_id: Option<String>,
    pub sequence: u64,
    pub source: String,
    pub data: Box<RawValue>,
    pub anonymize: bool,
}

/// The attempt that was answered 200.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Delivered {
    /// Counted from 1.
    pub attempt: u32,
    pub at_ms: i64,
}

/// An event at the app.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Received {
    pub webhook_id: String,
    #[serde(flatten)]
    pub event: Body,
    /// How often it came. Attempts that did not reach the app are not among them.
    pub attempts: u32,
    pub first_at_ms: i64,
    pub last_at_ms: i64,
    pub last_answer: AppAnswer,
    pub delivered: Option<Delivered>,
}

impl Received {
    /// Whether wix-edge itself emitted the event, so that no webhook belongs to it.
    pub(crate) fn is_own(&self) -> bool {
        self.event.source == "wix-edge"
    }
}

/// What the app received.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Inbox {
    /// By the time of the first attempt.
    pub deliveries: VecDeque<Received>,
    /// How many deliveries were refused, by the reason.
    pub refused: BTreeMap<&'static str, u64>,
}

impl Inbox {
    /// Records a verified delivery. A known id is another attempt of the same event.
    pub(super) fn record(&mut self, webhook_id: String, event: Body, answer: AppAnswer, now_ms: i64) {
        let is_delivered = answer == AppAnswer::Ok;
        let delivered = |attempt: u32| is_delivered.then_some(Delivered { attempt, at_ms: now_ms });
        match self.deliveries.iter_mut().rev().find(|known| known.webhook_id == webhook_id) {
            Some(known) => {
                known.attempts = known.attempts.saturating_add(1);
                known.last_at_ms = now_ms;
                known.last_answer = answer;
                known.delivered = known.delivered.or(delivered(known.attempts));
            }
            None => push(
                &mut self.deliveries,
                Received {
                    webhook_id,
                    event,
                    attempts: 1,
                    first_at_ms: now_ms,
                    last_at_ms: now_ms,
                    last_answer: answer,
                    delivered: delivered(1),
                },
            ),
        }
    }

    /// Counts a refused delivery.
    pub(super) fn refuse(&mut self, reason: &'static str) {
        *self.refused.entry(reason).or_default() += 1;
    }
}
