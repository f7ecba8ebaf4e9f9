//! Sites and instances: create, install, remove, reinstall, clone, update, and send events.

use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use url::Url;

use super::{Body, Refusal};
use crate::ids;
use crate::installs::{self, Changed};
use crate::plans;
use crate::shared::Ctx;
use crate::webhook::{self, samples};
use crate::world::{Instance, Plan, Site, TokenKind, World};

/// A changed instance, and the deliveries that the change caused.
#[derive(Serialize)]
pub(super) struct ChangeResponse {
    instance: Instance,
    #[serde(skip_serializing_if = "Option::is_none")]
    site: Option<Site>,
    delivery_ids: Vec<u64>,
}

fn respond(ctx: &Ctx, changed: Changed) -> Json<ChangeResponse> {
    let delivery_ids = webhook::emit(ctx, changed.events);
    let site = ctx.read(|world| world.sites.get(&changed.instance.site_id).cloned());
    Json(ChangeResponse { instance: changed.instance, site, delivery_ids })
}

fn unknown_instance() -> Refusal {
    Refusal::not_found("unknown instance")
}

/// All sites.
#[derive(Serialize)]
pub(super) struct Sites {
    sites: Vec<Site>,
}

pub(super) async fn sites(State(ctx): State<Ctx>) -> Json<Sites> {
    Json(Sites { sites: ctx.read(|world| world.sites.values().cloned().collect()) })
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct NewSite {
    name: Option<String>,
}

pub(super) async fn make_site(State(ctx): State<Ctx>, Body(request): Body<NewSite>) -> Json<Site> {
    Json(ctx.change(|world| installs::make_site(world, request.name)))
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct OnSite {
    site_id: Option<String>,
}

/// The site in the request, or a new one.
fn pick(world: &mut World, request: OnSite) -> Result<String, Refusal> {
    match request.site_id {
        Some(id) if world.sites.contains_key(&id) => Ok(id),
        Some(_) => Err(Refusal::not_found("unknown site")),
        None => Ok(installs::make_site(world, None).site_id),
    }
}

/// A direct install: the app gets only the webhook (flow D, section 3.1).
pub(super) async fn install(
    State(ctx): State<Ctx>,
    Body(request): Body<OnSite>,
) -> Result<Json<ChangeResponse>, Refusal> {
    let now_ms = ctx.clock.now_ms();
    let changed = ctx.change(|world| {
        let site_id = pick(world, request)?;
        Ok(installs::install(world, &site_id, None, now_ms))
    })?;
    Ok(respond(&ctx, changed))
}

/// A `token` for the App URL, and the App URL with it.
#[derive(Serialize)]
pub(super) struct InstallToken {
    token: String,
    site_id: String,
    app_url: Option<String>,
}

pub(super) async fn install_token(
    State(ctx): State<Ctx>,
    Body(request): Body<OnSite>,
) -> Result<Json<InstallToken>, Refusal> {
    ctx.change(|world| {
        let site_id = pick(world, request)?;
        Ok(Json(start_at_app_url(world, site_id)))
    })
}

fn start_at_app_url(world: &mut World, site_id: String) -> InstallToken {
    let token = installs::install_token(world, &site_id);
    let app_url = world.app.app_url.as_deref().and_then(|text| Url::parse(text).ok()).map(|mut url| {
        url.query_pairs_mut().append_pair("token", &token);
        url.into()
    });
    InstallToken { token, site_id, app_url }
}

pub(super) async fn show(State(ctx): State<Ctx>, Path(id): Path<String>) -> Result<Json<Instance>, Refusal> {
    let now_ms = ctx.clock.now_ms();
    ctx.read(|world| world.instances.get(&id).map(|instance| Json(instance.at(now_ms)))).ok_or_else(unknown_instance)
}

pub(super) async fn remove(State(ctx): State<Ctx>, Path(id): Path<String>) -> Result<Json<ChangeResponse>, Refusal> {
    let now_ms = ctx.clock.now_ms();
    let changed = ctx.change(|world| installs::remove(world, &id, now_ms)).ok_or_else(unknown_instance)?;
    Ok(respond(&ctx, changed))
}

pub(super) async fn reinstall(State(ctx): State<Ctx>, Path(id): Path<String>) -> Result<Json<ChangeResponse>, Refusal> {
    let now_ms = ctx.clock.now_ms();
    let changed = ctx.change(|world| {
        let site_id = world.instances.get(&id).ok_or_else(unknown_instance)?.site_id.clone();
        if world.installed(&id) {
            return Err(Refusal::conflict("the app is installed; remove it first"));
        }
        if !world.sites.contains_key(&site_id) {
            return Err(Refusal::conflict("the site is deleted"));
        }
        Ok(installs::install(world, &site_id, None, now_ms))
    })?;
    Ok(respond(&ctx, changed))
}

pub(super) async fn clone(State(ctx): State<Ctx>, Path(id): Path<String>) -> Result<Json<ChangeResponse>, Refusal> {
    let now_ms = ctx.clock.now_ms();
    let changed = ctx.change(|world| installs::clone_site(world, &id, now_ms)).ok_or_else(unknown_instance)?;
    Ok(respond(&ctx, changed))
}

/// An update that needs new consent. With custom authentication, the whole redirect flow runs again (section 3.6).
#[derive(Serialize)]
pub(super) struct Updated {
    instance: Instance,
    /// The URL at which the owner's browser starts the flow.
    app_url: Option<String>,
}

pub(super) async fn update(State(ctx): State<Ctx>, Path(id): Path<String>) -> Result<Json<Updated>, Refusal> {
    ctx.change(|world| {
        let instance = installs::update(world, &id).ok_or_else(unknown_instance)?;
        let app_url = start_at_app_url(world, instance.site_id.clone()).app_url;
        Ok(Json(Updated { instance, app_url }))
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Fire {
    pub event_type: String,
    /// Any JSON; sample data by default.
    pub data: Option<Box<RawValue>>,
    /// The fields that the message leaves out. A plan event has its effect all the same.
    #[serde(default)]
    pub omit: Vec<String>,
}

impl Fire {
    /// The data without the fields to leave out.
    fn without_omitted(&self, data: String) -> String {
        if self.omit.is_empty() {
            return data;
        }
        let mut fields: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&data).unwrap_or_default();
        fields.retain(|name, _| !self.omit.contains(name));
        serde_json::Value::from(fields).to_string()
    }

    pub(super) fn without_sample(&self) -> Refusal {
        Refusal::bad(format!("data must be set for {:?}, which has no sample data", self.event_type))
    }
}

/// Sends an event. Plan events change the plan; `AppInstalled` and `AppRemoved` do not change the instance.
pub(super) async fn event(
    State(ctx): State<Ctx>,
    Path(id): Path<String>,
    Body(fire): Body<Fire>,
) -> Result<Json<ChangeResponse>, Refusal> {
    let now_ms = ctx.clock.now_ms();
    let changed = ctx.change(|world| {
        let instance = world.instances.get(&id).cloned().ok_or_else(unknown_instance)?;
        let data = match &fire.data {
            Some(data) => samples::compact(data.get()),
            None => samples::data(&fire.event_type, &world.app.app_id, &instance, now_ms)
                .ok_or_else(|| fire.without_sample())?,
        };
        plans::apply(world, &id, &fire.event_type, &data, now_ms);
        let is_plan_event = plans::is_plan_event(&fire.event_type);
        if is_plan_event && let Some(instance) = world.instances.get_mut(&id) {
            instance.revision += 1;
        }
        let instance = world.instances.get(&id).cloned().unwrap_or(instance);
        let data = fire.without_omitted(data);
        let mut events = vec![installs::event(world, &instance, &fire.event_type, data, now_ms)];
        if is_plan_event {
            // They tell of every change, the plan included.
            events.extend(installs::installation_event(world, &instance, "updated", now_ms));
        }
        Ok(Changed { instance, events })
    })?;
    Ok(respond(&ctx, changed))
}

/// A plan that the site gets, or loses, without an event.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct SilentPlan {
    /// None for a site without a plan.
    vendor_product_id: Option<String>,
    cycle: Option<String>,
    expires_in_seconds: Option<i64>,
    trial_ends_in_seconds: Option<i64>,
    auto_renewing: Option<bool>,
    payment_failed: bool,
}

/// Sets the plan without an event, as if the event was lost.
pub(super) async fn plan(
    State(ctx): State<Ctx>,
    Path(id): Path<String>,
    Body(request): Body<SilentPlan>,
) -> Result<Json<Instance>, Refusal> {
    let now_ms = ctx.clock.now_ms();
    let from_now = |seconds: i64| ids::iso(now_ms.saturating_add(seconds.saturating_mul(1000)));
    ctx.change(|world| {
        let instance = world.instances.get_mut(&id).ok_or_else(unknown_instance)?;
        instance.plan = request.vendor_product_id.map(|vendor_product_id| Plan {
            vendor_product_id,
            cycle: request.cycle.unwrap_or_else(|| "MONTHLY".to_owned()),
            time_stamp: ids::iso(now_ms),
            expires_on: request.expires_in_seconds.map(from_now),
            trial_ends_on: request.trial_ends_in_seconds.map(from_now),
            invoice_id: None,
            auto_renewing: request.auto_renewing.unwrap_or(true),
            payment_failed: request.payment_failed,
        });
        Ok(Json(instance.at(now_ms)))
    })
}

/// The deliveries that the deletion of a site caused.
#[derive(Serialize)]
pub(super) struct Deleted {
    delivery_ids: Vec<u64>,
}

/// Deletes a site, with the app on it.
pub(super) async fn delete_site(State(ctx): State<Ctx>, Path(id): Path<String>) -> Result<Json<Deleted>, Refusal> {
    let now_ms = ctx.clock.now_ms();
    let events = ctx.change(|world| installs::delete_site(world, &id, now_ms));
    let events = events.ok_or_else(|| Refusal::not_found("unknown site"))?;
    Ok(Json(Deleted { delivery_ids: webhook::emit(&ctx, events) }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ForInstance {
    instance_id: String,
}

/// An authorization code, issued without a browser flow.
#[derive(Serialize)]
pub(super) struct NewCode {
    code: String,
    instance_id: String,
}

pub(super) async fn code(State(ctx): State<Ctx>, Body(request): Body<ForInstance>) -> Result<Json<NewCode>, Refusal> {
    let (code, now_ms) = (ids::random_text(86), ctx.clock.now_ms());
    ctx.change(|world| {
        if !world.instances.contains_key(&request.instance_id) {
            return Err(unknown_instance());
        }
        let instance_id = request.instance_id;
        world.issue_code(code.clone(), instance_id.clone(), now_ms);
        Ok(Json(NewCode { code, instance_id }))
    })
}

/// Which tokens are revoked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Expire {
    instance_id: String,
    #[serde(default)]
    access: bool,
    #[serde(default)]
    refresh: bool,
}

#[derive(Serialize)]
pub(super) struct Expired {
    ended: usize,
}

/// Revokes tokens, so that the app gets a 401 or loses its refresh token.
pub(super) async fn expire_tokens(State(ctx): State<Ctx>, Body(request): Body<Expire>) -> Json<Expired> {
    ctx.change(|world| {
        let tokens =
            world.tokens.values_mut().filter(|token| token.instance_id == request.instance_id && !token.revoked);
        let ended = tokens
            .filter(|token| if token.kind == TokenKind::LegacyRefresh { request.refresh } else { request.access })
            .map(|token| token.revoked = true)
            .count();
        Json(Expired { ended })
    })
}
