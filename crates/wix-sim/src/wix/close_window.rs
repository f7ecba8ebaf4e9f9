//! `GET /installer/close-window`: the browser ends custom authentication here, with an access token (section 3.3).

use axum::extract::{OriginalUri, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Deserialize;

use crate::fields;
use crate::ids;
use crate::page::wix_pages;
use crate::shared::Ctx;
use crate::world::{CloseVisit, TokenKind, push};

/// Records the visit and shows the page, whose script reports on its opener and closes the window.
pub(super) async fn page(State(ctx): State<Ctx>, OriginalUri(uri): OriginalUri, headers: HeaderMap) -> Response {
    let now_ms = ctx.clock.now_ms();
    let sent = fields::query(&uri).remove("access_token").filter(|token| !token.is_empty());
    let by_browser = headers.get("sec-fetch-mode").is_some_and(|mode| mode == "navigate");
    let visit = ctx.change(|world| {
        let known = sent.as_ref().and_then(|token| world.tokens.get(token));
        let live = known.is_some_and(|token| token.live(now_ms) && token.kind != TokenKind::LegacyRefresh);
        let instance_id = known.map(|token| token.instance_id.clone());
        if !by_browser {
            let detail = "the owner's browser must request close-window, not a server (3.3)";
            world.add_finding(now_ms, uri.path(), "close_window_not_by_browser", detail);
        }
        let visit = CloseVisit {
            id: world.next_id(),
            at_ms: now_ms,
            token_fingerprint: sent.as_deref().map(ids::fingerprint),
            token_live: live,
            instance_id,
            by_browser,
            opener_reachable: None,
            report_key: ids::random_text(22),
        };
        push(&mut world.close_visits, visit.clone());
        visit
    });
    wix_pages::close_window(&visit)
}

/// The report of the page's script.
#[expect(clippy::struct_field_names, reason = "the names are the control API's")]
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Report {
    visit_id: u64,
    report_key: String,
    opener_reachable: bool,
}

/// Records the report; `false` if the visit is unknown or the key is wrong.
pub(crate) fn report(ctx: &Ctx, report: &Report) -> bool {
    ctx.change(|world| {
        let visit = world
            .close_visits
            .iter_mut()
            .find(|visit| visit.id == report.visit_id && visit.report_key == report.report_key);
        visit.map(|visit| visit.opener_reachable = Some(report.opener_reachable)).is_some()
    })
}
