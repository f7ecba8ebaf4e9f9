//! The list of instances, page by page.

use futures::future::try_join_all;

use super::{KvKey, KvNamespace, Store, StoreError, keys};
use crate::crypto::Crypto;
use crate::facts::{Instance, Status};
use crate::runtime::{Clock, Entropy};
use crate::values::InstanceId;

/// How many rows of a page are read because their metadata cannot be parsed. An invocation may use 1,000 operations.
const ROWS_READ: usize = 100;
/// How many keys KV lists in one operation.
const KEYS: u16 = 1000;
/// How many operations one page of instances with a status may cost.
const LISTINGS: usize = 10;
/// How a cursor begins that continues within a page of KV: the last id, a colon and KV's cursor of that page follow.
const WITHIN: &str = "after:";

/// Which instances are listed.
pub struct ListRequest<'a> {
    /// How their ids begin.
    pub search: &'a str,
    /// Their status.
    pub status: Option<Status>,
    /// Where the page begins.
    pub cursor: Option<&'a str>,
    /// How many the page may have.
    pub limit: u16,
}

/// A page of instances, and the cursor of the next one.
type Page = (Vec<Instance>, Option<String>);

impl<P: KvNamespace + Clock + Crypto + Entropy> Store<'_, P> {
    /// One page of instances.
    ///
    /// A status may be rare, and KV cannot filter: several listings are searched for it, so that few pages are empty.
    pub async fn list(&self, request: ListRequest<'_>) -> Result<Page, StoreError> {
        let ListRequest { search, status, cursor, limit } = request;
        let prefix = [keys::ROWS, search].concat();
        let (keys_listed, listings) = if status.is_some() { (KEYS, LISTINGS) } else { (limit, 1) };
        let limit = usize::from(limit);
        let (mut after, mut cursor) = match cursor.and_then(within) {
            Some((after, cursor)) => (Some(after), cursor),
            None => (None, cursor.map(str::to_owned)),
        };
        let mut found = Vec::new();
        for _ in 0..listings {
            let page = self.within(self.platform.kv_list(&prefix, cursor.as_deref(), keys_listed)).await?;
            let (mut listed, after) = (page.keys, after.take());
            listed.retain(|key| after.as_ref().is_none_or(|after| key.name > *after) && may_have(key, status));
            let mut instances = self.instances(&listed).await?;
            instances.retain(|instance| status.is_none_or(|status| instance.status == status));
            found.append(&mut instances);
            if found.len() > limit {
                found.truncate(limit);
                let last = found.last().map_or("", |instance| instance.instance_id.as_str());
                let cursor = [WITHIN, last, ":", &cursor.unwrap_or_default()].concat();
                return Ok((found, Some(cursor)));
            }
            cursor = page.cursor;
            if cursor.is_none() || found.len() == limit {
                break;
            }
        }
        Ok((found, cursor))
    }

    /// The instances of listed rows, from their metadata. A row whose metadata cannot be parsed is read; if it cannot be read
    /// either, it is left out.
    async fn instances(&self, listed: &[KvKey]) -> Result<Vec<Instance>, StoreError> {
        let mut rows: Vec<Option<Instance>> =
            listed.iter().map(|key| Some(parse_metadata(key.metadata.as_deref()?)?.listed())).collect();
        let unread = listed.iter().zip(&mut rows).filter(|(_, row)| row.is_none()).take(ROWS_READ);
        let ids = unread.filter_map(|(key, row)| {
            let id = key.name.strip_prefix(keys::ROWS)?;
            Some((InstanceId::parse(id).ok()?, row))
        });
        let reads = ids.map(|(id, row)| async move {
            *row = self.instance(&id).await?.map(Instance::listed);
            Ok::<_, StoreError>(())
        });
        try_join_all(reads).await?;
        if rows.iter().any(Option::is_none) {
            self.note_unreadable();
        }
        Ok(rows.into_iter().flatten().collect())
    }
}

/// Reads a cursor that continues within a page of KV: the key after which, and the cursor of that page.
fn within(cursor: &str) -> Option<(String, Option<String>)> {
    let (id, cursor) = cursor.strip_prefix(WITHIN)?.split_once(':')?;
    Some(([keys::ROWS, id].concat(), Some(cursor.to_owned()).filter(|cursor| !cursor.is_empty())))
}

/// Whether a row may have the status. Most rows that have another one are not parsed.
fn may_have(key: &KvKey, status: Option<Status>) -> bool {
    let Some(Ok(name)) = status.map(|status| serde_json::to_string(&status)) else { return true };
    key.metadata.as_ref().is_none_or(|metadata| metadata.contains(&name))
}

fn parse_metadata(text: &str) -> Option<Instance> {
    serde_json::from_slice(text.as_bytes()).ok()
}
