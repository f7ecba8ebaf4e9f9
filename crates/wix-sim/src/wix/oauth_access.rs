//! `POST /oauth/access`: custom authentication's code exchange and refresh (section 2).

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use serde_json::{Map, Value, json};

use super::error::WixError;
use super::oauth2_token::{check_app, check_secret, invalid};
use crate::fields::{self, text};
use crate::shared::{Ctx, Shared};
use crate::tokens;
use crate::world::{TokenKind, World};

/// The names of the fields in both cases.
const CAMEL: [(&str, &str); 4] = [
    ("grant_type", "grantType"),
    ("client_id", "clientId"),
    ("client_secret", "clientSecret"),
    ("refresh_token", "refreshToken"),
];

/// Handles a token request.
pub(super) async fn handle(State(ctx): State<Ctx>, headers: HeaderMap, body: Bytes) -> Result<Json<Value>, WixError> {
    let now_ms = ctx.clock.now_ms();
    if fields::is_form(&headers) {
        return Err(invalid("the body must be JSON"));
    }
    let mut fields = fields::read(&headers, &body).ok_or_else(|| invalid("the body must be a JSON object"))?;
    ctx.change(|world| {
        if world.switches.accept_camel_case {
            for (snake, camel) in CAMEL {
                if let Some(value) = fields.remove(camel) {
                    fields.entry(snake).or_insert(value);
                }
            }
        }
        let grant = text(&fields, "grant_type").ok_or_else(|| invalid("grant_type is missing"))?;
        check_app(world, text(&fields, "client_id").ok_or_else(|| invalid("client_id is missing"))?)?;
        check_secret(world, text(&fields, "client_secret").ok_or_else(|| invalid("client_secret is missing"))?)?;
        match grant {
            "authorization_code" => exchange(&ctx, world, &fields, now_ms),
            "refresh_token" => refresh(&ctx, world, &fields, now_ms),
            _ => Err(WixError::oauth(
                400,
                "unsupported_grant_type",
                "grant_type must be authorization_code or refresh_token",
            )),
        }
    })
}

/// Exchanges a code. A code is valid once, and expires.
fn exchange(
    shared: &Shared,
    world: &mut World,
    fields: &Map<String, Value>,
    now_ms: i64,
) -> Result<Json<Value>, WixError> {
    let code = text(fields, "code").ok_or_else(|| invalid("code is missing"))?;
    let life_ms = i64::from(world.switches.code_life_seconds) * 1000;
    let status = world.switches.bad_code_status;
    let refused = |reason: &str| WixError::oauth(status, "invalid_grant", reason);
    let known = world.codes.get_mut(code).ok_or_else(|| refused("the code is unknown"))?;
    if known.used {
        return Err(refused("the code was already used"));
    }
    if now_ms - known.issued_at_ms >= life_ms {
        return Err(refused("the code has expired"));
    }
    known.used = true;
    let instance_id = known.instance_id.clone();
    if !world.installed(&instance_id) {
        return Err(refused("the app was removed"));
    }
    let refresh = tokens::mint(shared, world, TokenKind::LegacyRefresh, &instance_id, now_ms);
    let access = tokens::mint(shared, world, TokenKind::LegacyAccess, &instance_id, now_ms);
    Ok(Json(json!({"refresh_token": refresh, "access_token": access})))
}

/// Refreshes an access token. Returns the same refresh token, or a new one if the switch rotates them.
fn refresh(
    shared: &Shared,
    world: &mut World,
    fields: &Map<String, Value>,
    now_ms: i64,
) -> Result<Json<Value>, WixError> {
    let sent = text(fields, "refresh_token").ok_or_else(|| invalid("refresh_token is missing"))?.to_owned();
    let status = world.switches.bad_refresh_status;
    let rotate = world.switches.rotate_refresh_tokens;
    let known =
        world.tokens.get_mut(&sent).filter(|token| token.kind == TokenKind::LegacyRefresh && token.live(now_ms));
    let Some(known) = known else {
        return Err(WixError::oauth(status, "invalid_grant", "the refresh token is unknown, expired or revoked"));
    };
    known.revoked = rotate;
    let instance_id = known.instance_id.clone();
    let refresh =
        if rotate { tokens::mint(shared, world, TokenKind::LegacyRefresh, &instance_id, now_ms) } else { sent };
    let access = tokens::mint(shared, world, TokenKind::LegacyAccess, &instance_id, now_ms);
    Ok(Json(json!({"refresh_token": refresh, "access_token": access})))
}
