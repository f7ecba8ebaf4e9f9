//! Monitoring: `/healthz`, `/readyz`, and the home page.

use http::StatusCode;
use serde::Serialize;

use crate::instances::Context;
use crate::values::{Fault, Timestamp};
use crate::web::{Call, Error, Outcome, Platform, Reply, home as page};

const FIX_KV: &str = "Wait a moment, and check whether Cloudflare reports a KV incident. Nothing is lost: Wix resends.";
const FIX_CREDENTIALS: &str = "Compare WIX_APP_ID and WIX_APP_SECRET with the Wix app dashboard (Develop, OAuth), and put the right secret with `npx wrangler secret put WIX_APP_SECRET`.";

/// `/healthz`: the Worker runs, whatever its configuration.
#[must_use]
pub fn healthz<S>() -> Reply<S> {
    #[derive(Serialize)]
    struct Health {
        status: &'static str,
        version: &'static str,
    }
    Reply::json(StatusCode::OK, &Health { status: "ok", version: env!("CARGO_PKG_VERSION") })
}

const FIX_NO_PLUGINS: &str = "To answer service plugin calls, set PLUGINS_URL in `vars` of wrangler's configuration, or bind a Worker as PLUGINS_TARGET, and put EVENTS_SECRETS with `npx wrangler secret put EVENTS_SECRETS`.";

#[derive(Serialize)]
struct Readiness<'a> {
    status: &'static str,
    /// The faults that keep the Worker from serving.
    problems: &'a [Fault],
    /// Warnings.
    notes: &'a [Fault],
    /// The request id of the log line with the cause of a problem.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
}

/// `/readyz`: the configuration is complete and KV answers. Notes say what is off but allowed, that Wix refused the app's
/// credentials, and that a service plugin call had no target, as far
/// as this isolate knows.
pub async fn readyz<P: Platform>(call: Call<'_, P>) -> Result<Outcome<P>, Error> {
    let cx = call.cx;
    let problems = problems(&cx).await;
    let mut notes = cx.settings.events.notes();
    let now = Timestamp::from_millis(cx.platform.now_millis());
    if let Some(at) = cx.cache.credentials_refused.get() {
        let problem = format!("Wix refused the app's own credentials {} s ago", now.since(at));
        notes.push(Fault { name: "WIX_APP_SECRET", problem, fix: FIX_CREDENTIALS });
    }
    if let Some(at) = cx.cache.plugin_calls_refused.get() {
        let problem = format!("Wix sent a service plugin call {} s ago, and there is no target for it", now.since(at));
        notes.push(Fault { name: "PLUGINS_URL", problem, fix: FIX_NO_PLUGINS });
    }
    let request_id = (!problems.is_empty()).then(|| cx.trace().request_id.as_str());
    Ok(readiness(&problems, &notes, request_id).into())
}

/// What keeps the Worker from serving, beside faults of the configuration.
async fn problems<P: Platform>(cx: &Context<'_, P>) -> Vec<Fault> {
    let Err(error) = cx.store().probe().await else { return Vec::new() };
    cx.note::<()>(Err(error));
    vec![Fault { name: "INSTANCES", problem: "KV does not answer".to_owned(), fix: FIX_KV }]
}

/// `/readyz` of a configuration with faults.
#[must_use]
pub fn not_ready<S>(faults: &[Fault]) -> Reply<S> {
    readiness(faults, &[], None)
}

fn readiness<S>(problems: &[Fault], notes: &[Fault], request_id: Option<&str>) -> Reply<S> {
    let (code, status) =
        if problems.is_empty() { (StatusCode::OK, "ready") } else { (StatusCode::SERVICE_UNAVAILABLE, "not_ready") };
    Reply::json(code, &Readiness { status, problems, notes, request_id })
}

/// `/`: the home page, by the same checks as `/readyz`.
pub async fn home<P: Platform>(call: Call<'_, P>) -> Result<Outcome<P>, Error> {
    let problems = problems(&call.cx).await;
    let request_id = (!problems.is_empty()).then(|| call.cx.trace().request_id.as_str());
    Ok(home_page(&problems, request_id).into())
}

/// The home page of a configuration with faults.
#[must_use]
pub fn home_misconfigured<S>(faults: &[Fault]) -> Reply<S> {
    home_page(faults, None)
}

fn home_page<S>(problems: &[Fault], request_id: Option<&str>) -> Reply<S> {
    let status = if problems.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    Reply::page(status, page(problems, request_id))
}
