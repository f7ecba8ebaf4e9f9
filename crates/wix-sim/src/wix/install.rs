//! `GET /installer/install`: the consent page of custom authentication, and the redirect with the code (section 3.3).

use std::collections::HashMap;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{OriginalUri, State};
use axum::http::HeaderMap;
use axum::response::Response;
use url::Url;

use crate::fields;
use crate::ids;
use crate::installs::{self, Changed};
use crate::page::wix_pages;
use crate::shared::Ctx;
use crate::switches::{CancelAnswer, WebhookOrder};
use crate::webhook;
use crate::world::World;

/// The installer's validated parameters.
pub(super) struct InstallRequest {
    pub redirect_url: Url,
    pub state: Option<String>,
    /// The site of the `token`, if there is one.
    pub site_id: Option<String>,
}

/// The heading and the text of an error page.
pub(super) struct Problem(pub &'static str, pub String);

/// Shows the consent page or an error page.
pub(super) async fn page(State(ctx): State<Ctx>, OriginalUri(uri): OriginalUri) -> Response {
    let query = fields::query(&uri);
    if let Some(response) = loop_through_app_url(&ctx, &query) {
        return response;
    }
    let request = match ctx.read(|world| check(world, &query)) {
        Ok(request) => request,
        Err(Problem(heading, detail)) => return wix_pages::problem(heading, &detail),
    };
    let (auto, chosen) = ctx.read(|world| (world.switches.auto_approve, world.switches.auto_approve_site_id.clone()));
    if auto {
        let chosen = request.site_id.clone().or_else(|| Some(chosen).filter(|id| !id.is_empty()));
        return approve(&ctx, &request, chosen).await;
    }
    ctx.read(|world| wix_pages::consent(world, &query, request.site_id.as_deref(), false))
}

/// Handles the form of the consent page: the installer's parameters, `site_id`, and `decision`.
pub(super) async fn consent(State(ctx): State<Ctx>, headers: HeaderMap, body: Bytes) -> Response {
    let form = fields::read(&headers, &body).unwrap_or_default();
    let query: HashMap<String, String> =
        form.into_iter().filter_map(|(name, value)| Some((name, value.as_str()?.to_owned()))).collect();
    if query.get("flow").is_some_and(|flow| flow == "external") {
        return super::app_installer::consent(&ctx, &query).await;
    }
    let request = match ctx.read(|world| check(world, &query)) {
        Ok(request) => request,
        Err(Problem(heading, detail)) => return wix_pages::problem(heading, &detail),
    };
    if query.get("decision").map(String::as_str) != Some("agree") {
        return cancel(&ctx, &request.redirect_url);
    }
    let chosen = request.site_id.clone().or_else(|| query.get("site_id").cloned()).filter(|id| id != "new");
    approve(&ctx, &request, chosen).await
}

/// Without `redirectUrl` and `token`, Wix chooses the site and redirects to the App URL with a token (section 3.3).
fn loop_through_app_url(ctx: &Ctx, query: &HashMap<String, String>) -> Option<Response> {
    if query.contains_key("redirectUrl") || query.contains_key("token") {
        return None;
    }
    ctx.change(|world| {
        if !query.get("appId").is_some_and(|id| id.eq_ignore_ascii_case(&world.app.app_id)) {
            return None;
        }
        let mut app_url = Url::parse(world.app.app_url.as_deref()?).ok()?;
        let chosen = world.switches.auto_approve_site_id.clone();
        let site_id = if world.sites.contains_key(&chosen) { chosen } else { installs::make_site(world, None).site_id };
        let token = installs::install_token(world, &site_id);
        app_url.query_pairs_mut().append_pair("token", &token);
        if let Some(state) = query.get("state").filter(|_| world.switches.loop_keeps_state) {
            app_url.query_pairs_mut().append_pair("state", state);
        }
        Some(wix_pages::redirect(&app_url))
    })
}

/// Validates the parameters.
fn check(world: &World, query: &HashMap<String, String>) -> Result<InstallRequest, Problem> {
    let text = |name: &str| query.get(name).filter(|text| !text.is_empty());
    if !text("appId").is_some_and(|id| id.eq_ignore_ascii_case(&world.app.app_id)) {
        return Err(Problem("We couldn't find this app", "The parameter appId must be the app's id.".into()));
    }
    let sent = text("redirectUrl")
        .ok_or_else(|| Problem("Something is missing", "The parameter redirectUrl is missing.".into()))?;
    if !world.app.redirect_urls.contains(sent) {
        return Err(Problem(
            "We couldn't find an app with this redirect URL",
            format!("The parameter redirectUrl must equal a registered redirect URL of the app. It is {sent}."),
        ));
    }
    let redirect_url = Url::parse(sent)
        .map_err(|_| Problem("Something is wrong", "The parameter redirectUrl must be a URL.".into()))?;
    let site_id = match text("token") {
        Some(token) => Some(world.install_tokens.get(token).cloned().ok_or_else(|| {
            Problem("This installation has expired", "The parameter token must be one that Wix issued.".into())
        })?),
        None => None,
    };
    Ok(InstallRequest { redirect_url, state: query.get("state").cloned(), site_id })
}

/// Installs the app and redirects the browser to the app with `code`, `instanceId` and `state`.
async fn approve(ctx: &Ctx, request: &InstallRequest, chosen: Option<String>) -> Response {
    let now_ms = ctx.clock.now_ms();
    let code = ids::random_text(86);
    let changed = ctx.change(|world| {
        let changed = install_on(world, chosen, now_ms)?;
        let instance_id = changed.instance.instance_id.clone();
        world.issue_code(code.clone(), instance_id, now_ms);
        Some(changed)
    });
    let Some(changed) = changed else {
        return wix_pages::problem("We couldn't find this site", "The site does not exist.");
    };
    let mut target = request.redirect_url.clone();
    target.query_pairs_mut().append_pair("code", &code).append_pair("instanceId", &changed.instance.instance_id);
    if let Some(state) = &request.state {
        target.query_pairs_mut().append_pair("state", state);
    }
    send_in_order(ctx, changed).await;
    wix_pages::redirect(&target)
}

/// Installs on the chosen site or on a new one. `None` if the site does not exist.
pub(super) fn install_on(world: &mut World, chosen: Option<String>, now_ms: i64) -> Option<Changed> {
    let site_id = match chosen {
        Some(id) => world.sites.get(&id)?.site_id.clone(),
        None => installs::make_site(world, None).site_id,
    };
    Some(installs::install(world, &site_id, None, now_ms))
}

/// Sends the events before, with or after the redirect, as `webhook_order` selects.
pub(super) async fn send_in_order(ctx: &Ctx, changed: Changed) {
    let (order, pause) = ctx.read(|world| (world.switches.webhook_order, world.switches.webhook_after_redirect_ms));
    match order {
        WebhookOrder::Parallel => drop(webhook::emit(ctx, changed.events)),
        WebhookOrder::BeforeRedirect => {
            let sent = webhook::emit(ctx, changed.events);
            webhook::first_attempts(ctx, &sent, Duration::from_secs(10)).await;
        }
        WebhookOrder::AfterRedirect => {
            let ctx = ctx.clone();
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(u64::from(pause))).await;
                webhook::emit(&ctx, changed.events);
            });
        }
    }
}

/// The response to Cancel, as `cancel_answer` selects.
pub(super) fn cancel(ctx: &Ctx, back: &Url) -> Response {
    let mut back = back.clone();
    match ctx.read(|world| world.switches.cancel_answer) {
        CancelAnswer::Stay => wix_pages::cancelled(),
        CancelAnswer::RedirectBare => wix_pages::redirect(&back),
        CancelAnswer::RedirectError => {
            back.query_pairs_mut().append_pair("error", "access_denied");
            wix_pages::redirect(&back)
        }
    }
}
