//! Messages by hand: raw webhooks, the Test button, signed `instance` values; and the deliveries.

use std::time::Duration;

use axum::Json;
use axum::extract::{OriginalUri, State};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Body, Refusal};
use crate::fields;
use crate::ids;
use crate::shared::Ctx;
use crate::signed_instance::{self, Facts};
use crate::tokens;
use crate::webhook::{self, Delivery, Outcome, Raw, samples};
use crate::world::{Instance, Status, World};

/// The longest wait for deliveries.
const LONGEST_WAIT: Duration = Duration::from_mins(1);

/// A hand-made message: its text, and its delivery if it was sent.
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
        let instance = instance.unwrap_or_else(|| nobody(now_ms));
        let sample =
            samples::data(&event_type, &world.app.app_id, &instance, now_ms).unwrap_or_else(|| "{}".to_owned());
        (world.switches.clone(), sample)
    });
    let jwt = webhook::compose_raw(&ctx, &switches, &raw, &sample).map_err(|error| Refusal::bad(error.to_string()))?;
    if raw.send == Some(false) {
        return Ok(Json(Made { jwt, delivery: None }));
    }
    if let Some(kind) = &raw.content_type {
        kind.parse::<axum::http::HeaderValue>().map_err(|_| Refusal::bad("content_type is no header value"))?;
    }
    let id = webhook::send_raw(&ctx, jwt.clone(), event_type, raw.instance_id, raw.content_type, raw.retries);
    webhook::first_attempts(&ctx, &[id], LONGEST_WAIT).await;
    Ok(Json(Made { jwt, delivery: ctx.read(|world| world.deliveries.get(&id).cloned()) }))
}

/// An instance that does not exist, for sample data about nobody.
fn nobody(now_ms: i64) -> Instance {
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
    /// The app that the sample data names; another one where left out, as in Wix's documentation.
    app_id: Option<String>,
    /// The instance that the envelope names; nobody's where left out.
    instance_id: Option<String>,
}

/// The dashboard's Test button: sample data about another app's instance, which the app never met. A test delivery is
/// sent once.
pub(super) async fn test(State(ctx): State<Ctx>, Body(asked): Body<Test>) -> Result<Json<Made>, Refusal> {
    let event_type = asked.event_type.unwrap_or_else(|| "AppInstalled".to_owned());
    let now_ms = ctx.clock.now_ms();
    let mut instance = nobody(now_ms);
    if let Some(id) = asked.instance_id {
        instance.instance_id = id;
    }
    let data = samples::data(&event_type, &asked.app_id.unwrap_or_else(ids::guid), &instance, now_ms);
    let data = data.ok_or_else(|| Refusal::bad(format!("there is no sample data for {event_type:?}")))?;
    let switches = ctx.read(|world| world.switches.clone());
    let jwt = webhook::test_message(&ctx, &switches, &event_type, &instance.instance_id, &data)
        .map_err(|error| Refusal::bad(error.to_string()))?;
    let id = webhook::send_raw(&ctx, jwt.clone(), event_type, None, None, false);
    webhook::first_attempts(&ctx, &[id], LONGEST_WAIT).await;
    Ok(Json(Made { jwt, delivery: ctx.read(|world| world.deliveries.get(&id).cloned()) }))
}

/// A signed `instance` value to be made.
#[expect(clippy::struct_field_names, reason = "the names are those of the value's own fields")]
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Sign {
    instance_id: String,
    /// Fields that replace the usual ones or come on top.
    #[serde(default)]
    overrides: Map<String, Value>,
    /// Fields left out.
    #[serde(default)]
    omit: Vec<String>,
    /// The payload as it is, instead of all that.
    payload_text: Option<String>,
    /// Signed with this instead of the app's secret.
    secret: Option<String>,
    /// `signDate` in seconds from now, below 0 for one in the past. `expirationDate` follows four hours later.
    #[serde(default)]
    sign_date_offset_seconds: i64,
    /// `expirationDate` in seconds from now, instead of that.
    expiration_date_offset_seconds: Option<i64>,
    /// Shown in a demo of the app.
    #[serde(default)]
    demo_mode: bool,
}

#[derive(Serialize)]
pub(super) struct Signed {
    instance: String,
}

pub(super) async fn signed_instance(State(ctx): State<Ctx>, Body(asked): Body<Sign>) -> Json<Signed> {
    let now_ms = ctx.clock.now_ms();
    let moved = |seconds: i64| now_ms.saturating_add(seconds.saturating_mul(1000));
    let mut overrides = asked.overrides;
    if let Some(seconds) = asked.expiration_date_offset_seconds {
        overrides.entry("expirationDate").or_insert_with(|| ids::iso(moved(seconds)).into());
    }
    if asked.demo_mode {
        overrides.entry("demoMode").or_insert(true.into());
    }
    Json(ctx.read(|world| {
        let site = tokens::site_of(world, &asked.instance_id);
        let known = world.instances.get(&asked.instance_id);
        let facts = Facts {
            app_id: &world.app.app_id,
            instance_id: &asked.instance_id,
            site_id: site.map(|site| site.site_id.as_str()),
            owner_id: site.map(|site| site.owner_id.as_str()),
            vendor_product_id: known.and_then(|known| known.plan.as_ref()).map(|plan| plan.vendor_product_id.as_str()),
            origin_instance_id: known.and_then(|known| known.origin_instance_id.as_deref()),
            at_ms: moved(asked.sign_date_offset_seconds),
        };
        let payload =
            asked.payload_text.clone().unwrap_or_else(|| signed_instance::payload(&facts, &overrides, &asked.omit));
        let secret = asked.secret.as_deref().unwrap_or(&world.app.secret);
        Signed { instance: signed_instance::sign(secret, &payload) }
    }))
}

/// Deliveries, oldest first.
#[derive(Serialize)]
pub(super) struct Deliveries {
    /// Whether none of them has anything more to come.
    settled: bool,
    deliveries: Vec<Delivery>,
}

/// `?wait_ms=` waits until those asked for are settled, or with `&until=attempted` until each was tried once;
/// `?id=`, `?instance_id=` and `?event_type=` narrow the list. With one of these, a first delivery is waited for too.
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
    let narrowed = id.is_some() || instance.is_some() || event_type.is_some();
    let choose = |world: &World| -> Vec<Delivery> {
        let all = world.deliveries.values().filter(|delivery| id.is_none_or(|wanted| delivery.id == wanted));
        let all = all.filter(|delivery| instance.is_none_or(|wanted| delivery.instance_id.as_ref() == Some(wanted)));
        all.filter(|delivery| event_type.is_none_or(|wanted| delivery.event_type == *wanted)).cloned().collect()
    };
    let over = |delivery: &Delivery| {
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
            if (!narrowed || !chosen.is_empty()) && chosen.iter().all(over) {
                return;
            }
            if changes.changed().await.is_err() {
                return;
            }
        }
    };
    // Too long is no error: the answer says whether all is settled.
    let _ = tokio::time::timeout(Duration::from_millis(wait_ms).min(LONGEST_WAIT), wait).await;
    let deliveries = ctx.read(choose);
    Ok(Json(Deliveries { settled: deliveries.iter().all(over), deliveries }))
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Release {
    /// The last first.
    reverse: bool,
}

#[derive(Serialize)]
pub(super) struct Released {
    delivery_ids: Vec<u64>,
}

/// Sends what `webhook_hold` kept back, one after the other.
pub(super) async fn release(State(ctx): State<Ctx>, Body(asked): Body<Release>) -> Json<Released> {
    Json(Released { delivery_ids: webhook::release(&ctx, asked.reverse).await })
}
