//! The whole state, for tests and for the page, without secrets and tokens.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{OriginalUri, State};
use serde::Serialize;

use super::app::{Shown, shown};
use super::{Body, Refusal};
use crate::app_backend::Inbox;
use crate::faults::{Endpoint, Fault};
use crate::fields;
use crate::ids;
use crate::records::{self, Records};
use crate::shared::Ctx;
use crate::switches::Switches;
use crate::webhook::Delivery;
use crate::wix::{CloseWindowReport, close_window_report as write_report};
use crate::world::{BiEvent, Call, CloseVisit, Finding, Instance, Site, TokenKind};

/// A token, shown by its fingerprint.
#[derive(Serialize)]
pub(crate) struct TokenShown {
    pub fingerprint: String,
    pub kind: TokenKind,
    pub instance_id: String,
    pub issued_at_ms: i64,
    pub expires_at_ms: Option<i64>,
    pub live: bool,
}

/// The whole state.
#[derive(Serialize)]
pub(crate) struct Snapshot {
    pub now_ms: i64,
    pub clock_offset_seconds: i64,
    pub app: Shown,
    pub switches: Switches,
    pub faults: Vec<Fault>,
    pub sites: Vec<Site>,
    pub instances: Vec<Instance>,
    pub tokens: Vec<TokenShown>,
    pub deliveries: Vec<Delivery>,
    /// `None` without a back end.
    pub app_deliveries: Option<Inbox>,
    pub bi_events: Vec<BiEvent>,
    pub close_window_visits: Vec<CloseVisit>,
    pub call_counts: BTreeMap<Endpoint, u64>,
    pub calls: Vec<Call>,
    pub findings: Vec<Finding>,
}

/// Copies the state.
pub(crate) fn snapshot(ctx: &Ctx) -> Snapshot {
    let (now_ms, app) = (ctx.clock.now_ms(), shown(ctx));
    ctx.read(|world| {
        let mut tokens: Vec<TokenShown> = world
            .tokens
            .iter()
            .map(|(text, token)| TokenShown {
                fingerprint: ids::fingerprint(text),
                kind: token.kind,
                instance_id: token.instance_id.clone(),
                issued_at_ms: token.issued_at_ms,
                expires_at_ms: token.expires_at_ms,
                live: token.live(now_ms),
            })
            .collect();
        tokens
            .sort_by(|one, other| (one.issued_at_ms, &one.fingerprint).cmp(&(other.issued_at_ms, &other.fingerprint)));
        Snapshot {
            now_ms,
            clock_offset_seconds: ctx.clock.offset_ms() / 1000,
            app,
            switches: world.switches.clone(),
            faults: world.faults.clone(),
            sites: world.sites.values().cloned().collect(),
            instances: world.instances.values().map(|instance| instance.at(now_ms)).collect(),
            tokens,
            deliveries: world.deliveries.values().cloned().collect(),
            app_deliveries: ctx.events_secrets.is_some().then(|| world.inbox.clone()),
            bi_events: world.bi_events.iter().cloned().collect(),
            close_window_visits: world.close_visits.iter().cloned().collect(),
            call_counts: world.counts.clone(),
            calls: world.calls.iter().cloned().collect(),
            findings: world.findings.iter().cloned().collect(),
        }
    })
}

pub(super) async fn show(State(ctx): State<Ctx>) -> Json<Snapshot> {
    Json(snapshot(&ctx))
}

/// The recorded calls, oldest first.
#[derive(Serialize)]
pub(super) struct Calls {
    counts: BTreeMap<Endpoint, u64>,
    calls: Vec<Call>,
}

/// `?endpoint=`, `?instance_id=` and `?after_id=` filter the list.
pub(super) async fn calls(State(ctx): State<Ctx>, OriginalUri(uri): OriginalUri) -> Result<Json<Calls>, Refusal> {
    let query = fields::query(&uri);
    let endpoint = match query.get("endpoint") {
        Some(name) => Some(
            serde_json::from_value::<Endpoint>(name.as_str().into())
                .map_err(|reason| Refusal::bad(format!("endpoint must be a known endpoint: {reason}")))?,
        ),
        None => None,
    };
    let after: u64 = match query.get("after_id") {
        Some(text) => text.parse().map_err(|_| Refusal::bad("after_id must be a number"))?,
        None => 0,
    };
    let instance = query.get("instance_id");
    Ok(Json(ctx.read(|world| {
        Calls {
            counts: world.counts.clone(),
            calls: world
                .calls
                .iter()
                .filter(|call| endpoint.is_none_or(|wanted| call.endpoint == wanted))
                .filter(|call| instance.is_none_or(|wanted| call.instance_id.as_ref() == Some(wanted)))
                .filter(|call| call.id > after)
                .cloned()
                .collect(),
        }
    })))
}

pub(super) async fn records(State(ctx): State<Ctx>) -> Json<Records> {
    Json(records::fetch(&ctx).await)
}

pub(super) async fn close_window_report(
    State(ctx): State<Ctx>,
    Body(report): Body<CloseWindowReport>,
) -> Result<Json<serde_json::Value>, Refusal> {
    if write_report(&ctx, &report) {
        return Ok(Json(serde_json::json!({})));
    }
    Err(Refusal::not_found("unknown visit, or wrong report_key"))
}
