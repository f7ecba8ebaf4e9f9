//! `POST /v1/identity`: identifies the sender of a value that a front end passed to the app's back end.
//!
//! A value that is not genuine is refused with 422, since 401 and 403 are about the caller's own key. The response does not
//! say whether the app is still installed: `GET /v1/instances/{id}` does.

use http::StatusCode;
use serde::Deserialize;

use crate::instances::{of_signed_instance, of_token};
use crate::values::{AccessToken, SignedValue, json};
use crate::web::{Call, Error, Outcome, Platform, Reply};

/// The largest body, in bytes: the longest token and some JSON.
const BODY_LIMIT: usize = 48 * 1024;
const BODY: Error = Error::BadRequest(
    "body",
    r#"it must be JSON of the form {"instance":"…"} or {"access_token":"…"}, one of the two"#,
);

/// The body of the request: one of the two fields.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IdentityRequest {
    instance: Option<SignedValue>,
    access_token: Option<AccessToken>,
}

/// `POST /v1/identity`
pub async fn identify<P: Platform>(call: Call<'_, P>) -> Result<Outcome<P>, Error> {
    let cx = call.cx;
    let body = call.body(BODY_LIMIT).await?;
    let request: IdentityRequest = json::object(&body).map_err(|_| BODY)?;
    let identity = match (request.instance, request.access_token) {
        (Some(value), None) => of_signed_instance(&cx, &value)?,
        (None, Some(token)) => of_token(&cx, &token).await?,
        _ => return Err(BODY),
    };
    cx.trace().instance(identity.instance());
    // The identity is proven, whether or not it can be recorded. The recheck reconciles what was recorded.
    cx.note(identity.learn(&cx).await);
    Ok(Reply::json(StatusCode::OK, &identity).into())
}
