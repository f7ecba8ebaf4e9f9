//! `GET /v1/reconciliation`: the comparison of all installations with Wix.

use http::StatusCode;

use crate::instances;
use crate::web::{Call, Error, Outcome, Platform, Reply};

/// See the module.
pub async fn reconciliation<P: Platform>(call: Call<'_, P>) -> Result<Outcome<P>, Error> {
    Ok(Reply::json(StatusCode::OK, &instances::reconciliation(&call.cx).await?).into())
}
