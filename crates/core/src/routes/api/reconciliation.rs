//! `GET /v1/reconciliation`: the comparison of all installations with Wix.

use http::StatusCode;
use serde::Serialize;

use crate::instances;
use crate::store::{self, Round};
use crate::web::{Call, Error, Outcome, Platform, Reply};

/// The present round, and the one before it.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Reconciliation {
    /// The present round.
    #[serde(flatten)]
    round: Round,
    /// The round before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    previous: Option<Round>,
}

/// `GET /v1/reconciliation`
pub async fn reconciliation<P: Platform>(call: Call<'_, P>) -> Result<Outcome<P>, Error> {
    let store::Reconciliation { round, previous } = instances::reconciliation(&call.cx).await?;
    Ok(Reply::json(StatusCode::OK, &Reconciliation { round, previous }).into())
}
