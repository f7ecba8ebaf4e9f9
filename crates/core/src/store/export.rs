//! All installations, page by page, with everything that their rows have. A listing has less: metadata is short.

use futures::future::try_join_all;

use super::{KvNamespace, Store, StoreError, keys};
use crate::crypto::Crypto;
use crate::facts::{Instance, Row};
use crate::runtime::{Clock, Entropy};
use crate::values::InstanceId;

/// How many rows one page has.
const PAGE: u16 = 500;
/// How many values KV returns in one operation.
const AT_ONCE: usize = 100;

impl<P: KvNamespace + Clock + Crypto + Entropy> Store<'_, P> {
    /// One page of installations, and the cursor of the next one.
    pub async fn export(&self, cursor: Option<&str>) -> Result<(Vec<Instance>, Option<String>), StoreError> {
        let page = self.within(self.platform.kv_list(keys::ROWS, cursor, PAGE)).await?;
        let names: Vec<String> = page.keys.into_iter().map(|key| key.name).collect();
        let reads = names.chunks(AT_ONCE).map(|keys| self.platform.kv_get_many(keys));
        let texts = self.within(try_join_all(reads)).await?;
        let mut instances = Vec::new();
        for (name, text) in names.iter().zip(texts.into_iter().flatten()) {
            // A row without a value was deleted after it was listed.
            let (Some(text), Some(Ok(id))) = (text, name.strip_prefix(keys::ROWS).map(InstanceId::parse)) else {
                continue;
            };
            match Row::read(&id, &text) {
                Some(row) => instances.push(row.instance),
                None => instances.extend(self.folded(&id).await?),
            }
        }
        Ok((instances, page.cursor))
    }
}
