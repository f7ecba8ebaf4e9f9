//! Tokens in Wix's format: a JWS with the prefix `OauthNG.JWS.` or `OAUTH2.`, and the claims of sections 1.3 and 2.3.

use serde::Serialize;

use crate::ids;
use crate::jws;
use crate::shared::Shared;
use crate::world::{Site, Token, TokenKind, World};

/// The lifetime in the claim `exp` of Wix's refresh tokens, in seconds (section 2.2).
const REFRESH_TOKEN_EXP: i64 = 63_072_000;

#[derive(Serialize)]
struct Claims<'a> {
    data: &'a str,
    iat: i64,
    exp: i64,
}

/// The content of a client-credentials token, with its fields in the order of section 1.3.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct InstanceClaim<'a> {
    instance_id: &'a str,
    app_def_id: &'a str,
    sign_date: String,
    uid: Option<&'a str>,
    permissions: &'a str,
    demo_mode: bool,
    bi_token: String,
    site_owner_id: &'a str,
    site_member_id: Option<&'a str>,
    meta_site_id: &'a str,
    expiration_date: String,
    has_user_role: bool,
    aor: bool,
}

/// Mints a token for an instance and stores it.
pub(crate) fn mint(shared: &Shared, world: &mut World, kind: TokenKind, instance_id: &str, now_ms: i64) -> String {
    let switches = &world.switches;
    let life = match kind {
        TokenKind::ClientCredentials => Some(i64::from(switches.token_life_seconds)),
        TokenKind::LegacyAccess => Some(i64::from(switches.legacy_token_life_seconds)),
        TokenKind::LegacyRefresh => Some(i64::from(switches.refresh_token_life_seconds)).filter(|seconds| *seconds > 0),
    };
    let iat = now_ms.div_euclid(1000);
    let exp = iat + life.unwrap_or(REFRESH_TOKEN_EXP);
    let (prefix, data) = match kind {
        TokenKind::ClientCredentials => ("OauthNG.JWS", instance_data(world, instance_id, now_ms, exp * 1000)),
        TokenKind::LegacyAccess => ("OAUTH2", legacy_data(world, instance_id)),
        TokenKind::LegacyRefresh => ("OAUTH2", serde_json::json!({ "id": ids::guid() }).to_string()),
    };
    let claims = serde_json::to_string(&Claims { data: &data, iat, exp }).unwrap_or_default();
    let token = format!("{prefix}.{}", jws::hs256(&shared.token_key, &shared.token_kid, &claims));
    let record = Token {
        kind,
        instance_id: instance_id.to_owned(),
        issued_at_ms: now_ms,
        expires_at_ms: life.map(|seconds| now_ms + seconds * 1000),
        revoked: false,
    };
    prune(world, now_ms);
    world.tokens.insert(token.clone(), record);
    token
}

/// Drops expired and revoked tokens when more than 10,000 are stored.
fn prune(world: &mut World, now_ms: i64) {
    if world.tokens.len() > 10_000 {
        world.tokens.retain(|_, token| token.live(now_ms));
    }
}

fn instance_data(world: &World, instance_id: &str, now_ms: i64, exp_ms: i64) -> String {
    let site = site_of(world, instance_id);
    let owner = site.map_or("", |site| site.owner_id.as_str());
    let claim = InstanceClaim {
        instance_id,
        app_def_id: &world.app.app_id,
        sign_date: ids::iso(now_ms),
        uid: None,
        permissions: "",
        demo_mode: false,
        bi_token: padding(world),
        site_owner_id: owner,
        site_member_id: None,
        meta_site_id: site.map_or("", |site| site.site_id.as_str()),
        expiration_date: ids::iso(exp_ms),
        has_user_role: false,
        aor: false,
    };
    format!(r#"{{"instance":{}}}"#, serde_json::to_string(&claim).unwrap_or_default())
}

fn legacy_data(world: &World, instance_id: &str) -> String {
    serde_json::json!({
        "appId": world.app.app_id,
        "instanceId": instance_id,
        "scope": ["WIX_DEVELOPERS.MANAGE_APP_INSTANCE", "WIX_DEVELOPERS.SEND_BI_EVENTS"],
        "id": padding(world),
    })
    .to_string()
}

/// A unique value, with `token_extra_bytes` more bytes. It makes every token different.
fn padding(world: &World) -> String {
    format!("{}{}", ids::guid(), "x".repeat(usize::from(world.switches.token_extra_bytes)))
}

pub(crate) fn site_of<'a>(world: &'a World, instance_id: &str) -> Option<&'a Site> {
    world.instances.get(instance_id).and_then(|instance| world.sites.get(&instance.site_id))
}

/// The token of an `Authorization` value, with or without `Bearer`.
pub(crate) fn bare(authorization: &str) -> &str {
    let text = authorization.trim();
    match text.get(..7) {
        Some(scheme) if scheme.eq_ignore_ascii_case("bearer ") => text.get(7..).unwrap_or_default().trim(),
        _ => text,
    }
}

/// Revokes the tokens of a removed app, as the switches `removal_kills_…` select.
pub(crate) fn revoke(world: &mut World, instance_id: &str) {
    let (access, refresh) = (world.switches.removal_kills_access_tokens, world.switches.removal_kills_refresh_token);
    for token in world.tokens.values_mut().filter(|token| token.instance_id == instance_id) {
        token.revoked |= if token.kind == TokenKind::LegacyRefresh { refresh } else { access };
    }
}
