//! The app's back end: receives the events that the app's edge delivers (`POST /_app/events`), verifies them by the
//! Standard Webhooks specification, and answers as the switch `app_answer` says. It answers service plugin calls too
//! (`POST /_app/plugins/{path…}`), with sample data.
//!
//! Nothing of a delivery is stored before its signature is verified.

mod correlate;
mod inbox;
mod plugins;
mod signature;

use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, DefaultBodyLimit, State};
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde::{Deserialize, Serialize};

use crate::line::Connection;
use crate::shared::Ctx;

pub(crate) use correlate::Sent;
pub(crate) use inbox::{Inbox, Received};
pub(crate) use plugins::PATH as PLUGINS_PATH;
pub(crate) use signature::Secrets;

/// The address of the receiver.
pub(crate) const PATH: &str = "/_app/events";
/// The largest body. Wix's largest webhooks have one mebibyte.
const LIMIT: usize = 4 << 20;
/// How long a delivery waits for the answer that does not come.
const NO_ANSWER: Duration = Duration::from_mins(1);

/// How the app answers a delivery.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum AppAnswer {
    /// 200: the event is delivered.
    #[serde(rename = "200")]
    Ok,
    /// 410.
    #[serde(rename = "410")]
    Gone,
    /// 500.
    #[serde(rename = "500")]
    Error,
    /// 503, with `app_retry_after_seconds` in `Retry-After`.
    #[serde(rename = "503")]
    Unavailable,
    /// None: the connection is closed after a minute.
    #[serde(rename = "timeout")]
    None,
}

impl AppAnswer {
    /// The status; `None` if there is no answer.
    pub(crate) fn status(self) -> Option<StatusCode> {
        match self {
            Self::Ok => Some(StatusCode::OK),
            Self::Gone => Some(StatusCode::GONE),
            Self::Error => Some(StatusCode::INTERNAL_SERVER_ERROR),
            Self::Unavailable => Some(StatusCode::SERVICE_UNAVAILABLE),
            Self::None => None,
        }
    }
}

/// The routes.
pub(crate) fn routes() -> Router<Ctx> {
    Router::new()
        .route(PATH, post(receive))
        .route("/_app/plugins/{*path}", post(plugins::answer))
        .layer(DefaultBodyLimit::max(LIMIT))
}

async fn receive(
    State(ctx): State<Ctx>,
    ConnectInfo(connection): ConnectInfo<Connection>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let Some(secrets) = &ctx.events_secrets else {
        return (StatusCode::SERVICE_UNAVAILABLE, "WIX_SIM_EVENTS_SECRETS must be set").into_response();
    };
    let refuse = |status: StatusCode, reason: &'static str| {
        ctx.change(|world| world.inbox.refuse(reason));
        (status, reason).into_response()
    };
    let id = match secrets.verify(&headers, &body) {
        Ok(id) => id,
        Err(reason) => return refuse(StatusCode::UNAUTHORIZED, reason),
    };
    let Ok(event) = serde_json::from_slice(&body) else {
        return refuse(StatusCode::BAD_REQUEST, "the body must be an event of wix-edge");
    };
    let now_ms = ctx.clock.now_ms();
    let (answer, retry_after) = ctx.change(|world| {
        let answer = world.switches.app_answer;
        world.inbox.record(id, event, answer, now_ms);
        (answer, world.switches.app_retry_after_seconds)
    });
    match answer.status() {
        Some(status @ StatusCode::SERVICE_UNAVAILABLE) if retry_after > 0 => {
            (status, [(RETRY_AFTER, retry_after)]).into_response()
        }
        Some(status) => status.into_response(),
        None => {
            let mut stop = ctx.stop.subscribe();
            tokio::select! {
                () = tokio::time::sleep(NO_ANSWER) => {}
                _ = stop.wait_for(|stopped| *stopped) => {}
            }
            connection.cut();
            StatusCode::GATEWAY_TIMEOUT.into_response()
        }
    }
}
