//! `POST /oauth2/token`: the grants `client_credentials` and `strip_bound_session` (sections 1.1 and 1.2).

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use serde_json::{Map, Value, json};

use super::error::WixError;
use crate::fields::{self, text};
use crate::ids;
use crate::shared::{Ctx, Shared};
use crate::tokens;
use crate::world::{TokenKind, World};

/// Handles a token request.
pub(super) async fn handle(State(ctx): State<Ctx>, headers: HeaderMap, body: Bytes) -> Result<Json<Value>, WixError> {
    let now_ms = ctx.clock.now_ms();
    ctx.change(|world| {
        if fields::is_form(&headers) && !world.switches.token_accept_form {
            return Err(invalid("the body must be JSON"));
        }
        let fields = fields::read(&headers, &body).ok_or_else(|| invalid("the body must be a JSON object"))?;
        match text(&fields, "grant_type") {
            Some("client_credentials") => client_credentials(&ctx, world, &fields, now_ms),
            Some("strip_bound_session") => strip_bound_session(&ctx, world, &fields, now_ms),
            Some(other) => Err(WixError::oauth(
                400,
                "unsupported_grant_type",
                &format!(
                    "grant_type must be client_credentials or strip_bound_session; it is {:?}",
                    other.chars().take(60).collect::<String>()
                ),
            )),
            None => Err(invalid("grant_type is missing")),
        }
    })
}

fn client_credentials(
    shared: &Shared,
    world: &mut World,
    fields: &Map<String, Value>,
    now_ms: i64,
) -> Result<Json<Value>, WixError> {
    check_app(world, text(fields, "client_id").ok_or_else(|| invalid("client_id is missing"))?)?;
    check_secret(world, text(fields, "client_secret").ok_or_else(|| invalid("client_secret is missing"))?)?;
    let instance_id =
        text(fields, "instance_id").ok_or_else(|| invalid("instance_id is missing"))?.to_ascii_lowercase();
    if !ids::is_guid(&instance_id) {
        return Err(invalid("instance_id must be a GUID"));
    }
    if instance_id == ids::NIL || !world.instances.contains_key(&instance_id) {
        return Err(not_found(world, world.switches.unknown_instance_status));
    }
    if !world.installed(&instance_id) {
        return Err(not_found(world, world.switches.removed_instance_status));
    }
    let token = tokens::mint(shared, world, TokenKind::ClientCredentials, &instance_id, now_ms);
    Ok(Json(json!({
        "access_token": token,
        "token_type": "Bearer",
        "expires_in": world.switches.token_life_seconds,
    })))
}

/// Exchanges a token that is bound to a front end for an unbound one. The simulator mints unbound tokens only.
fn strip_bound_session(
    shared: &Shared,
    world: &mut World,
    fields: &Map<String, Value>,
    now_ms: i64,
) -> Result<Json<Value>, WixError> {
    check_secret(world, text(fields, "client_secret").ok_or_else(|| invalid("client_secret is missing"))?)?;
    let bound = text(fields, "access_token").ok_or_else(|| invalid("access_token is missing"))?;
    let known = world.tokens.get(bound).filter(|token| token.live(now_ms) && token.kind != TokenKind::LegacyRefresh);
    let instance_id = known
        .map(|token| token.instance_id.clone())
        .ok_or_else(|| WixError::oauth(400, "invalid_grant", "the access token is unknown or expired"))?;
    let token = tokens::mint(shared, world, TokenKind::ClientCredentials, &instance_id, now_ms);
    Ok(Json(json!({"access_token": token, "expires_in": world.switches.token_life_seconds})))
}

/// Rejects the id of another app.
pub(super) fn check_app(world: &World, client_id: &str) -> Result<(), WixError> {
    if client_id.eq_ignore_ascii_case(&world.app.app_id) {
        return Ok(());
    }
    Err(WixError::oauth(world.switches.unknown_app_status, "invalid_client", "client_id must be the app's id"))
}

/// Rejects a secret that is neither the current nor the previous one.
pub(super) fn check_secret(world: &World, secret: &str) -> Result<(), WixError> {
    if secret == world.app.secret || world.app.previous_secret.as_deref() == Some(secret) {
        return Ok(());
    }
    Err(WixError::oauth(world.switches.bad_secret_status, "invalid_client", "the client_secret is wrong"))
}

fn not_found(world: &World, status: u16) -> WixError {
    let description = "app not found in any meta-site";
    if world.switches.missing_instance_rest_error {
        WixError::rest(status, "NOT_FOUND", description)
    } else {
        WixError::oauth(status, "not_found", description)
    }
}

/// The response of a token endpoint to a method other than POST.
pub(super) async fn wrong_method() -> WixError {
    WixError::oauth(405, "invalid_request", "the method must be POST")
}

pub(super) fn invalid(description: &str) -> WixError {
    WixError::oauth(400, "invalid_request", description)
}
