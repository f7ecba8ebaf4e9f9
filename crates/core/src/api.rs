//! The app API, for the app's own back end: who asks, and the handlers (contract 3).

use http::StatusCode;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::App;
use crate::api_key::Scope;
use crate::error::Error;
use crate::finish;
use crate::id::InstanceId;
use crate::json;
use crate::platform::Platform;
use crate::record::{Instance, Status};
use crate::reply::Reply;
use crate::request::Request;
use crate::time::Timestamp;
use crate::token;

/// The largest body taken, in bytes: there is not much to say.
const BODY_LIMIT: usize = 16 * 1024;
/// The longest cursor, in bytes.
pub const CURSOR_LIMIT: usize = 1024;
/// How many instances a page may be asked to hold, and how many it holds unasked.
pub const PAGE_LIMIT: std::ops::RangeInclusive<u16> = 1..=1000;
/// See [`PAGE_LIMIT`].
pub const PAGE_DEFAULT: u16 = 100;
const BODY: Error = Error::BadRequest("body", "it must be empty, or JSON of the form {\"force\":true}");

/// Lets a caller in whose key is known and has the scope.
pub fn authorize<P: Platform>(app: &App<P>, inbound: &P::Inbound, scope: Scope) -> Result<(), Error> {
    let header = app.platform.header(inbound, "authorization").ok_or(Error::Unauthorized)?;
    let (scheme, key) = header.split_once(' ').ok_or(Error::Unauthorized)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Error::Unauthorized);
    }
    // Between the two there may be several spaces (RFC 9110, 11.4). Keys are printable ASCII: an empty one is nobody's.
    let key = key.trim_start_matches(' ');
    if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Error::Unauthorized);
    }
    let hash: [u8; 32] = Sha256::digest(key).into();
    // Every key is compared, so that the time does not tell which one fits.
    let known =
        app.config().api_keys.iter().fold(None, |found, known| if known.has_hash(&hash) { Some(known) } else { found });
    let known = known.ok_or(Error::Unauthorized)?;
    app.trace.client(&known.client);
    if known.allows(scope) { Ok(()) } else { Err(Error::Forbidden(scope)) }
}

/// An instance id in a path.
pub fn instance_id<P: Platform>(app: &App<P>, segment: &str) -> Result<InstanceId, Error> {
    let id = InstanceId::parse(segment).map_err(|_| Error::BadRequest("instance id", "it must be a GUID"))?;
    app.trace.instance(&id);
    Ok(id)
}

/// How the token is to be had.
#[derive(Deserialize, Default)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct TokenRequest {
    /// `true` makes a new token, for use after Wix took one no longer.
    #[serde(default)]
    force: Option<bool>,
}

/// A token with life left: 24 minutes or more of a four-hour one, a minute of a five-minute one.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "Token"))]
pub struct TokenAnswer<'a> {
    /// Goes to Wix as it is, `Authorization: <token>`, without `Bearer`.
    access_token: &'a str,
    /// `Bearer`, as OAuth names it.
    token_type: &'static str,
    /// When it ends, in Unix seconds.
    expires_at: Timestamp,
}

/// `POST /v1/instances/{id}/token`
pub async fn token<P: Platform>(app: &App<P>, id: &InstanceId, inbound: P::Inbound) -> Result<Reply, Error> {
    let body = app.platform.body(inbound, BODY_LIMIT).await.map_err(|error| Error::body(error, BODY_LIMIT))?;
    let wanted: TokenRequest = match body.trim_ascii() {
        b"" => TokenRequest::default(),
        body => json::object(body).map_err(|_| BODY)?,
    };
    let token = token::fresh(app, id, wanted.force.unwrap_or(false)).await?;
    Ok(Reply::json(
        StatusCode::OK,
        &TokenAnswer { access_token: token.access_token.expose(), token_type: "Bearer", expires_at: token.expires_at },
    ))
}

/// A page of the list. Asked for by status it may hold fewer instances than its limit, or none, and not be the last.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "InstancePage"))]
pub struct ListAnswer {
    /// The instances of this page.
    instances: Vec<Instance>,
    /// Gives the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// `GET /v1/instances?status=&cursor=&limit=`. With `status`, a page may hold fewer than `limit`, or none.
pub async fn list<P: Platform>(app: &App<P>, request: &Request<P::Inbound>) -> Result<Reply, Error> {
    let limit = match request.parameter("limit")? {
        None => PAGE_DEFAULT,
        Some(text) => text
            .parse()
            .ok()
            .filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))
            .filter(|limit| PAGE_LIMIT.contains(limit))
            .ok_or(Error::BadRequest("limit", "it must be a whole number from 1 to 1000"))?,
    };
    let status: Option<Status> =
        match request.parameter("status")? {
            None => None,
            Some(text) => Some(serde_json::from_value(text.into()).map_err(|_| {
                Error::BadRequest("status", "it must be installed, pending, needs_reconnect or removed")
            })?),
        };
    let cursor = request.parameter("cursor")?;
    if cursor.as_ref().is_some_and(|cursor| {
        cursor.is_empty() || cursor.len() > CURSOR_LIMIT || !cursor.bytes().all(|byte| byte.is_ascii_graphic())
    }) {
        return Err(Error::BadRequest("cursor", "it must be the next_cursor of an earlier page"));
    }
    let (mut instances, next_cursor) = app.kv().list(cursor.as_deref(), limit).await?;
    instances.retain(|instance| status.is_none_or(|status| instance.status == status));
    Ok(Reply::json(StatusCode::OK, &ListAnswer { instances, next_cursor }))
}

/// `GET /v1/instances/{id}`
pub async fn get<P: Platform>(app: &App<P>, id: &InstanceId) -> Result<Reply, Error> {
    let instance = app.kv().instance(id).await?.ok_or(Error::UnknownInstance)?;
    Ok(Reply::json(StatusCode::OK, &instance))
}

/// The app is set up, and Wix knows.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "FinishedConfiguration"))]
pub struct FinishAnswer<'a> {
    /// The instance.
    instance_id: &'a InstanceId,
    /// When `APP_FINISHED_CONFIGURATION` was sent for the present installation, in Unix seconds.
    configured_at: Timestamp,
}

/// `POST /v1/instances/{id}/finish-configuration`
pub async fn finish_configuration<P: Platform>(app: &App<P>, id: &InstanceId) -> Result<Reply, Error> {
    let configured_at = finish::finish_configuration(app, id).await?;
    Ok(Reply::json(StatusCode::OK, &FinishAnswer { instance_id: id, configured_at }))
}

#[cfg(test)]
#[path = "api_tests.rs"]
mod tests;
