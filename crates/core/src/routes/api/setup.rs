//! `POST /v1/instances/{id}/finish-configuration`: tells Wix that the app is set up.

use http::StatusCode;
use serde::Serialize;

use crate::instances::finish_configuration;
use crate::values::{InstanceId, Timestamp};
use crate::web::{Call, Error, Outcome, Platform, Reply};

/// Wix knows that the app is set up.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "FinishedConfiguration"))]
pub struct FinishedConfiguration<'a> {
    /// The instance id.
    instance_id: &'a InstanceId,
    /// When `APP_FINISHED_CONFIGURATION` was sent for the present installation, in Unix seconds.
    configured_at: Timestamp,
}

/// `POST /v1/instances/{id}/finish-configuration`
pub async fn finish<P: Platform>(call: Call<'_, P>) -> Result<Outcome<P>, Error> {
    let id = call.instance_id()?;
    let configured_at = finish_configuration(&call.cx, &id).await?;
    Ok(Reply::json(StatusCode::OK, &FinishedConfiguration { instance_id: &id, configured_at }).into())
}
