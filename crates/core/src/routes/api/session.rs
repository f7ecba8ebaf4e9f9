//! `POST /v1/session` and `DELETE /v1/session`: sign-in and sign-out of the operator's console.

use http::StatusCode;
use serde::Serialize;

use crate::values::Timestamp;
use crate::web::{self, Call, Error, Outcome, Platform, Reply};

/// A session of the console. Its cookie is in the header `set-cookie`.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Session {
    /// When it expires, in Unix seconds.
    expires_at: Timestamp,
}

/// `POST /v1/session`
pub fn sign_in<P: Platform>(call: &Call<'_, P>) -> Result<Outcome<P>, Error> {
    let (cookie, expires_at) = web::sign_in(call)?;
    Ok(Reply::json(StatusCode::OK, &Session { expires_at }).with_header("set-cookie", cookie).into())
}

/// `DELETE /v1/session`
pub fn sign_out<P: Platform>(call: &Call<'_, P>) -> Outcome<P> {
    Reply::empty(StatusCode::NO_CONTENT).with_header("set-cookie", web::sign_out(call)).into()
}
