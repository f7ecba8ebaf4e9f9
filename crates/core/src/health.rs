//! For those who watch: `/healthz`, `/readyz`, and `/` for a person.

use http::StatusCode;
use serde::Serialize;

use crate::App;
use crate::config::Fault;
use crate::error::Error;
use crate::page;
use crate::platform::Platform;
use crate::reply::Reply;

/// Alive, whatever the configuration.
#[must_use]
pub fn healthz() -> Reply {
    #[derive(Serialize)]
    struct Health {
        status: &'static str,
        version: &'static str,
    }
    Reply::json(StatusCode::OK, &Health { status: "ok", version: env!("CARGO_PKG_VERSION") })
}

#[derive(Serialize)]
struct Readiness<'a> {
    status: &'static str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    problems: &'a [Fault],
}

/// Ready: configured, and KV answers.
pub async fn readyz<P: Platform>(app: &App<P>) -> Result<Reply, Error> {
    app.kv().probe().await?;
    Ok(Reply::json(StatusCode::OK, &Readiness { status: "ready", problems: &[] }))
}

/// Not ready, with each fault named.
#[must_use]
pub fn not_ready(faults: &[Fault]) -> Reply {
    Reply::json(StatusCode::SERVICE_UNAVAILABLE, &Readiness { status: "not_ready", problems: faults })
}

/// The page for a person who opens the URL.
#[must_use]
pub fn home(faults: &[Fault]) -> Reply {
    let status = if faults.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    Reply::page(status, page::home(faults))
}
