//! The list of instances, page by page.

use futures::future::try_join_all;

use super::{KvNamespace, KvPage, Store, StoreError, keys};
use crate::crypto::Crypto;
use crate::facts::Instance;
use crate::runtime::{Clock, Entropy};
use crate::values::InstanceId;

/// How many rows of a page are read because their metadata cannot be parsed. An invocation may use 1,000 operations.
const ROWS_READ: usize = 100;

impl<P: KvNamespace + Clock + Crypto + Entropy> Store<'_, P> {
    /// One page of instances, from the rows' metadata. A row whose metadata cannot be parsed is read; if it cannot be read
    /// either, it is left out.
    ///
    /// `search` is how the ids begin.
    pub async fn list(
        &self,
        search: &str,
        cursor: Option<&str>,
        limit: u16,
    ) -> Result<(Vec<Instance>, Option<String>), StoreError> {
        let prefix = [keys::ROWS, search].concat();
        let KvPage { keys: listed, cursor } = self.within(self.platform.kv_list(&prefix, cursor, limit)).await?;
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
        Ok((rows.into_iter().flatten().collect(), cursor))
    }
}

fn parse_metadata(text: &str) -> Option<Instance> {
    serde_json::from_slice(text.as_bytes()).ok()
}
