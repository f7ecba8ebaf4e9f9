//! `POST /v1/instances/{id}/token`: a fresh access token.

use http::StatusCode;
use serde::{Deserialize, Serialize};

use super::BODY_LIMIT;
use crate::instances::fresh_token;
use crate::values::{Timestamp, json};
use crate::web::{Call, Error, Outcome, Platform, Reply};

const BODY: Error = Error::BadRequest("body", "it must be empty, or JSON of the form {\"force\":true}");

/// The body of the request.
#[derive(Deserialize, Default)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct TokenRequest {
    /// `true` requests a new token, after Wix refused the previous one.
    #[serde(default)]
    force: Option<bool>,
}

/// An access token with life left: at least 24 minutes of a four-hour token, a minute of a five-minute one.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "Token"))]
pub struct TokenResponse<'a> {
    /// Sent to Wix as it is, `Authorization: <token>`, without `Bearer`.
    access_token: &'a str,
    /// `Bearer`, as OAuth calls it.
    token_type: &'static str,
    /// When it expires, in Unix seconds.
    expires_at: Timestamp,
}

/// `POST /v1/instances/{id}/token`
pub async fn token<P: Platform>(call: Call<'_, P>) -> Result<Outcome<P>, Error> {
    let (cx, id) = (call.cx, call.instance_id()?);
    let body = call.body(BODY_LIMIT).await?;
    let wanted: TokenRequest = json::optional_object(&body).map_err(|_| BODY)?;
    let token = fresh_token(&cx, &id, wanted.force.unwrap_or(false)).await?;
    let response =
        TokenResponse { access_token: token.access_token.expose(), token_type: "Bearer", expires_at: token.expires_at };
    Ok(Reply::json(StatusCode::OK, &response).into())
}
