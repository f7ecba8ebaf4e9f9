//! `GET /app-installer`: the external install flow with its callback and `signedInstance` (section 3.2).

use std::collections::HashMap;

use axum::extract::{OriginalUri, State};
use axum::response::Response;
use url::Url;

use super::install::{Problem, cancel, install_on, send_in_order};
use crate::fields;
use crate::page::wix_pages;
use crate::shared::{Ctx, loopback_url};
use crate::signed_instance::{self, Claims};
use crate::tokens;
use crate::world::World;

/// Shows the consent page or an error page.
pub(super) async fn page(State(ctx): State<Ctx>, OriginalUri(uri): OriginalUri) -> Response {
    let query = fields::query(&uri);
    let callback = match ctx.read(|world| check(world, &query)) {
        Ok(callback) => callback,
        Err(Problem(heading, detail)) => return wix_pages::problem(heading, &detail),
    };
    let (auto, chosen) = ctx.read(|world| (world.switches.auto_approve, world.switches.auto_approve_site_id.clone()));
    if auto {
        return approve(&ctx, callback, Some(chosen).filter(|id| !id.is_empty())).await;
    }
    ctx.read(|world| wix_pages::consent(world, &query, None, true))
}

/// Handles the form of the consent page.
pub(super) async fn consent(ctx: &Ctx, form: &HashMap<String, String>) -> Response {
    let callback = match ctx.read(|world| check(world, form)) {
        Ok(callback) => callback,
        Err(Problem(heading, detail)) => return wix_pages::problem(heading, &detail),
    };
    if form.get("decision").map(String::as_str) != Some("agree") {
        return callback.map_or_else(wix_pages::cancelled, |callback| cancel(ctx, &callback));
    }
    approve(ctx, callback, form.get("site_id").cloned().filter(|id| id != "new")).await
}

/// Validates the parameters. Wix accepts unregistered callbacks; the simulator accepts loopback ones only.
fn check(world: &World, query: &HashMap<String, String>) -> Result<Option<Url>, Problem> {
    if !query.get("appId").is_some_and(|id| id.eq_ignore_ascii_case(&world.app.app_id)) {
        return Err(Problem("We couldn't find this app", "The parameter appId must be the app's id.".into()));
    }
    match query.get("postInstallationUrl").filter(|text| !text.is_empty()) {
        None => Ok(None),
        Some(text) => loopback_url(text)
            .map(Some)
            .map_err(|detail| Problem("We can't use this address", format!("postInstallationUrl: {detail}."))),
    }
}

/// Installs the app and redirects the browser to the callback, with Wix's parameters after the callback's own.
async fn approve(ctx: &Ctx, callback: Option<Url>, chosen: Option<String>) -> Response {
    let now_ms = ctx.clock.now_ms();
    let installed = ctx.change(|world| {
        let changed = install_on(world, chosen, now_ms)?;
        let target = callback.map(|callback| target(world, callback, &changed.instance.instance_id, now_ms));
        Some((changed, target))
    });
    let Some((changed, target)) = installed else {
        return wix_pages::problem("We couldn't find this site", "The site does not exist.");
    };
    send_in_order(ctx, changed).await;
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
        let instance = world.instances.get(instance_id).map(|instance| instance.at(now_ms));
        let instance = instance.as_ref();
        let claims = Claims {
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
        let payload = signed_instance::payload(&claims, &serde_json::Map::new(), &[]);
        callback.query_pairs_mut().append_pair("signedInstance", &signed_instance::sign(&world.app.secret, &payload));
    }
    callback
}
