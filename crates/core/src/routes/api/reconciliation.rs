//! `GET /v1/reconciliation`: the comparison of all installations with Wix.

use http::StatusCode;
use serde::Serialize;

use crate::instances;
use crate::store::{self, Round};
use crate::values::Timestamp;
use crate::web::{Call, Error, Outcome, Platform, Reply};

/// The present round and the one before it, and the Cron Trigger.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Reconciliation {
    /// The present round.
    #[serde(flatten)]
    round: Round,
    /// The round before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    previous: Option<Round>,
    /// When the Cron Trigger ran last. Absent before the first run. Without Durable Objects, not every run is noted.
    #[serde(skip_serializing_if = "Option::is_none")]
    cron_ran_at: Option<Timestamp>,
    /// If this time is over, the Cron Trigger has stopped.
    #[serde(skip_serializing_if = "Option::is_none")]
    cron_next_by: Option<Timestamp>,
}

/// `GET /v1/reconciliation`
pub async fn reconciliation<P: Platform>(call: Call<'_, P>) -> Result<Outcome<P>, Error> {
    let cx = call.cx;
    let store::Reconciliation { round, previous, cron_ran_at } = instances::reconciliation(&cx).await?;
    let cron_next_by = cron_ran_at.map(|at| instances::next_run_by(&cx, at));
    Ok(Reply::json(StatusCode::OK, &Reconciliation { round, previous, cron_ran_at, cron_next_by }).into())
}
