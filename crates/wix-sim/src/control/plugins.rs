//! Calls to the app's service plugins.

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::{Body, Refusal};
use crate::plugin::{self, Answer, Call};
use crate::shared::{Ctx, loopback_url};

/// A call: the JWT, and the app's answer if it was sent. Violated rules stand at the top, where the page shows them.
#[derive(Serialize)]
pub(super) struct Made {
    jwt: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[serde(flatten)]
    answer: Option<Answer>,
}

/// Calls a service plugin, and returns the answer.
pub(super) async fn call(State(ctx): State<Ctx>, Body(call): Body<Call>) -> Result<Json<Made>, Refusal> {
    let (switches, base) = ctx.read(|world| (world.switches.clone(), world.app.plugins_url.clone()));
    let jwt = call.compose(&ctx, &switches).map_err(|error| Refusal::bad(error.to_string()))?;
    if call.send == Some(false) {
        return Ok(Json(Made { jwt, answer: None }));
    }
    let base = base.ok_or_else(|| Refusal::conflict("plugins_url of the app must be set"))?;
    let url = format!("{}{}", base.trim_end_matches('/'), call.path());
    loopback_url(&url).map_err(Refusal::bad)?;
    let content_type = call.message.content_type.as_deref().unwrap_or("text/plain; charset=utf-8");
    content_type
        .parse::<axum::http::HeaderValue>()
        .map_err(|_| Refusal::bad("content_type must be a valid header value"))?;
    let answer = plugin::send(&ctx, url, call.path(), jwt.clone(), content_type).await;
    Ok(Json(Made { jwt, answer: Some(answer) }))
}
