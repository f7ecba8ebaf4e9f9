//! The list of parked events: an entry for each object that has some.

use serde::{Deserialize, Serialize};

use super::kv::{Write, to_json};
use super::{KvNamespace, KvPage, Store, StoreError, keys};
use crate::runtime::Clock;
use crate::values::{InstanceId, Timestamp, json};

/// The parked events of one installation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ParkedEvents {
    /// The instance id; the app id for the events of no installation.
    pub instance_id: InstanceId,
    /// How many events are parked.
    pub parked: u64,
    /// When the oldest of them was accepted.
    pub oldest_at: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    parked: u64,
    oldest_at: Timestamp,
}

impl<P: KvNamespace + Clock> Store<'_, P> {
    /// Lists the parked events of an installation.
    pub async fn put_parked(&self, events: &ParkedEvents) -> Result<(), StoreError> {
        let entry = to_json(&Entry { parked: events.parked, oldest_at: events.oldest_at })?;
        let key = keys::parked(&events.instance_id);
        self.write(&[Write { metadata: Some(entry), ..Write::new(key, String::new()) }]).await
    }

    /// An installation has no parked events any more.
    pub async fn delete_parked(&self, id: &InstanceId) -> Result<(), StoreError> {
        self.delete(&keys::parked(id)).await
    }

    /// One page of the list.
    pub async fn parked(
        &self,
        cursor: Option<&str>,
        limit: u16,
    ) -> Result<(Vec<ParkedEvents>, Option<String>), StoreError> {
        let KvPage { keys, cursor } = self.within(self.platform.kv_list(keys::PARKED, cursor, limit)).await?;
        let entries = keys.into_iter().filter_map(|key| {
            let instance_id = InstanceId::parse(key.name.strip_prefix(keys::PARKED)?).ok()?;
            let Entry { parked, oldest_at } = json::parse(&key.metadata?).ok()?;
            Some(ParkedEvents { instance_id, parked, oldest_at })
        });
        Ok((entries.collect(), cursor))
    }
}
