//! Which hand-overs were used, where there are no objects.

use super::kv::Write;
use super::{KvNamespace, Store, StoreError, keys};
use crate::runtime::Clock;

impl<P: KvNamespace + Clock> Store<'_, P> {
    /// Notes for `seconds` that the hand-over of a flow is used. Returns false if KV shows that it was used before.
    pub async fn claim_handoff(&self, flow: &str, seconds: u64) -> Result<bool, StoreError> {
        let key = keys::handoff(flow);
        if self.get(&key).await?.is_some() {
            return Ok(false);
        }
        self.write(&[Write { ttl: Some(seconds), ..Write::new(key, "1".to_owned()) }]).await?;
        Ok(true)
    }
}
