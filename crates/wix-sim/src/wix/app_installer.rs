//! `GET /app-installer`: the external install flow with its callback and `signedInstance` (section 3.2).

use std::collections::HashMap;

use axum::extract::{OriginalUri, State};
use axum::response::Response;
use url::Url;

use super::install::{Problem, cancel, install_on, send_in_order};
use crate::fields;
use crate::page::wix_pages;
use crate::shared::{Ctx, loopback_url};
use crate::signed_instance::{self, Facts};
use crate::tokens;
use crate::world::World;

/// Shows the consent page, or what is wrong.
pub(super) async fn page(State(ctx): State<Ctx>, OriginalUri(uri): OriginalUri) -> Response {
    let query = fields::query(&uri);
    let callback = match ctx.read(|world| check(world, &query)) {
        Ok(callback) => callback,
        Err(Problem(heading, told)) => return wix_pages::problem(heading, &told),
    };
    let (auto, chosen) = ctx.read(|world| (world.switches.auto_approve, world.switches.auto_approve_site_id.clone()));
    if auto {
        return approve(&ctx, callback, Some(chosen).filter(|id| !id.is_empty())).await;
    }
    ctx.read(|world| wix_pages::consent(world, &query, None, true))
}

/// Takes the consent page's form.
pub(super) async fn consent(ctx: &Ctx, form: &HashMap<String, String>) -> Response {
    let callback = match ctx.read(|world| check(world, form)) {
        Ok(callback) => callback,
        Err(Problem(heading, told)) => return wix_pages::problem(heading, &told),
    };
    if form.get("decision").map(String::as_str) != Some("agree") {
        return callback.map_or_else(wix_pages::cancelled, |callback| cancel(ctx, &callback));
    }
    approve(ctx, callback, form.get("site_id").cloned().filter(|id| id != "new")).await
}

/// Proves the parameters; the callback need not be registered, but here it must be on this machine.
fn check(world: &World, query: &HashMap<String, String>) -> Result<Option<Url>, Problem> {
    if !query.get("appId").is_some_and(|id| id.eq_ignore_ascii_case(&world.app.app_id)) {
        return Err(Problem(
            "We couldn't find this app",
            "The parameter appId is missing or names no known app.".into(),
        ));
    }
    match query.get("postInstallationUrl").filter(|text| !text.is_empty()) {
        None => Ok(None),
        Some(text) => loopback_url(text)
            .map(Some)
            .map_err(|told| Problem("We can't use this address", format!("postInstallationUrl: {told}."))),
    }
}

/// Installs and sends the browser to the callback, its own parameters kept and Wix's added.
async fn approve(ctx: &Ctx, callback: Option<Url>, chosen: Option<String>) -> Response {
    let now_ms = ctx.clock.now_ms();
    let installed = ctx.change(|world| {
        let done = install_on(world, chosen, now_ms)?;
        let target = callback.map(|callback| target(world, callback, &done.instance.instance_id, now_ms));
        Some((done, target))
    });
    let Some((done, target)) = installed else {
        return wix_pages::problem("We couldn't find this site", "There is no such site.");
    };
    send_in_order(ctx, done).await;
    target.map_or_else(wix_pages::installed_page, |target| wix_pages::redirect(&target))
}

fn target(world: &World, mut callback: Url, instance_id: &str, now_ms: i64) -> Url {
    let site = tokens::site_of(world, instance_id);
    let tenant = match world.switches.external_flow_tenant.as_str() {
        "site" => site.map_or("", |site| site.site_id.as_str()),
        "account" => site.map_or("", |site| site.account_id.as_str()),
        other => other,
    };
    callback
        .query_pairs_mut()
        .append_pair("appId", &world.app.app_id)
        .append_pair("tenantId", tenant)
        .append_pair("instanceId", instance_id);
    if world.switches.signed_instance_in_external_flow {
        let instance = world.instances.get(instance_id);
        let facts = Facts {
            app_id: &world.app.app_id,
            instance_id,
            site_id: site.map(|site| site.site_id.as_str()),
            owner_id: site.map(|site| site.owner_id.as_str()),
            vendor_product_id: instance
                .and_then(|instance| instance.plan.as_ref())
                .map(|plan| plan.vendor_product_id.as_str()),
            origin_instance_id: instance.and_then(|instance| instance.origin_instance_id.as_deref()),
            at_ms: now_ms,
        };
        let payload = signed_instance::payload(&facts, &serde_json::Map::new(), &[]);
        callback.query_pairs_mut().append_pair("signedInstance", &signed_instance::sign(&world.app.secret, &payload));
    }
    callback
}
