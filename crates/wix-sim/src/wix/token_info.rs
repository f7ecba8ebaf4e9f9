//! `POST /oauth2/token-info`: introspects access tokens, refresh tokens and signed `instance` values (section 1.5).

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use serde_json::{Value, json};

use super::error::WixError;
use super::oauth2_token::invalid;
use crate::fields::{self, text};
use crate::shared::Ctx;
use crate::signed_instance;
use crate::tokens;
use crate::world::World;

/// The properties of a live token.
struct Info {
    subject_type: &'static str,
    subject_id: String,
    iat: i64,
    exp: i64,
    client_id: String,
    site_id: String,
    instance_id: String,
    account_id: String,
    vendor_product_id: Option<String>,
}

/// Introspects the token in the body.
pub(super) async fn handle(State(ctx): State<Ctx>, headers: HeaderMap, body: Bytes) -> Result<Json<Value>, WixError> {
    let now_ms = ctx.clock.now_ms();
    let fields = fields::read(&headers, &body).ok_or_else(|| invalid("the body must be a JSON object"))?;
    let token = text(&fields, "token").ok_or_else(|| invalid("token is missing"))?;
    let token = tokens::bare(token);
    ctx.read(|world| {
        let info = of_token(world, token, now_ms).or_else(|| of_instance_value(world, token, now_ms));
        let switches = &world.switches;
        match info {
            Some(info) => Ok(Json(to_json(&info, switches.token_info_strings, switches.token_info_account_id))),
            None if switches.token_info_unknown_status == 200 => {
                Ok(Json(json!({"active": if switches.token_info_strings { json!("false") } else { json!(false) }})))
            }
            None => Err(WixError::oauth(
                switches.token_info_unknown_status,
                "invalid_token",
                "the token is unknown or expired",
            )),
        }
    })
}

fn of_token(world: &World, token: &str, now_ms: i64) -> Option<Info> {
    let known = world.tokens.get(token).filter(|token| token.live(now_ms))?;
    let site = tokens::site_of(world, &known.instance_id)?;
    Some(Info {
        subject_type: "APP",
        subject_id: world.app.app_id.clone(),
        iat: known.issued_at_ms.div_euclid(1000),
        exp: known.expires_at_ms.unwrap_or(known.issued_at_ms + 63_072_000_000).div_euclid(1000),
        client_id: world.app.app_id.clone(),
        site_id: site.site_id.clone(),
        instance_id: known.instance_id.clone(),
        account_id: site.account_id.clone(),
        vendor_product_id: plan_of(world, &known.instance_id, now_ms),
    })
}

/// An `instance` value is live while its signature is valid, it has not expired, and the app is installed.
fn of_instance_value(world: &World, value: &str, now_ms: i64) -> Option<Info> {
    let signed = signed_instance::verify(&world.app.secret, value)?;
    let (signed_at_ms, ends_at_ms) = (signed.signed_at_ms()?, signed.ends_at_ms()?);
    if now_ms >= ends_at_ms || !world.installed(&signed.instance_id) {
        return None;
    }
    let site = tokens::site_of(world, &signed.instance_id)?;
    let (subject_type, subject_id) = match (signed.uid, signed.aid) {
        (Some(user), None) => ("USER", user),
        (_, Some(visitor)) => ("VISITOR", visitor),
        (None, None) => ("UNKNOWN", String::new()),
    };
    Some(Info {
        subject_type,
        subject_id,
        iat: signed_at_ms.div_euclid(1000),
        exp: ends_at_ms.div_euclid(1000),
        client_id: signed.app_def_id.unwrap_or_else(|| world.app.app_id.clone()),
        site_id: signed.meta_site_id.unwrap_or_else(|| site.site_id.clone()),
        vendor_product_id: plan_of(world, &signed.instance_id, now_ms),
        instance_id: signed.instance_id,
        account_id: site.account_id.clone(),
    })
}

/// The plan that the site has now.
fn plan_of(world: &World, instance_id: &str, now_ms: i64) -> Option<String> {
    world.instances.get(instance_id)?.at(now_ms).plan.map(|plan| plan.vendor_product_id)
}

fn to_json(info: &Info, strings: bool, account: bool) -> Value {
    let moment = |seconds: i64| if strings { json!(seconds.to_string()) } else { json!(seconds) };
    let mut response = json!({
        "active": if strings { json!("true") } else { json!(true) },
        "subjectType": info.subject_type,
        "subjectId": info.subject_id,
        "exp": moment(info.exp),
        "iat": moment(info.iat),
        "clientId": info.client_id,
        "siteId": info.site_id,
        "instanceId": info.instance_id,
    });
    if let (true, Some(fields)) = (account, response.as_object_mut()) {
        fields.insert("accountId".to_owned(), info.account_id.clone().into());
    }
    if let (Some(plan), Some(fields)) = (&info.vendor_product_id, response.as_object_mut()) {
        fields.insert("vendorProductId".to_owned(), plan.clone().into());
    }
    response
}
