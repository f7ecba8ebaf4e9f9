//! Which hand-overs were used, where there are no objects.

use super::kv::Write;
use super::{KvNamespace, Store, StoreError, keys};
use crate::runtime::Clock;

impl<P: KvNamespace + Clock> Store<'_, P> {
    /// Notes for `seconds` who uses the hand-over of a flow. Returns the first claimant that KV shows.
    pub async fn claim_handoff(&self, flow: &str, by: &str, seconds: u64) -> Result<String, StoreError> {
        let key = keys::handoff(flow);
        if let Some(claimant) = self.get(&key).await? {
            return Ok(claimant);
        }
        self.write(&[Write { ttl: Some(seconds), ..Write::new(key, by.to_owned()) }]).await?;
        Ok(by.to_owned())
    }
}
