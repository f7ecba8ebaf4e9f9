//! The store: reads, batches of writes, sealed values, and their deadlines.

use std::time::Duration;

use futures::future::{Either, join_all, select};
use serde::{Deserialize, Serialize};

use super::{KvNamespace, KvOptions, OwnRecord, PendingRecheck, StoreError, keys};
use crate::crypto::{self, Crypto, Keys, OpenError, Place};
use crate::facts::SetupPolicy;
use crate::runtime::{Clock, Entropy, PlatformError, Trace};
use crate::values::{AppId, InstanceId};

/// The timeout of one KV operation, and of all operations before the response to a webhook, in milliseconds. Wix waits
/// 1,250 ms for that response.
pub const TIMEOUT_MILLIS: u64 = 1_000;

/// The records, for the length of one request.
pub struct Store<'a, P> {
    pub(super) platform: &'a P,
    pub(super) keys: &'a Keys,
    pub(super) app: &'a AppId,
    pub(super) setup: SetupPolicy,
    /// Whether changes of an instance are events for the app.
    pub(super) reports: bool,
    pub(super) trace: Option<&'a Trace>,
    pub(super) pending: Option<&'a PendingRecheck>,
    /// What the object keeps in which this code runs.
    pub(super) own: Option<&'a dyn OwnRecord>,
    /// When all operations must have ended, in milliseconds of Unix time.
    pub(super) deadline: u64,
}

/// A sealed value.
pub enum Stored<T> {
    /// KV returns none.
    Absent,
    /// It cannot be opened: its key is unknown, or it is damaged.
    Unreadable,
    /// It was opened.
    Value(T),
}

/// One value to write.
pub(super) struct Write {
    pub(super) key: String,
    pub(super) value: String,
    pub(super) metadata: Option<String>,
    pub(super) ttl: Option<u64>,
}

impl Write {
    pub(super) fn new(key: String, value: String) -> Self {
        Self { key, value, metadata: None, ttl: None }
    }
}

impl<'a, P> Store<'a, P> {
    /// Creates a store whose operations have no common deadline.
    pub fn new(platform: &'a P, keys: &'a Keys, app: &'a AppId, setup: SetupPolicy) -> Self {
        Self { platform, keys, app, setup, reports: false, trace: None, pending: None, own: None, deadline: u64::MAX }
    }

    /// Notes secondary errors in a log line.
    #[must_use]
    pub fn noting(self, trace: &'a Trace) -> Self {
        Self { trace: Some(trace), ..self }
    }

    /// Stores no second recheck where the pending one suffices.
    #[must_use]
    pub fn with_pending(self, pending: &'a PendingRecheck) -> Self {
        Self { pending: Some(pending), ..self }
    }

    /// Reads the instance and its tokens where the object keeps them.
    #[must_use]
    pub fn of_object(self, own: Option<&'a dyn OwnRecord>) -> Self {
        Self { own, ..self }
    }

    /// Notes in each fact the state before it, so that changes can be told to the app.
    #[must_use]
    pub fn reporting(self, reports: bool) -> Self {
        Self { reports, ..self }
    }

    /// Sets a common deadline of all operations, in milliseconds of Unix time.
    #[must_use]
    pub fn by(self, deadline: u64) -> Self {
        Self { deadline, ..self }
    }

    fn place<'b>(&'b self, instance: &'b InstanceId, field: &'static str) -> Place<'b> {
        Place { app: self.app, instance, field }
    }
}

impl<P: KvNamespace + Clock> Store<'_, P> {
    /// Whether KV answers.
    pub async fn probe(&self) -> Result<(), StoreError> {
        self.get(keys::PROBE).await.map(|_| ())
    }

    pub(super) async fn get(&self, key: &str) -> Result<Option<String>, StoreError> {
        self.within(self.platform.kv_get(key)).await
    }

    pub(super) async fn delete(&self, key: &str) -> Result<(), StoreError> {
        self.within(self.platform.kv_delete(key)).await
    }

    /// Writes a batch, and awaits all writes even if one fails: the runtime would cancel the others with the response.
    pub(super) async fn write(&self, writes: &[Write]) -> Result<(), StoreError> {
        let puts = writes.iter().map(|write| {
            let options = KvOptions { ttl: write.ttl, metadata: write.metadata.as_deref() };
            self.platform.kv_put(&write.key, &write.value, options)
        });
        self.within(async { join_all(puts).await.into_iter().collect::<Result<(), _>>() }).await
    }

    pub(super) async fn within<T>(
        &self,
        work: impl Future<Output = Result<T, PlatformError>>,
    ) -> Result<T, StoreError> {
        let after_ms = self.deadline.saturating_sub(self.platform.now_millis()).min(TIMEOUT_MILLIS);
        let work = std::pin::pin!(work);
        let timeout = std::pin::pin!(self.platform.sleep(Duration::from_millis(after_ms)));
        match select(work, timeout).await {
            Either::Left((Ok(value), _)) => Ok(value),
            Either::Left((Err(error), _)) => Err(StoreError::Failed(error.0)),
            Either::Right(_) => Err(StoreError::TimedOut { after_ms }),
        }
    }
}

impl<P: KvNamespace + Clock + Crypto + Entropy> Store<'_, P> {
    pub(super) async fn seal(&self, id: &InstanceId, field: &'static str, plain: &str) -> Result<String, StoreError> {
        Ok(crypto::seal(self.platform, self.keys.first(), self.place(id, field), plain).await?)
    }

    pub(super) async fn open(
        &self,
        id: &InstanceId,
        field: &'static str,
        key: &str,
    ) -> Result<Stored<String>, StoreError> {
        match self.get(key).await? {
            Some(envelope) => self.opened(id, field, &envelope).await,
            None => Ok(Stored::Absent),
        }
    }

    pub(super) async fn opened(
        &self,
        id: &InstanceId,
        field: &'static str,
        envelope: &str,
    ) -> Result<Stored<String>, StoreError> {
        match crypto::open(self.platform, self.keys.sealing(), self.place(id, field), envelope).await {
            Ok(plain) => Ok(Stored::Value(plain)),
            Err(OpenError::Platform(error)) => Err(error.into()),
            Err(OpenError::UnknownKey | OpenError::NotSealed | OpenError::Refused) => Ok(Stored::Unreadable),
        }
    }
}

/// A failure of the object's storage is one of the store.
pub(super) fn own<T>(result: Result<T, PlatformError>) -> Result<T, StoreError> {
    result.map_err(|error| StoreError::Failed(error.0))
}

pub(super) fn to_json(value: &impl Serialize) -> Result<String, StoreError> {
    Ok(serde_json::to_string(value)?)
}

/// Parses a record that can be derived again; `None` if it cannot be parsed.
pub(super) fn parse<'de, T: Deserialize<'de>>(text: &'de str) -> Option<T> {
    serde_json::from_slice(text.as_bytes()).ok()
}
