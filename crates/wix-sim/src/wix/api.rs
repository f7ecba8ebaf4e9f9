//! API calls: authentication (section 1.4), Get App Instance (section 7), and all other paths.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{OriginalUri, State};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, Method};
use serde_json::{Map, Value, json};

use super::error::WixError;
use crate::ids;
use crate::shared::Ctx;
use crate::signed_instance;
use crate::tokens;
use crate::world::{Instance, TokenKind, World};

/// Authenticates a call: returns the instance of the token in `Authorization`.
pub(super) fn caller<'a>(world: &'a World, headers: &HeaderMap, now_ms: i64) -> Result<&'a Instance, WixError> {
    let sent =
        headers.get(AUTHORIZATION).ok_or_else(|| WixError::unauthenticated("the Authorization header is missing"))?;
    let sent = sent.to_str().map_err(|_| WixError::unauthenticated("the Authorization header must be ASCII"))?;
    let token = tokens::bare(sent);
    let bearer = token.len() != sent.trim().len();
    let accepted =
        if bearer { world.switches.accept_bearer_authorization } else { world.switches.accept_raw_authorization };
    if !accepted {
        return Err(WixError::unauthenticated("this form of the Authorization header is not accepted"));
    }
    if signed_instance::verify(&world.app.secret, token).is_some() {
        return Err(WixError::rest(400, "INVALID_ARGUMENT", "Unexpected value for StringValue"));
    }
    let known = world.tokens.get(token).filter(|token| token.live(now_ms) && token.kind != TokenKind::LegacyRefresh);
    known
        .and_then(|token| world.instances.get(&token.instance_id))
        .ok_or_else(|| WixError::unauthenticated("the token is unknown, expired or revoked"))
}

/// `GET /apps/v1/instance`.
pub(super) async fn app_instance(State(ctx): State<Ctx>, headers: HeaderMap) -> Result<Json<Value>, WixError> {
    let now_ms = ctx.clock.now_ms();
    ctx.read(|world| {
        let instance = caller(world, &headers, now_ms)?;
        if !world.switches.permission_manage_app_instance {
            return Err(WixError::rest(403, "PERMISSION_DENIED", "the app lacks the permission to read its instance"));
        }
        let instance = &instance.at(now_ms);
        Ok(Json(json!({"instance": instance_part(world, instance), "site": site_part(world, instance)})))
    })
}

fn instance_part(world: &World, instance: &Instance) -> Value {
    let mut part = json!({
        "instanceId": instance.instance_id,
        "appName": world.app.name,
        "appVersion": format!("{}.0.0", instance.major_version),
        "isFree": instance.plan.is_none(),
        "permissions": ["WIX_DEVELOPERS.MANAGE_APP_INSTANCE", "WIX_DEVELOPERS.SEND_BI_EVENTS"],
        "availablePlans": [],
        "copiedFromTemplate": false,
        "freeTrialAvailable": false,
    });
    let Some(fields) = part.as_object_mut() else { return part };
    if let Some(origin) = &instance.origin_instance_id {
        fields.insert("originInstanceId".to_owned(), origin.clone().into());
    }
    if let Some(plan) = &instance.plan {
        let mut billing = Map::new();
        let mut set = |name: &str, value: Value| billing.insert(name.to_owned(), value);
        set("packageName", plan.vendor_product_id.clone().into());
        set("billingCycle", plan.cycle.clone().into());
        set("timeStamp", plan.time_stamp.clone().into());
        set("autoRenewing", plan.auto_renewing.into());
        if let Some(end) = plan.expires_on.as_ref().filter(|_| plan.shows_end()) {
            set("expirationDate", end.clone().into());
        }
        if let Some(invoice) = &plan.invoice_id {
            set("invoiceId", invoice.clone().into());
        }
        set(
            "freeTrialInfo",
            match &plan.trial_ends_on {
                Some(end) => json!({"status": "IN_PROGRESS", "endDate": end}),
                None => json!({"status": "NOT_AVAILABLE"}),
            },
        );
        fields.insert("billing".to_owned(), billing.into());
    }
    part
}

fn site_part(world: &World, instance: &Instance) -> Value {
    let Some(site) = world.sites.get(&instance.site_id) else { return json!({}) };
    json!({
        "siteId": site.site_id,
        "siteDisplayName": site.name,
        "url": site.url,
        "locale": site.locale,
        "paymentCurrency": site.currency,
        "multilingual": {"isMultiLingual": false, "supportedLanguages": []},
        "installedWixApps": [],
        "ownerInfo": {"email": site.owner_email, "emailStatus": "VERIFIED_OPT_IN"},
    })
}

/// `POST /stores/v1/products/query`: one product, whose name tells the site. An app without the permission to read products
/// gets another answer from Wix.
pub(super) async fn products(State(ctx): State<Ctx>, headers: HeaderMap) -> Result<Json<Value>, WixError> {
    let now_ms = ctx.clock.now_ms();
    ctx.read(|world| {
        let instance = caller(world, &headers, now_ms)?;
        let name = world.sites.get(&instance.site_id).map_or("", |site| site.name.as_str());
        let product = json!({"id": instance.site_id, "name": format!("Mug of {name}"), "visible": true});
        Ok(Json(json!({"products": [product], "metadata": {"items": 1, "offset": 0}, "totalResults": 1})))
    })
}

/// All paths that are not simulated: 401 without a live token; with one, 404 or a description of the call.
pub(super) async fn other(
    State(ctx): State<Ctx>,
    method: Method,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, WixError> {
    let now_ms = ctx.clock.now_ms();
    ctx.read(|world| {
        let instance = caller(world, &headers, now_ms)?;
        if !world.switches.echo_other_paths {
            return Err(WixError::rest(404, "NOT_FOUND", "the simulator does not have this endpoint"));
        }
        let shown: Map<String, Value> = headers
            .iter()
            .filter(|(name, _)| **name != AUTHORIZATION)
            .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into()))
            .collect();
        Ok(Json(json!({
            "method": method.as_str(),
            "path": uri.path(),
            "query": uri.query(),
            "headers": shown,
            "instanceId": instance.instance_id,
            "bodyLength": body.len(),
            "bodySha256": ids::sha256_hex(&body),
        })))
    })
}
