//! The app's answers to service plugin calls: sample data, and an error for a path without samples.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde_json::json;

use crate::plugin::samples::Sample;
use crate::shared::Ctx;

/// The address that `PLUGINS_URL` must have.
pub(crate) const PATH: &str = "/_app/plugins";

pub(super) async fn answer(
    State(ctx): State<Ctx>,
    Path(path): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let refuse = |status: StatusCode, code: &str| {
        (status, Json(json!({ "applicationError": { "code": code, "data": {} } }))).into_response()
    };
    let Some(secrets) = &ctx.events_secrets else {
        return refuse(StatusCode::SERVICE_UNAVAILABLE, "NO_SECRETS");
    };
    if secrets.verify(&headers, &body).is_err() {
        return refuse(StatusCode::UNAUTHORIZED, "BAD_SIGNATURE");
    }
    match Sample::of(&format!("/{path}")) {
        Some(sample) => ([(CONTENT_TYPE, "application/json")], sample.answer).into_response(),
        None => refuse(StatusCode::NOT_FOUND, "UNKNOWN_METHOD"),
    }
}
