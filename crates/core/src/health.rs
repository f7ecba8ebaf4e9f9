//! For those who watch: `/healthz`, `/readyz`, and `/` for a person.

use http::StatusCode;
use serde::Serialize;

use crate::App;
use crate::config::Fault;
use crate::page;
use crate::platform::Platform;
use crate::reply::Reply;
use crate::time::Timestamp;

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
    /// What must be mended before the Worker serves.
    problems: &'a [Fault],
    /// What is off but allowed.
    notes: &'a [Fault],
    /// Finds the line in the log where a problem came up while this was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
}

const FIX_KV: &str = "Wait a moment, and see whether Cloudflare reports a KV incident. Nothing is lost: Wix resends.";
const FIX_CREDENTIALS: &str = "Compare WIX_APP_ID and WIX_APP_SECRET with the Wix app dashboard (Develop, OAuth), and put the right secret with `npx wrangler secret put WIX_APP_SECRET`.";

/// Ready: configured, and KV answers. What this isolate saw go wrong with the app's credentials is a note.
pub async fn readyz<P: Platform>(app: &App<P>) -> Reply {
    let mut problems = Vec::new();
    if let Err(error) = app.kv().probe().await {
        problems.push(Fault { name: "INSTANCES", problem: "KV does not answer".to_owned(), fix: FIX_KV });
        app.note::<()>(Err(error));
    }
    let mut notes = Vec::new();
    if let Some(at) = app.memory().credentials_refused.get() {
        let ago = Timestamp::from_millis(app.platform.now_millis()).since(at);
        let problem = format!("Wix refused the app's own credentials {ago} s ago");
        notes.push(Fault { name: "WIX_APP_SECRET", problem, fix: FIX_CREDENTIALS });
    }
    let request_id = (!problems.is_empty()).then(|| app.trace.request_id.as_str());
    readiness(&problems, &notes, request_id)
}

/// Not ready, with each fault named.
#[must_use]
pub fn not_ready(faults: &[Fault]) -> Reply {
    readiness(faults, &[], None)
}

fn readiness(problems: &[Fault], notes: &[Fault], request_id: Option<&str>) -> Reply {
    let (code, status) =
        if problems.is_empty() { (StatusCode::OK, "ready") } else { (StatusCode::SERVICE_UNAVAILABLE, "not_ready") };
    Reply::json(code, &Readiness { status, problems, notes, request_id })
}

/// The page for a person who opens the URL.
#[must_use]
pub fn home(faults: &[Fault]) -> Reply {
    let status = if faults.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    Reply::page(status, page::home(faults))
}
