//! Rechecks: stored orders to reconcile an instance when they are due.

use std::cell::RefCell;

use serde::{Deserialize, Serialize};

use super::kv::{Write, to_json};
use super::{KvNamespace, Store, StoreError, keys};
use crate::runtime::Clock;
use crate::values::{InstanceId, Timestamp};

/// When a recheck is due after a change, in seconds. KV shows a change everywhere within about a minute.
pub const RECHECK_AFTER: u64 = 120;
/// How much earlier than its own recheck a write may be rechecked, in seconds.
const TOLERANCE: u64 = 30;

/// A stored recheck.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recheck {
    /// The key.
    pub key: String,
    /// The instance.
    pub instance: InstanceId,
    /// When it is due.
    pub due: Timestamp,
    /// The failed attempts.
    pub attempts: Attempts,
}

/// Deferred work that is due.
#[derive(Debug, Default)]
pub struct Due {
    /// The rechecks.
    pub rechecks: Vec<Recheck>,
    /// The keys of the orders to erase.
    pub erasures: Vec<String>,
}

/// The failed attempts of a recheck.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempts {
    /// When the first recheck was stored.
    pub since: Timestamp,
    /// The number of failed attempts.
    pub failed: u32,
}

/// The recheck that a request has stored, so that its deferred task need not store another one.
#[derive(Debug, Default)]
pub struct PendingRecheck(RefCell<Option<(InstanceId, Timestamp)>>);

impl PendingRecheck {
    /// Whether the pending recheck is due late enough for a write at `now`.
    pub(super) fn serves(&self, id: &InstanceId, now: Timestamp) -> bool {
        let stored = self.0.borrow();
        stored.as_ref().is_some_and(|(of, due)| of == id && *due >= now.plus(RECHECK_AFTER - TOLERANCE))
    }

    pub(super) fn set(&self, id: &InstanceId, due: Timestamp) {
        *self.0.borrow_mut() = Some((id.clone(), due));
    }
}

impl<P: KvNamespace + Clock> Store<'_, P> {
    /// What is due, the most overdue first.
    pub async fn due(&self, now: Timestamp, limit: u16) -> Result<Due, StoreError> {
        let page = self.within(self.platform.kv_list(keys::RECHECKS, None, limit)).await?;
        let mut due = Due::default();
        for key in page.keys {
            if let Some(at) = keys::erasure_due(&key.name) {
                due.erasures.extend((at <= now).then_some(key.name));
            } else if let Some(recheck) = parse(key.name, key.metadata.as_deref()) {
                due.rechecks.extend((recheck.due <= now).then_some(recheck));
            }
        }
        Ok(due)
    }

    /// Stores a recheck.
    pub async fn put_recheck(&self, id: &InstanceId, due: Timestamp, attempts: Attempts) -> Result<(), StoreError> {
        self.write(&[recheck_write(id, due, attempts)?]).await
    }

    /// Deletes a recheck that is done.
    pub async fn delete_recheck(&self, recheck: &Recheck) -> Result<(), StoreError> {
        self.delete(&recheck.key).await
    }
}

pub(super) fn recheck_write(id: &InstanceId, due: Timestamp, attempts: Attempts) -> Result<Write, StoreError> {
    let text = to_json(&attempts)?;
    Ok(Write { metadata: Some(text.clone()), ..Write::new(keys::recheck(due, id), text) })
}

fn parse(key: String, metadata: Option<&str>) -> Option<Recheck> {
    let (due, id) = key.strip_prefix(keys::RECHECKS)?.split_once(':')?;
    let (due, instance) = (Timestamp(due.parse().ok()?), InstanceId::parse(id).ok()?);
    let attempts = metadata.and_then(|text| serde_json::from_slice(text.as_bytes()).ok());
    Some(Recheck { key, instance, due, attempts: attempts.unwrap_or(Attempts { since: due, failed: 0 }) })
}
