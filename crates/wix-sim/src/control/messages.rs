//! Hand-made messages (raw webhooks, the Test button, signed `instance` values), and the deliveries.

use std::time::Duration;

use axum::Json;
use axum::extract::{OriginalUri, State};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::instances::Fire;
use super::{Body, Refusal};
use crate::fields;
use crate::ids;
use crate::shared::Ctx;
use crate::signed_instance::{self, Claims};
use crate::tokens;
use crate::webhook::{self, Delivery, Event, Outcome, Raw, samples};
use crate::world::{Instance, Status, World};

/// The longest wait for deliveries.
const LONGEST_WAIT: Duration = Duration::from_mins(1);

/// A hand-made message: the JWT, and the delivery if it was sent.
#[derive(Serialize)]
pub(super) struct Made {
    jwt: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    delivery: Option<Delivery>,
}

pub(super) async fn raw(State(ctx): State<Ctx>, Body(raw): Body<Raw>) -> Result<Json<Made>, Refusal> {
    let now_ms = ctx.clock.now_ms();
    let event_type = raw.event_type.clone().unwrap_or_else(|| "AppInstalled".to_owned());
    let (switches, sample) = ctx.read(|world| {
        let instance = raw.instance_id.as_ref().and_then(|id| world.instances.get(id)).cloned();
        let instance = instance.unwrap_or_else(|| sample_instance(now_ms));
        let sample =
            samples::data(&event_type, &world.app.app_id, &instance, now_ms).unwrap_or_else(|| "{}".to_owned());
        (world.switches.clone(), sample)
    });
    let jwt = webhook::compose_raw(&ctx, &switches, &raw, &sample).map_err(|error| Refusal::bad(error.to_string()))?;
    if raw.send == Some(false) {
        return Ok(Json(Made { jwt, delivery: None }));
    }
    if let Some(kind) = &raw.content_type {
        kind.parse::<axum::http::HeaderValue>()
            .map_err(|_| Refusal::bad("content_type must be a valid header value"))?;
    }
    let id = webhook::send_raw(&ctx, jwt.clone(), event_type, raw.instance_id, raw.content_type, raw.retries);
    webhook::first_attempts(&ctx, &[id], LONGEST_WAIT).await;
    Ok(Json(Made { jwt, delivery: ctx.read(|world| world.deliveries.get(&id).cloned()) }))
}

