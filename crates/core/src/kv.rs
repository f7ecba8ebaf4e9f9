//! The records in KV: their keys, their forms, and the time they may take.
//!
//! | Key | Value | Life |
//! |---|---|---|
//! | `v1:fact:…`, `v1:instance:…` | see `record.rs` | for good |
//! | `v1:refresh:{instance}` | refresh token, sealed | until removal |
//! | `v1:access:{instance}` | access token of hours with its end, sealed | as long as the token |
//!
//! KV is eventually consistent, allows one write a second to a key and has no compare-and-set. It is no lock here, and
//! nothing rests on reading back what was just written.

use std::future::Future;
use std::time::Duration;

use futures::future::{Either, select, try_join, try_join_all};
use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::error::Error;
use crate::id::InstanceId;
use crate::memory::Token;
use crate::platform::{KvOptions, KvPage, Platform, PlatformError};
use crate::record::{Fact, Instance, Status, fold, outdated};
use crate::seal::{self, OpenError, Place};
use crate::secret::{AccessToken, RefreshToken};
use crate::time::Timestamp;

/// What KV may take for one operation, and for all of those before a webhook's answer: Wix waits 1250 ms, in milliseconds.
pub const DEADLINE_MILLIS: u64 = 1_000;
/// KV takes one write a second to a key, in milliseconds.
const BETWEEN_WRITES: Duration = Duration::from_millis(1_100);
/// How often a row is mended before it is left to the next event.
const MENDINGS: u32 = 3;
/// KV's shortest TTL, in seconds.
const SHORTEST_TTL: u64 = 60;
/// Facts read at once; far more than an instance ever has, since outdated ones are dropped.
const FACTS: u16 = 1000;

const REFRESH: &str = "refresh_token";
const ACCESS: &str = "access_token";

/// The records, for the length of one request.
pub struct Kv<'a, P> {
    platform: &'a P,
    config: &'a Config,
    /// By when all must be done, in milliseconds of Unix time.
    deadline: u64,
}

#[derive(Serialize, Deserialize)]
struct CachedToken {
    access_token: String,
    expires_at: Timestamp,
    life: u64,
}

/// What is known once facts were added.
pub struct Learnt {
    /// The instance as it is now.
    pub instance: Instance,
    /// Whether anything was new.
    pub changed: bool,
}

impl<'a, P: Platform> Kv<'a, P> {
    /// The records, without a deadline for the whole.
    pub fn new(platform: &'a P, config: &'a Config) -> Self {
        Self { platform, config, deadline: u64::MAX }
    }

    /// The same, all of it to be done by a time in milliseconds.
    #[must_use]
    pub fn by(self, deadline: u64) -> Self {
        Self { deadline, ..self }
    }

    /// The instance's row, as last folded.
    pub async fn instance(&self, id: &InstanceId) -> Result<Option<Instance>, Error> {
        let text = self.within(self.platform.kv_get(&Instance::key(id))).await?;
        text.map(|text| parse("instance", &text)).transpose()
    }

    /// The instance, folded from its facts. Costs a listing: for rows that are in doubt.
    pub async fn folded(&self, id: &InstanceId) -> Result<Option<Instance>, Error> {
        Ok(fold(id, &self.facts(id).await?))
    }

    async fn facts(&self, id: &InstanceId) -> Result<Vec<Fact>, Error> {
        let prefix = Fact::prefix(id);
        let page = self.within(self.platform.kv_list(&prefix, None, FACTS)).await?;
        page.keys.iter().filter_map(|key| key.metadata.as_deref()).map(|text| parse("fact", text)).collect()
    }

    /// Adds facts, and with them what belongs to the same change, in one round of writes. What is already known is not
    /// written again, so a message that comes twice costs no write. Another writer may be doing the same at this moment
    /// and write a row that lacks our facts: see [`Self::settle`].
    pub async fn learn(
        &self,
        id: &InstanceId,
        news: Vec<Fact>,
        refresh_token: Option<&RefreshToken>,
    ) -> Result<Learnt, Error> {
        let (known, row) = try_join(self.facts(id), self.instance(id)).await?;
        let news: Vec<Fact> = news.into_iter().filter(|fact| !known.contains(fact)).collect();
        let all: Vec<Fact> = known.iter().chain(&news).cloned().collect();
        let instance = fold(id, &all).ok_or(Error::UnknownInstance)?;

        let mut writes = Vec::new();
        for fact in &news {
            writes.push((fact.key(id), to_json(fact)?, true));
        }
        if row.as_ref() != Some(&instance) {
            writes.push((Instance::key(id), to_json(&instance)?, true));
        }
        if let Some(token) = refresh_token {
            let sealed = seal::seal(self.platform, &self.config.sealing_key, self.place(id, REFRESH), token.expose());
            writes.push((refresh_key(id), sealed.await?, false));
        }
        self.within(try_join_all(writes.iter().map(|(key, value, listed)| {
            let metadata = listed.then_some(value.as_str());
            self.platform.kv_put(key, value, KvOptions { ttl: None, metadata })
        })))
        .await?;

        Ok(Learnt { instance, changed: !news.is_empty() })
    }

