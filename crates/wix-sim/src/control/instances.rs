//! Sites and installs: making, removing, reinstalling, copying, updating, and events of an instance.

use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use url::Url;

use super::{Body, Refusal};
use crate::ids;
use crate::installs::{self, Done};
use crate::shared::Ctx;
use crate::webhook::{self, samples};
use crate::world::{Instance, Site, TokenKind, World};

/// An instance, and the deliveries that its change caused.
#[derive(Serialize)]
pub(super) struct Answer {
    instance: Instance,
    #[serde(skip_serializing_if = "Option::is_none")]
    site: Option<Site>,
    delivery_ids: Vec<u64>,
}

fn answer(ctx: &Ctx, done: Done) -> Json<Answer> {
    let delivery_ids = webhook::emit(ctx, done.events);
    let site = ctx.read(|world| world.sites.get(&done.instance.site_id).cloned());
    Json(Answer { instance: done.instance, site, delivery_ids })
}

fn unknown_instance() -> Refusal {
    Refusal::not_found("there is no such instance")
}

/// Every site.
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

pub(super) async fn make_site(State(ctx): State<Ctx>, Body(asked): Body<NewSite>) -> Json<Site> {
    Json(ctx.change(|world| installs::make_site(world, asked.name)))
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct OnSite {
    site_id: Option<String>,
}

/// The site asked for, or a new one.
fn pick(world: &mut World, asked: OnSite) -> Result<String, Refusal> {
    match asked.site_id {
        Some(id) if world.sites.contains_key(&id) => Ok(id),
        Some(_) => Err(Refusal::not_found("there is no such site")),
        None => Ok(installs::make_site(world, None).site_id),
    }
}

/// A direct install: the webhook is all that reaches the app (flow D, section 3.1).
pub(super) async fn install(State(ctx): State<Ctx>, Body(asked): Body<OnSite>) -> Result<Json<Answer>, Refusal> {
    let now_ms = ctx.clock.now_ms();
    let done = ctx.change(|world| {
        let site_id = pick(world, asked)?;
        Ok(installs::install(world, &site_id, None, now_ms))
    })?;
    Ok(answer(&ctx, done))
}

/// A `token` as Wix hands it to the App URL, and that URL with it.
#[derive(Serialize)]
pub(super) struct InstallToken {
    token: String,
    site_id: String,
    app_url: Option<String>,
}

pub(super) async fn install_token(
    State(ctx): State<Ctx>,
    Body(asked): Body<OnSite>,
) -> Result<Json<InstallToken>, Refusal> {
    ctx.change(|world| {
        let site_id = pick(world, asked)?;
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
    ctx.read(|world| world.instances.get(&id).cloned().map(Json)).ok_or_else(unknown_instance)
}

pub(super) async fn remove(State(ctx): State<Ctx>, Path(id): Path<String>) -> Result<Json<Answer>, Refusal> {
    let now_ms = ctx.clock.now_ms();
    let done = ctx.change(|world| installs::remove(world, &id, now_ms)).ok_or_else(unknown_instance)?;
    Ok(answer(&ctx, done))
}

pub(super) async fn reinstall(State(ctx): State<Ctx>, Path(id): Path<String>) -> Result<Json<Answer>, Refusal> {
    let now_ms = ctx.clock.now_ms();
    let done = ctx.change(|world| {
        let site_id = world.instances.get(&id).ok_or_else(unknown_instance)?.site_id.clone();
        if world.installed(&id) {
            return Err(Refusal::conflict("the app is installed; remove it first"));
        }
        Ok(installs::install(world, &site_id, None, now_ms))
    })?;
    Ok(answer(&ctx, done))
}

pub(super) async fn clone(State(ctx): State<Ctx>, Path(id): Path<String>) -> Result<Json<Answer>, Refusal> {
    let now_ms = ctx.clock.now_ms();
    let done = ctx.change(|world| installs::clone_site(world, &id, now_ms)).ok_or_else(unknown_instance)?;
    Ok(answer(&ctx, done))
}

/// An update that needs consent again: for custom authentication the whole redirect flow runs once more (section 3.6).
#[derive(Serialize)]
pub(super) struct Updated {
    instance: Instance,
    /// Where the owner's browser begins to consent.
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
    event_type: String,
    /// Any JSON; sample data where left out.
    data: Option<Box<RawValue>>,
}

/// Fires an event. Plan events change the plan; `AppInstalled` and `AppRemoved` change nothing but what the app hears.
pub(super) async fn event(
    State(ctx): State<Ctx>,
    Path(id): Path<String>,
    Body(fire): Body<Fire>,
) -> Result<Json<Answer>, Refusal> {
    let now_ms = ctx.clock.now_ms();
    let done = ctx.change(|world| {
        let instance = world.instances.get(&id).cloned().ok_or_else(unknown_instance)?;
        let data = match &fire.data {
            Some(data) => samples::compact(data.get()),
            None => samples::data(&fire.event_type, &world.app.app_id, &instance, now_ms)
                .ok_or_else(|| Refusal::bad(format!("there is no sample data for {:?}; give data", fire.event_type)))?,
        };
        installs::apply_plan(world, &id, &fire.event_type, &data);
        let instance = world.instances.get(&id).cloned().unwrap_or(instance);
        let event = installs::event(world, &instance, &fire.event_type, data, now_ms);
        Ok(Done { instance, events: vec![event] })
    })?;
    Ok(answer(&ctx, done))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ForInstance {
    instance_id: String,
}

/// An authorization code without the browser's way to it.
#[derive(Serialize)]
pub(super) struct NewCode {
    code: String,
    instance_id: String,
}

pub(super) async fn code(State(ctx): State<Ctx>, Body(asked): Body<ForInstance>) -> Result<Json<NewCode>, Refusal> {
    let (code, now_ms) = (ids::word(86), ctx.clock.now_ms());
    ctx.change(|world| {
        if !world.instances.contains_key(&asked.instance_id) {
            return Err(unknown_instance());
        }
        let instance_id = asked.instance_id;
        world.give_code(code.clone(), instance_id.clone(), now_ms);
        Ok(Json(NewCode { code, instance_id }))
    })
}

/// Which tokens end.
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

/// Ends tokens before their time, so that the app meets a 401 or a lost refresh token.
pub(super) async fn expire_tokens(State(ctx): State<Ctx>, Body(asked): Body<Expire>) -> Json<Expired> {
    ctx.change(|world| {
        let tokens = world.tokens.values_mut().filter(|token| token.instance_id == asked.instance_id && !token.dead);
        let ended = tokens
            .filter(|token| if token.kind == TokenKind::LegacyRefresh { asked.refresh } else { asked.access })
            .map(|token| token.dead = true)
            .count();
        Json(Expired { ended })
    })
}
