//! `GET /v1/export`: all installations as NDJSON, page by page.

use serde::Serialize;

use super::instances::cursor_of;
use crate::store::StoreError;
use crate::web::{Call, Error, Outcome, Platform, Reply};

/// The last line of a page, if there is another page.
#[derive(Serialize)]
pub struct ExportEnd {
    /// The cursor of the next page.
    next_cursor: String,
}

/// `GET /v1/export?cursor=`
pub async fn export<P: Platform>(call: Call<'_, P>) -> Result<Outcome<P>, Error> {
    let cursor = cursor_of(&call.request)?;
    let (instances, next_cursor) = call.cx.store().export(cursor.as_deref()).await?;
    let instances = instances.into_iter().map(|instance| instance.valid_at(call.cx.now()));
    let mut lines = instances
        .map(|instance| serde_json::to_string(&instance))
        .collect::<Result<Vec<_>, _>>()
        .map_err(StoreError::from)?;
    if let Some(next_cursor) = next_cursor {
        lines.push(serde_json::to_string(&ExportEnd { next_cursor }).map_err(StoreError::from)?);
    }
    Ok(Reply::ndjson(&lines).into())
}