    /// Looks, after facts were added, whether the row still says what the facts say, and mends it. Every writer does so
    /// after its last write; so whoever wrote the row last has seen all facts that were there. Then drops the facts that
    /// no longer count.
    pub async fn settle(&self, id: &InstanceId) -> Result<(), Error> {
        let mut facts = Vec::new();
        for _ in 0..MENDINGS {
            let (known, row) = try_join(self.facts(id), self.instance(id)).await?;
            let instance = fold(id, &known);
            facts = known;
            if instance.as_ref().is_some_and(|instance| instance.status == Status::Removed) {
                self.erase_tokens(id).await?;
            }
            let Some(instance) = instance.filter(|instance| row.as_ref() != Some(instance)) else { break };
            self.platform.sleep(BETWEEN_WRITES).await;
            let value = to_json(&instance)?;
            let options = KvOptions { ttl: None, metadata: Some(&value) };
            self.within(self.platform.kv_put(&Instance::key(id), &value, options)).await?;
        }
        let outdated: Vec<String> = outdated(&facts).into_iter().map(|fact| fact.key(id)).collect();
        self.within(try_join_all(outdated.iter().map(|key| self.platform.kv_delete(key)))).await.map(|_| ())
    }

    /// One page of rows.
    pub async fn list(&self, cursor: Option<&str>, limit: u16) -> Result<(Vec<Instance>, Option<String>), Error> {
        let KvPage { keys, cursor } = self.within(self.platform.kv_list(Instance::PREFIX, cursor, limit)).await?;
        let rows = keys.iter().filter_map(|key| key.metadata.as_deref()).map(|text| parse("instance", text));
        Ok((rows.collect::<Result<_, _>>()?, cursor))
    }

    /// The refresh token. One that does not open is as good as none: client credentials take over.
    pub async fn refresh_token(&self, id: &InstanceId) -> Result<Option<RefreshToken>, Error> {
        Ok(self.open(id, REFRESH, &refresh_key(id)).await?.map(RefreshToken::new))
    }

    /// Keeps a refresh token that Wix changed.
    pub async fn put_refresh_token(&self, id: &InstanceId, token: &RefreshToken) -> Result<(), Error> {
        let sealed = seal::seal(self.platform, &self.config.sealing_key, self.place(id, REFRESH), token.expose());
        let sealed = sealed.await?;
        self.within(self.platform.kv_put(&refresh_key(id), &sealed, KvOptions::default())).await
    }

    /// The cached access token, if there is one.
    pub async fn access_token(&self, id: &InstanceId) -> Result<Option<Token>, Error> {
        let Some(text) = self.open(id, ACCESS, &access_key(id)).await? else { return Ok(None) };
        let cached: CachedToken = parse("access token", &text)?;
        Ok(Some(Token {
            access_token: AccessToken::new(cached.access_token),
            expires_at: cached.expires_at,
            life: cached.life,
        }))
    }

    /// Caches an access token for as long as it lives.
    pub async fn put_access_token(&self, id: &InstanceId, token: &Token, now: Timestamp) -> Result<(), Error> {
        let cached = CachedToken {
            access_token: token.access_token.expose().to_owned(),
            expires_at: token.expires_at,
            life: token.life,
        };
        let plain = zeroize::Zeroizing::new(to_json(&cached)?);
        let sealed = seal::seal(self.platform, &self.config.sealing_key, self.place(id, ACCESS), &plain).await?;
        let ttl = token.expires_at.since(now).max(SHORTEST_TTL);
        let options = KvOptions { ttl: Some(ttl), metadata: None };
        self.within(self.platform.kv_put(&access_key(id), &sealed, options)).await
    }

    /// Erases refresh token and cached access token.
    pub async fn erase_tokens(&self, id: &InstanceId) -> Result<(), Error> {
        let (refresh, access) = (refresh_key(id), access_key(id));
        self.within(async {
            try_join(self.platform.kv_delete(&refresh), self.platform.kv_delete(&access)).await.map(|_| ())
        })
        .await
    }

    /// Whether KV answers at all.
    pub async fn probe(&self) -> Result<(), Error> {
        self.within(self.platform.kv_get("v1:probe")).await.map(|_| ())
    }

    async fn open(&self, id: &InstanceId, field: &'static str, key: &str) -> Result<Option<String>, Error> {
        let Some(envelope) = self.within(self.platform.kv_get(key)).await? else { return Ok(None) };
        match seal::open(self.platform, &self.config.sealing_keys, self.place(id, field), &envelope).await {
            Ok(plain) => Ok(Some(plain)),
            Err(OpenError::Platform(error)) => Err(error.into()),
            Err(OpenError::UnknownKey(_) | OpenError::NotSealed | OpenError::Refused) => Ok(None),
        }
    }

    fn place<'b>(&'b self, instance: &'b InstanceId, field: &'static str) -> Place<'b> {
        Place { app: &self.config.app_id, instance, field }
    }

    async fn within<T>(&self, work: impl Future<Output = Result<T, PlatformError>>) -> Result<T, Error> {
        let left = self.deadline.saturating_sub(self.platform.now_millis()).min(DEADLINE_MILLIS);
        let work = std::pin::pin!(work);
        let alarm = std::pin::pin!(self.platform.sleep(Duration::from_millis(left)));
        match select(work, alarm).await {
            Either::Left((Ok(value), _)) => Ok(value),
            Either::Left((Err(error), _)) => Err(Error::Store(error.0)),
            Either::Right(_) => Err(Error::Store("KV took longer than 1000 ms".to_owned())),
        }
    }
}

fn refresh_key(id: &InstanceId) -> String {
    format!("v1:refresh:{id}")
}

fn access_key(id: &InstanceId) -> String {
    format!("v1:access:{id}")
}

fn to_json(value: &impl Serialize) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|_| Error::Internal("a record is no JSON".to_owned()))
}

fn parse<'de, T: Deserialize<'de>>(what: &str, text: &'de str) -> Result<T, Error> {
    // serde's own message may quote the record.
    serde_json::from_str(text).map_err(|_| Error::Store(format!("a record of kind `{what}` cannot be read")))
}
