//! `GET /installer/install`: consent to custom authentication, and the redirect with code and instance id (section 3.3).

use std::collections::HashMap;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{OriginalUri, State};
use axum::http::HeaderMap;
use axum::response::Response;
use url::Url;

use crate::fields;
use crate::ids;
use crate::installs::{self, Done};
use crate::page::wix_pages;
use crate::shared::Ctx;
use crate::switches::{CancelAnswer, WebhookOrder};
use crate::webhook;
use crate::world::World;

/// The installer's parameters, proved right.
pub(super) struct Wanted {
    pub redirect_url: Url,
    pub state: Option<String>,
    /// The site that the token stands for, where there is one.
    pub site_id: Option<String>,
}

/// Why the installer cannot go on: a heading and a sentence for the page.
pub(super) struct Problem(pub &'static str, pub String);

/// Shows the consent page, or what is wrong.
pub(super) async fn page(State(ctx): State<Ctx>, OriginalUri(uri): OriginalUri) -> Response {
    let query = fields::query(&uri);
    if let Some(answer) = loop_through_app_url(&ctx, &query) {
        return answer;
    }
    let wanted = match ctx.read(|world| check(world, &query)) {
        Ok(wanted) => wanted,
        Err(Problem(heading, told)) => return wix_pages::problem(heading, &told),
    };
    let (auto, chosen) = ctx.read(|world| (world.switches.auto_approve, world.switches.auto_approve_site_id.clone()));
    if auto {
        let chosen = wanted.site_id.clone().or_else(|| Some(chosen).filter(|id| !id.is_empty()));
        return approve(&ctx, &wanted, chosen).await;
    }
    ctx.read(|world| wix_pages::consent(world, &query, wanted.site_id.as_deref(), false))
}

/// Takes the consent page's form: the installer's parameters once more, `site_id`, and the button pressed.
pub(super) async fn consent(State(ctx): State<Ctx>, headers: HeaderMap, body: Bytes) -> Response {
    let form = fields::read(&headers, &body).unwrap_or_default();
    let query: HashMap<String, String> =
        form.into_iter().filter_map(|(name, value)| Some((name, value.as_str()?.to_owned()))).collect();
    if query.get("flow").is_some_and(|flow| flow == "external") {
        return super::app_installer::consent(&ctx, &query).await;
    }
    let wanted = match ctx.read(|world| check(world, &query)) {
        Ok(wanted) => wanted,
        Err(Problem(heading, told)) => return wix_pages::problem(heading, &told),
    };
    if query.get("decision").map(String::as_str) != Some("agree") {
        return cancel(&ctx, &wanted.redirect_url);
    }
    let chosen = wanted.site_id.clone().or_else(|| query.get("site_id").cloned()).filter(|id| id != "new");
    approve(&ctx, &wanted, chosen).await
}

/// Neither `redirectUrl` nor `token`: Wix picks the site and opens the App URL with a token (section 3.3, variants).
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

/// Proves the parameters; order matters to nobody.
fn check(world: &World, query: &HashMap<String, String>) -> Result<Wanted, Problem> {
    let text = |name: &str| query.get(name).filter(|text| !text.is_empty());
    if !text("appId").is_some_and(|id| id.eq_ignore_ascii_case(&world.app.app_id)) {
        return Err(Problem(
            "We couldn't find this app",
            "The parameter appId is missing or names no known app.".into(),
        ));
    }
    let sent = text("redirectUrl")
        .ok_or_else(|| Problem("Something is missing", "The parameter redirectUrl is missing.".into()))?;
    if !world.app.redirect_urls.contains(sent) {
        return Err(Problem(
            "We couldn't find an app with this redirect URL",
            format!("{sent} is not among the app's registered redirect URLs. It must match one to the letter."),
        ));
    }
    let redirect_url =
        Url::parse(sent).map_err(|_| Problem("Something is wrong", "The redirect URL cannot be read.".into()))?;
    let site_id = match text("token") {
        Some(token) => Some(world.install_tokens.get(token).cloned().ok_or_else(|| {
            Problem("This installation has expired", "The parameter token is not one that was given out.".into())
        })?),
        None => None,
    };
    Ok(Wanted { redirect_url, state: query.get("state").cloned(), site_id })
}

/// Installs and sends the browser back with `code`, `instanceId` and `state`.
async fn approve(ctx: &Ctx, wanted: &Wanted, chosen: Option<String>) -> Response {
    let now_ms = ctx.clock.now_ms();
    let code = ids::word(86);
    let done = ctx.change(|world| {
        let done = install_on(world, chosen, now_ms)?;
        let instance_id = done.instance.instance_id.clone();
        world.give_code(code.clone(), instance_id, now_ms);
        Some(done)
    });
    let Some(done) = done else { return wix_pages::problem("We couldn't find this site", "There is no such site.") };
    let mut target = wanted.redirect_url.clone();
    target.query_pairs_mut().append_pair("code", &code).append_pair("instanceId", &done.instance.instance_id);
    if let Some(state) = &wanted.state {
        target.query_pairs_mut().append_pair("state", state);
    }
    send_in_order(ctx, done).await;
    wix_pages::redirect(&target)
}

/// Installs on the chosen site or on a new one; `None` where the site does not exist.
pub(super) fn install_on(world: &mut World, chosen: Option<String>, now_ms: i64) -> Option<Done> {
    let site_id = match chosen {
        Some(id) => world.sites.get(&id)?.site_id.clone(),
        None => installs::make_site(world, None).site_id,
    };
    Some(installs::install(world, &site_id, None, now_ms))
}

/// Sends the events before the redirect, with it, or after it.
pub(super) async fn send_in_order(ctx: &Ctx, done: Done) {
    let (order, pause) = ctx.read(|world| (world.switches.webhook_order, world.switches.webhook_after_redirect_ms));
    match order {
        WebhookOrder::Parallel => drop(webhook::emit(ctx, done.events)),
        WebhookOrder::BeforeRedirect => {
            let sent = webhook::emit(ctx, done.events);
            webhook::first_attempts(ctx, &sent, Duration::from_secs(10)).await;
        }
        WebhookOrder::AfterRedirect => {
            let ctx = ctx.clone();
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(u64::from(pause))).await;
                webhook::emit(&ctx, done.events);
            });
        }
    }
}

/// What Cancel does, by the switch.
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
