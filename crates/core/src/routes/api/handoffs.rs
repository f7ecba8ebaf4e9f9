//! `POST /v1/handoffs`: the app's back end takes over an installation from the browser of the customer who made it.

use http::StatusCode;
use serde::Deserialize;

use super::BODY_LIMIT;
use crate::instances::take_over;
use crate::values::{HandoffValue, json};
use crate::web::{Call, Error, Outcome, Platform, Reply};

/// The longest key, in bytes.
pub const KEY_LIMIT: usize = 128;
const KEY: Error =
    Error::BadRequest("idempotency-key", "it must be 1 to 128 printable ASCII characters without spaces");
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
    let key = call.header("idempotency-key");
    let is_key = |key: &str| (1..=KEY_LIMIT).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
    if key.as_deref().is_some_and(|key| !is_key(key)) {
        return Err(KEY);
    }
    let body = call.body(BODY_LIMIT).await?;
    let request: HandoffRequest = json::object(&body).map_err(|_| BODY)?;
    Ok(Reply::json(StatusCode::OK, &take_over(&cx, &request.handoff, key.as_deref()).await?).into())
}
