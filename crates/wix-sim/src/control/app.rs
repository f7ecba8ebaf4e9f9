//! The app's settings, switches, faults, the clock, and the reset.

use axum::Json;
use axum::extract::{OriginalUri, State};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Body, Refusal};
use crate::faults::Fault;
use crate::fields;
use crate::ids;
use crate::shared::{Ctx, loopback_url};
use crate::switches::Switches;
use crate::world::World;

/// The response of `GET /_sim/app`.
#[derive(Serialize)]
pub(crate) struct Shown {
    pub app_id: String,
    app_secret_fingerprint: String,
    previous_app_secret_fingerprint: Option<String>,
    name: String,
    app_url: Option<String>,
    redirect_urls: Vec<String>,
    webhook_url: Option<String>,
    plugins_url: Option<String>,
    public_key_pem: String,
    public_key_base64: String,
    /// The public key of the foreign key, for tests of refusals.
    other_public_key_pem: String,
    pub url: String,
    sends_finished_configuration: bool,
}

pub(crate) fn shown(ctx: &Ctx) -> Shown {
    ctx.read(|world| Shown {
        app_id: world.app.app_id.clone(),
        app_secret_fingerprint: ids::fingerprint(&world.app.secret),
        previous_app_secret_fingerprint: world.app.previous_secret.as_deref().map(ids::fingerprint),
        name: world.app.name.clone(),
        app_url: world.app.app_url.clone(),
        redirect_urls: world.app.redirect_urls.clone(),
        webhook_url: world.app.webhook_url.clone(),
        plugins_url: world.app.plugins_url.clone(),
        public_key_pem: ctx.own_key.public_pem(),
        public_key_base64: ctx.own_key.public_der_base64(),
        other_public_key_pem: ctx.other_key.public_pem(),
        url: ctx.url.clone(),
        sends_finished_configuration: world.app.sends_finished_configuration,
    })
}

pub(super) async fn show(State(ctx): State<Ctx>) -> Json<Shown> {
    Json(shown(&ctx))
}

/// A change of the dashboard's fields and of the secrets. Absent fields keep their value; "" clears a field.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Patch {
    name: Option<String>,
    app_url: Option<String>,
    redirect_urls: Option<Vec<String>>,
    webhook_url: Option<String>,
    plugins_url: Option<String>,
    app_secret: Option<String>,
    previous_app_secret: Option<String>,
}

pub(super) async fn change(State(ctx): State<Ctx>, Body(patch): Body<Patch>) -> Result<Json<Shown>, Refusal> {
    let given = patch.app_url.iter().chain(&patch.webhook_url).chain(&patch.plugins_url);
    for url in given.chain(patch.redirect_urls.iter().flatten()).filter(|url| !url.is_empty()) {
        loopback_url(url).map_err(Refusal::bad)?;
    }
    if patch.app_secret.as_deref() == Some("") {
        return Err(Refusal::bad("app_secret must not be empty"));
    }
    ctx.change(|world| {
        let app = &mut world.app;
        if let Some(secret) = patch.app_secret {
            app.secret = secret;
        }
        if let Some(secret) = patch.previous_app_secret {
            app.previous_secret = Some(secret).filter(|secret| !secret.is_empty());
        }
        if let Some(name) = patch.name {
            app.name = name;
        }
        if let Some(urls) = patch.redirect_urls {
            app.redirect_urls = urls.into_iter().filter(|url| !url.is_empty()).collect();
        }
        if let Some(url) = patch.app_url {
            app.app_url = Some(url).filter(|url| !url.is_empty());
        }
        if let Some(url) = patch.webhook_url {
            app.webhook_url = Some(url).filter(|url| !url.is_empty());
        }
        if let Some(url) = patch.plugins_url {
            app.plugins_url = Some(url).filter(|url| !url.is_empty());
        }
    });
    Ok(Json(shown(&ctx)))
}

pub(super) async fn switches(State(ctx): State<Ctx>) -> Json<Switches> {
    Json(ctx.read(|world| world.switches.clone()))
}

pub(super) async fn change_switches(
    State(ctx): State<Ctx>,
    Body(patch): Body<Map<String, Value>>,
) -> Result<Json<Switches>, Refusal> {
    ctx.change(|world| {
        world.switches = world.switches.patched(&patch).map_err(Refusal::bad)?;
        Ok(Json(world.switches.clone()))
    })
}

/// The active faults.
#[derive(Serialize)]
pub(super) struct Faults {
    faults: Vec<Fault>,
}

pub(super) async fn faults(State(ctx): State<Ctx>) -> Json<Faults> {
    Json(Faults { faults: ctx.read(|world| world.faults.clone()) })
}

pub(super) async fn add_fault(State(ctx): State<Ctx>, Body(fault): Body<Fault>) -> Result<Json<Faults>, Refusal> {
    fault.check().map_err(Refusal::bad)?;
    ctx.change(|world| world.faults.push(fault));
    Ok(faults(State(ctx)).await)
}

/// `?instance_id=` removes only the faults of that instance.
pub(super) async fn clear_faults(State(ctx): State<Ctx>, OriginalUri(uri): OriginalUri) -> Json<Faults> {
    let instance = fields::query(&uri).remove("instance_id");
    ctx.change(|world| world.faults.retain(|fault| instance.is_some() && fault.instance_id != instance));
    faults(State(ctx)).await
}

/// The simulated time.
#[derive(Serialize)]
pub(super) struct Time {
    now_ms: i64,
    offset_seconds: i64,
}

pub(super) async fn clock(State(ctx): State<Ctx>) -> Json<Time> {
    Json(Time { now_ms: ctx.clock.now_ms(), offset_seconds: ctx.clock.offset_ms() / 1000 })
}

/// By how much the clock advances.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Advance {
    advance_seconds: u32,
}

pub(super) async fn advance(State(ctx): State<Ctx>, Body(request): Body<Advance>) -> Json<Time> {
    ctx.clock.advance(request.advance_seconds);
    clock(State(ctx)).await
}

/// The options of a reset.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Reset {
    /// Whether the switches keep their values.
    keep_switches: bool,
}

/// Clears everything but the app, its keys and its dashboard fields. Sets the switches to their values at the start,
/// and the clock to the wall clock.
pub(super) async fn reset(State(ctx): State<Ctx>, Body(request): Body<Reset>) -> Json<Shown> {
    ctx.change(|world| {
        let fresh = World {
            app: crate::world::App { sends_finished_configuration: false, ..world.app.clone() },
            switches: if request.keep_switches { world.switches.clone() } else { ctx.initial_switches.clone() },
            // Ids stay unique, so that the task of a cleared delivery cannot touch a new one.
            last_id: world.last_id,
            ..World::default()
        };
        *world = fresh;
    });
    ctx.clock.reset();
    Json(shown(&ctx))
}
