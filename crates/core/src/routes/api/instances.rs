//! `GET /v1/instances` and `GET /v1/instances/{id}`: the installations.

use http::StatusCode;
use serde::Serialize;

use crate::facts::{Corrected, Instance, Status};
use crate::instances::{self, InstanceError, checked};
use crate::store::{ListRequest, Repaired};
use crate::web::{Call, Error, Outcome, Platform, Reply, Request};

/// The cursor is malformed.
pub const CURSOR: Error = Error::BadRequest("cursor", "it must be the next_cursor of an earlier page");
/// The longest cursor, in bytes.
pub const CURSOR_LIMIT: usize = 1024;
/// How many instances a page may hold.
pub const PAGE_LIMIT: std::ops::RangeInclusive<u16> = 1..=1000;
/// How many instances a page holds by default.
pub const PAGE_DEFAULT: u16 = 100;
/// The longest beginning of an instance id, in characters.
pub const SEARCH_LIMIT: usize = 36;

/// A page of installations. With a filter by status, up to 10,000 installations are searched for a page: it may hold fewer
/// instances than its limit, or none, without being the last.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "InstancePage"))]
pub struct InstancePage {
    /// The instances of this page.
    instances: Vec<Instance>,
    /// The cursor of the next page. Absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// The parameters `cursor` and `limit` of a page.
pub fn page_of<B>(request: &Request<B>) -> Result<(Option<String>, u16), Error> {
    let limit = request.number("limit", PAGE_LIMIT, "it must be a whole number from 1 to 1000")?;
    Ok((cursor_of(request)?, limit.unwrap_or(PAGE_DEFAULT)))
}

/// The parameter `cursor` of a page.
pub fn cursor_of<B>(request: &Request<B>) -> Result<Option<String>, Error> {
    let cursor = request.parameter("cursor")?;
    if cursor.as_ref().is_some_and(|cursor| {
        cursor.is_empty() || cursor.len() > CURSOR_LIMIT || !cursor.bytes().all(|byte| byte.is_ascii_graphic())
    }) {
        return Err(CURSOR);
    }
    Ok(cursor)
}

/// The parameter `search`: how the instance ids begin, in the form in which they are stored.
fn search_of<B>(request: &Request<B>) -> Result<String, Error> {
    let search = request.parameter("search")?.unwrap_or_default();
    let is_beginning = |byte: u8| byte.is_ascii_hexdigit() || byte == b'-';
    if search.len() > SEARCH_LIMIT || !search.bytes().all(is_beginning) {
        return Err(Error::BadRequest("search", "it must be at most 36 hexadecimal digits and hyphens"));
    }
    Ok(search.to_ascii_lowercase())
}

/// `GET /v1/instances?search=&status=&cursor=&limit=`
pub async fn list<P: Platform>(call: Call<'_, P>) -> Result<Outcome<P>, Error> {
    let request = &call.request;
    let (cursor, limit) = page_of(request)?;
    let status: Option<Status> =
        match request.parameter("status")? {
            None => None,
            Some(text) => Some(serde_json::from_value(text.into()).map_err(|_| {
                Error::BadRequest("status", "it must be installed, pending, needs_reconnect or removed")
            })?),
        };
    let search = search_of(request)?;
    let request = ListRequest { search: &search, status, cursor: cursor.as_deref(), limit };
    let (instances, next_cursor) = call.cx.store().list(request).await?;
    Ok(Reply::json(StatusCode::OK, &InstancePage { instances, next_cursor }).into())
}

/// `DELETE /v1/instances/{id}`
pub async fn erase<P: Platform>(call: Call<'_, P>) -> Result<Outcome<P>, Error> {
    let id = call.instance_id()?;
    instances::erase(&call.cx, &id).await?;
    Ok(Reply::empty(StatusCode::NO_CONTENT).into())
}

/// `GET /v1/instances/{id}`
pub async fn get<P: Platform>(call: Call<'_, P>) -> Result<Outcome<P>, Error> {
    let id = call.instance_id()?;
    let instance = call.cx.store().instance(&id).await?.ok_or(InstanceError::Unknown)?;
    let mut instance = instance.valid_at(call.cx.now());
    let checked = checked(&call.cx, &id).await;
    if let Some(at) = checked.checked_at {
        instance.billing.get_or_insert_default().checked_at = Some(at);
    }
    instance.corrected = checked.corrected_at.zip(checked.corrected).map(|(at, repaired)| {
        let Repaired { installed, removed, plan } = repaired;
        Corrected { at, installed, removed, plan }
    });
    Ok(Reply::json(StatusCode::OK, &instance).into())
}
