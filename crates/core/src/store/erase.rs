//! Erasure of everything that KV stores of an instance.
//!
//! A listing may not show what was written a moment ago. So the order to erase is itself stored, sealed and for
//! [`LIFE`] at most, and is carried out once more when KV shows everything.

use futures::future::try_join_all;
use serde::{Deserialize, Serialize};

use super::kv::{Write, parse, to_json};
use super::{KvKey, KvNamespace, RECHECK_AFTER, Store, StoreError, Stored, keys};
use crate::crypto::Crypto;
use crate::facts::{Fact, Row};
use crate::runtime::{Clock, Entropy};
use crate::values::{InstanceId, Timestamp};

/// How long an order to erase is stored, in seconds.
const LIFE: u64 = 600;
/// The field of a sealed order.
const ORDER: &str = "erase";
/// How many keys one listing returns.
const PAGE: u16 = 1000;

/// An order to erase.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erasure {
    /// The instance.
    pub instance: InstanceId,
    /// When it was given.
    pub until: Timestamp,
    /// The same on the runtime's clock, in Unix milliseconds. A fact that is recorded later is a new beginning, even if it
    /// happened earlier. An older version does not store this.
    #[serde(default)]
    pub until_ms: Option<u64>,
}

impl Erasure {
    /// Whether a fact was there before. An older version does not say when it recorded a fact: then the fact's own time counts.
    fn covers(&self, fact: &Fact) -> bool {
        match (fact.recorded_ms, self.until_ms) {
            (Some(recorded), Some(until)) => recorded <= until,
            _ => fact.at <= self.until,
        }
    }
}

impl<P: KvNamespace + Clock + Crypto + Entropy> Store<'_, P> {
    /// Erases an instance: facts, row, tokens, results of flows, rechecks and its entry in the list of parked events.
    pub async fn erase(&self, id: &InstanceId) -> Result<(), StoreError> {
        let mut doomed = single_keys(id).to_vec();
        doomed.extend(self.all_keys(&keys::facts(id), |_| true).await?);
        doomed.extend(self.flows_of(id).await?);
        doomed.extend(self.rechecks_of(id).await?);
        self.delete_all(&doomed).await
    }

    /// Stores the order to erase once more what a listing does not show yet.
    pub async fn put_erasure(&self, erasure: &Erasure) -> Result<(), StoreError> {
        let mut random = [0; 16];
        self.platform.random(&mut random)?;
        let key = keys::erasure(erasure.until.plus(RECHECK_AFTER), &base16ct::lower::encode_string(&random));
        let sealed = self.seal(&self.nobody()?, ORDER, &to_json(erasure)?).await?;
        self.write(&[Write { ttl: Some(LIFE), ..Write::new(key, sealed) }]).await
    }

    /// Carries out a stored order: erases what was written before it. Returns the instance, if the order can be read.
    pub async fn erase_again(&self, key: &str) -> Result<Option<InstanceId>, StoreError> {
        let Stored::Value(text) = self.open(&self.nobody()?, ORDER, key).await? else {
            self.delete(key).await?;
            return Ok(None);
        };
        let Some(erasure) = parse::<Erasure>(&text) else { return Ok(None) };
        let id = &erasure.instance;
        let mut doomed = Vec::new();
        let mut later = Vec::new();
        for (key, fact) in self.facts(id).await? {
            if erasure.covers(&fact) { doomed.push(key) } else { later.push(fact) }
        }
        if let Some(row) = Row::fold(id, later) {
            self.replace_row(id, &row).await?;
        } else {
            doomed.extend(single_keys(id));
            doomed.extend(self.flows_of(id).await?);
            doomed.extend(self.rechecks_of(id).await?);
        }
        self.delete_all(&doomed).await?;
        self.delete(key).await?;
        Ok(Some(erasure.instance))
    }

    /// An order names its instance only inside its envelope, so that it is sealed for the app.
    fn nobody(&self) -> Result<InstanceId, StoreError> {
        InstanceId::parse(self.app.as_str()).map_err(|_| StoreError::NotJson)
    }

    async fn rechecks_of(&self, id: &InstanceId) -> Result<Vec<String>, StoreError> {
        let end = format!(":{id}");
        self.all_keys(keys::RECHECKS, |key| key.name.ends_with(&end)).await
    }

    pub(super) async fn all_keys(
        &self,
        prefix: &str,
        wanted: impl Fn(&KvKey) -> bool,
    ) -> Result<Vec<String>, StoreError> {
        let (mut found, mut cursor) = (Vec::new(), None);
        loop {
            let page = self.within(self.platform.kv_list(prefix, cursor.as_deref(), PAGE)).await?;
            found.extend(page.keys.into_iter().filter(|key| wanted(key)).map(|key| key.name));
            cursor = page.cursor;
            if cursor.is_none() {
                return Ok(found);
            }
        }
    }

    async fn delete_all(&self, doomed: &[String]) -> Result<(), StoreError> {
        self.within(try_join_all(doomed.iter().map(|key| self.platform.kv_delete(key)))).await.map(|_| ())
    }

    /// Replaces a row that may have facts from before the erasure.
    async fn replace_row(&self, id: &InstanceId, row: &Row) -> Result<(), StoreError> {
        let known: Option<Vec<Fact>> = self.row(id).await?.map(|row| row.facts);
        if known.as_ref() == Some(&row.facts) {
            return Ok(());
        }
        self.write(&[super::facts::row_write(id, row)?]).await
    }
}

/// The keys of an instance that can be told without a listing.
fn single_keys(id: &InstanceId) -> [String; 4] {
    [keys::row(id), keys::refresh_token(id), keys::access_token(id), keys::parked(id)]
}