/// An instance with a random id, for sample data. The simulator does not store it.
fn sample_instance(now_ms: i64) -> Instance {
    Instance {
        instance_id: ids::guid(),
        site_id: ids::guid(),
        status: Status::Installed,
        origin_instance_id: None,
        major_version: 1,
        plan: None,
        configured: false,
        setup_incomplete: false,
        first_installed_at_ms: now_ms,
        installed_at_ms: now_ms,
        removed_at_ms: None,
        installation_id: ids::guid(),
        revision: 1,
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Test {
    event_type: Option<String>,
    /// The app id in the sample data; by default that of another app, as in Wix's documentation.
    app_id: Option<String>,
    /// The instance id in the envelope; random by default.
    instance_id: Option<String>,
}

/// The dashboard's Test button: sends sample data about another app and an unknown instance, without retries.
pub(super) async fn test(State(ctx): State<Ctx>, Body(request): Body<Test>) -> Result<Json<Made>, Refusal> {
    let event_type = request.event_type.unwrap_or_else(|| "AppInstalled".to_owned());
    let now_ms = ctx.clock.now_ms();
    let mut instance = sample_instance(now_ms);
    if let Some(id) = request.instance_id {
        instance.instance_id = id;
    }
    let data = samples::data(&event_type, &request.app_id.unwrap_or_else(ids::guid), &instance, now_ms);
    let data =
        data.ok_or_else(|| Refusal::bad(format!("event_type must be one with sample data; {event_type:?} has none")))?;
    let switches = ctx.read(|world| world.switches.clone());
    let jwt = webhook::test_message(&ctx, &switches, &event_type, &instance.instance_id, &data)
        .map_err(|error| Refusal::bad(error.to_string()))?;
    let id = webhook::send_raw(&ctx, jwt.clone(), event_type, None, None, false);
    webhook::first_attempts(&ctx, &[id], LONGEST_WAIT).await;
    Ok(Json(Made { jwt, delivery: ctx.read(|world| world.deliveries.get(&id).cloned()) }))
}

/// The deliveries of an event.
#[derive(Serialize)]
pub(super) struct Emitted {
    delivery_ids: Vec<u64>,
}

/// Sends an event whose envelope names no instance, as those of an account do (section 4.5).
pub(super) async fn of_no_instance(State(ctx): State<Ctx>, Body(fire): Body<Fire>) -> Result<Json<Emitted>, Refusal> {
    let now_ms = ctx.clock.now_ms();
    let sample = || {
        let app_id = ctx.read(|world| world.app.app_id.clone());
        samples::data(&fire.event_type, &app_id, &sample_instance(now_ms), now_ms)
    };
    let given = fire.data.as_ref().map(|data| samples::compact(data.get()));
    let data = given.or_else(sample).ok_or_else(|| fire.without_sample())?;
    let delivery_ids = webhook::emit(&ctx, vec![Event::new(&fire.event_type, None, data, now_ms)]);
    Ok(Json(Emitted { delivery_ids }))
}

/// The parameters of a signed `instance` value.
#[expect(clippy::struct_field_names, reason = "the names are those of the value's own fields")]
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Sign {
    instance_id: String,
    /// Fields that replace the default ones, or are added.
    #[serde(default)]
    overrides: Map<String, Value>,
    /// Fields to leave out.
    #[serde(default)]
    omit: Vec<String>,
    /// The whole payload. It replaces all fields.
    payload_text: Option<String>,
    /// The signing secret; the app's secret by default.
    secret: Option<String>,
    /// `signDate`, in seconds from now; negative for the past. `expirationDate` is four hours later.
    #[serde(default)]
    sign_date_offset_seconds: i64,
    /// `expirationDate`, in seconds from now.
    expiration_date_offset_seconds: Option<i64>,
    /// The field `demoMode`.
    #[serde(default)]
    demo_mode: bool,
}

#[derive(Serialize)]
pub(super) struct Signed {
    instance: String,
}

pub(super) async fn signed_instance(State(ctx): State<Ctx>, Body(request): Body<Sign>) -> Json<Signed> {
    let now_ms = ctx.clock.now_ms();
    let from_now = |seconds: i64| now_ms.saturating_add(seconds.saturating_mul(1000));
    let mut overrides = request.overrides;
    if let Some(seconds) = request.expiration_date_offset_seconds {
        overrides.entry("expirationDate").or_insert_with(|| ids::iso(from_now(seconds)).into());
    }
    if request.demo_mode {
        overrides.entry("demoMode").or_insert(true.into());
    }
    Json(ctx.read(|world| {
        let site = tokens::site_of(world, &request.instance_id);
        let known = world.instances.get(&request.instance_id).map(|instance| instance.at(now_ms));
        let known = known.as_ref();
        let claims = Claims {
            app_id: &world.app.app_id,
            instance_id: &request.instance_id,
            site_id: site.map(|site| site.site_id.as_str()),
            owner_id: site.map(|site| site.owner_id.as_str()),
            vendor_product_id: known.and_then(|known| known.plan.as_ref()).map(|plan| plan.vendor_product_id.as_str()),
            origin_instance_id: known.and_then(|known| known.origin_instance_id.as_deref()),
            at_ms: from_now(request.sign_date_offset_seconds),
        };
        let payload = request
            .payload_text
            .clone()
            .unwrap_or_else(|| signed_instance::payload(&claims, &overrides, &request.omit));
        let secret = request.secret.as_deref().unwrap_or(&world.app.secret);
        Signed { instance: signed_instance::sign(secret, &payload) }
    }))
}

/// Deliveries, oldest first.
#[derive(Serialize)]
pub(super) struct Deliveries {
    /// Whether all of them are settled.
    settled: bool,
    deliveries: Vec<Delivery>,
}

/// `?id=`, `?instance_id=` and `?event_type=` filter the list. `?wait_ms=` waits until the deliveries are settled, or
/// with `&until=attempted` until each had an attempt; with a filter, it also waits for a first delivery.
pub(super) async fn deliveries(
    State(ctx): State<Ctx>,
    OriginalUri(uri): OriginalUri,
) -> Result<Json<Deliveries>, Refusal> {
    let query = fields::query(&uri);
    let number = |name: &str| match query.get(name) {
        Some(text) => text.parse::<u64>().map(Some).map_err(|_| Refusal::bad(format!("{name} must be a number"))),
        None => Ok(None),
    };
    let (id, wait_ms) = (number("id")?, number("wait_ms")?.unwrap_or(0));
    let attempted = match query.get("until").map(String::as_str) {
        None | Some("settled") => false,
        Some("attempted") => true,
        Some(_) => return Err(Refusal::bad("until must be settled or attempted")),
    };
    let (instance, event_type) = (query.get("instance_id"), query.get("event_type"));
    let is_filtered = id.is_some() || instance.is_some() || event_type.is_some();
    let choose = |world: &World| -> Vec<Delivery> {
        let all = world.deliveries.values().filter(|delivery| id.is_none_or(|wanted| delivery.id == wanted));
        let all = all.filter(|delivery| instance.is_none_or(|wanted| delivery.instance_id.as_ref() == Some(wanted)));
        all.filter(|delivery| event_type.is_none_or(|wanted| delivery.event_type == *wanted)).cloned().collect()
    };
    let is_done = |delivery: &Delivery| {
        if attempted {
            delivery.outcome.settled() || !delivery.attempts.is_empty()
        } else {
            delivery.outcome.settled() && delivery.outcome != Outcome::Held
        }
    };
    let mut changes = ctx.changes();
    let wait = async {
        loop {
            let chosen = ctx.read(choose);
            if (!is_filtered || !chosen.is_empty()) && chosen.iter().all(is_done) {
                return;
            }
            if changes.changed().await.is_err() {
                return;
            }
        }
    };
    // A timeout is no error: `settled` in the response tells the difference.
    let _ = tokio::time::timeout(Duration::from_millis(wait_ms).min(LONGEST_WAIT), wait).await;
    let deliveries = ctx.read(choose);
    Ok(Json(Deliveries { settled: deliveries.iter().all(is_done), deliveries }))
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Release {
    /// Whether the newest delivery is sent first.
    reverse: bool,
}

#[derive(Serialize)]
pub(super) struct Released {
    delivery_ids: Vec<u64>,
}

/// Sends the deliveries that `webhook_hold` held, one after the other.
pub(super) async fn release(State(ctx): State<Ctx>, Body(request): Body<Release>) -> Json<Released> {
    Json(Released { delivery_ids: webhook::release(&ctx, request.reverse).await })
}
