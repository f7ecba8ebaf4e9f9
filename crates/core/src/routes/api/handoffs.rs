//! `POST /v1/handoffs`: the app's back end takes over an installation from the browser of the customer who made it.

use http::StatusCode;
use serde::Deserialize;

use super::BODY_LIMIT;
use crate::instances::take_over;
use crate::values::{HandoffValue, json};
use crate::web::{Call, Error, Outcome, Platform, Reply};

const BODY: Error = Error::BadRequest("body", r#"it must be JSON of the form {"handoff":"…"}"#);

/// The body of the request.
#[derive(Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct HandoffRequest {
    /// The value of the parameter `handoff` of `AFTER_INSTALL_URL`.
    #[cfg_attr(test, schemars(with = "String"))]
    handoff: HandoffValue,
}

/// `POST /v1/handoffs`
pub async fn take<P: Platform>(call: Call<'_, P>) -> Result<Outcome<P>, Error> {
    let cx = call.cx;
    let body = call.body(BODY_LIMIT).await?;
    let request: HandoffRequest = json::object(&body).map_err(|_| BODY)?;
    Ok(Reply::json(StatusCode::OK, &take_over(&cx, &request.handoff).await?).into())
}
