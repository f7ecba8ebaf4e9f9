//! The records in KV: their keys, their forms, and the time they may take.
//!
//! | Key | Value | Life |
//! |---|---|---|
//! | `v1:fact:…`, `v1:instance:…` | see `record.rs` | for good |
//! | `v1:refresh:{instance}` | refresh token, sealed | until removal |
//! | `v1:access:{instance}` | access token of hours with its end, sealed | as long as the token |
//! | `v1:flow:{flow}` | what an exchange brought, sealed | as long as the flow's state |
//! | `v1:todo:{due}:{instance}` | how often it was tried | until it is done |
//!
//! KV is eventually consistent, allows one write a second to a key and has no compare-and-set. It is no lock here, and
//! nothing rests on reading back what was just written.

mod exchange;
mod facts;
mod todo;

use std::time::Duration;

use futures::future::{Either, join, join_all, select};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

pub use self::facts::{BETWEEN_WRITES, Learnt};
pub use self::todo::{LOOK_AGAIN, Recheck, Todo, Tries};
use crate::config::Config;
use crate::error::Error;
use crate::id::InstanceId;
use crate::memory::Token;
use crate::platform::{KvOptions, Platform, PlatformError};
use crate::seal::{self, OpenError, Place};
use crate::secret::{AccessToken, RefreshToken};
use crate::time::Timestamp;
use crate::trace::Trace;

/// What KV may take for one operation, and for all of those before a webhook's answer: Wix waits 1250 ms, in milliseconds.
pub const DEADLINE_MILLIS: u64 = 1_000;
/// Pauses before what cannot be had again is stored once more; KV takes one write a second to a key.
pub const STORE_AGAIN: [Duration; 2] = [Duration::from_millis(300), Duration::from_millis(1_100)];
/// KV's shortest TTL, in seconds.
const SHORTEST_TTL: u64 = 60;

const REFRESH: &str = "refresh_token";
const ACCESS: &str = "access_token";

/// The records, for the length of one request.
pub struct Kv<'a, P> {
    platform: &'a P,
    config: &'a Config,
    trace: Option<&'a Trace>,
    recheck: Option<&'a Recheck>,
    /// By when all must be done, in milliseconds of Unix time.
    deadline: u64,
}

#[derive(Serialize, Deserialize)]
struct CachedToken {
    access_token: Zeroizing<String>,
    expires_at: Timestamp,
    life: u64,
}

impl From<&Token> for CachedToken {
    fn from(token: &Token) -> Self {
        let access_token = Zeroizing::new(token.access_token.expose().to_owned());
        Self { access_token, expires_at: token.expires_at, life: token.life }
    }
}

impl CachedToken {
    fn seen(self, checked_at: Timestamp) -> Token {
        let access_token = AccessToken::new(self.access_token.as_str());
        Token { access_token, expires_at: self.expires_at, life: self.life, checked_at }
    }
}

/// A sealed value, as it was found.
pub enum Kept<T> {
    /// KV shows none.
    Nothing,
    /// There is one that cannot be opened: its key is not among ours, or it was damaged.
    Unreadable,
    /// Opened.
    Value(T),
}

/// One value to be written.
pub struct Write {
    key: String,
    value: String,
    metadata: Option<String>,
    ttl: Option<u64>,
}

impl Write {
    fn new(key: String, value: String) -> Self {
        Self { key, value, metadata: None, ttl: None }
    }
}

impl<'a, P: Platform> Kv<'a, P> {
    /// The records, without a deadline for the whole.
    pub fn new(platform: &'a P, config: &'a Config) -> Self {
        Self { platform, config, trace: None, recheck: None, deadline: u64::MAX }
    }

    /// The same, with what goes wrong beside the main thing noted in a log line.
    #[must_use]
    pub fn noting(self, trace: &'a Trace) -> Self {
        Self { trace: Some(trace), ..self }
    }

    /// The same, for work in which one recheck is enough.
    #[must_use]
    pub fn with_recheck(self, recheck: &'a Recheck) -> Self {
        Self { recheck: Some(recheck), ..self }
    }

    /// The same, all of it to be done by a time in milliseconds.
    #[must_use]
    pub fn by(self, deadline: u64) -> Self {
        Self { deadline, ..self }
    }

    async fn write(&self, writes: &[Write]) -> Result<(), Error> {
        let puts = writes.iter().map(|write| {
            let options = KvOptions { ttl: write.ttl, metadata: write.metadata.as_deref() };
            self.platform.kv_put(&write.key, &write.value, options)
        });
        // All of them come to their end, also where one fails: the runtime would cut the others off with the answer.
        self.within(async { join_all(puts).await.into_iter().collect::<Result<(), _>>() }).await
    }

    /// The refresh token. One that does not open is of no use, and yet no sign that KV lags.
    pub async fn refresh_token(&self, id: &InstanceId) -> Result<Kept<RefreshToken>, Error> {
        Ok(match self.open(id, REFRESH, &refresh_key(id)).await? {
            Kept::Nothing => Kept::Nothing,
            Kept::Unreadable => Kept::Unreadable,
            Kept::Value(text) => Kept::Value(RefreshToken::new(text)),
        })
    }

    /// Keeps a refresh token that Wix changed: patiently, since the one before it is of no use any more.
    pub async fn put_refresh_token(&self, id: &InstanceId, token: &RefreshToken) -> Result<(), Error> {
        let sealed = self.seal(id, REFRESH, token.expose()).await?;
        let write = [Write::new(refresh_key(id), sealed)];
        for pause in STORE_AGAIN {
            if self.write(&write).await.is_ok() {
                return Ok(());
            }
            self.platform.sleep(pause).await;
        }
        self.write(&write).await
    }

    /// The cached access token, if there is one.
    pub async fn access_token(&self, id: &InstanceId, now: Timestamp) -> Result<Option<Token>, Error> {
        let Kept::Value(text) = self.open(id, ACCESS, &access_key(id)).await? else { return Ok(None) };
        Ok(parse::<CachedToken>(&text).map(|cached| cached.seen(now)))
    }

    /// Caches an access token for as long as it lives.
    pub async fn put_access_token(&self, id: &InstanceId, token: &Token, now: Timestamp) -> Result<(), Error> {
        let plain = Zeroizing::new(to_json(&CachedToken::from(token))?);
        let sealed = self.seal(id, ACCESS, &plain).await?;
        let ttl = token.expires_at.since(now).max(SHORTEST_TTL);
        self.write(&[Write { ttl: Some(ttl), ..Write::new(access_key(id), sealed) }]).await
    }

    /// Erases refresh token and cached access token.
    pub async fn erase_tokens(&self, id: &InstanceId) -> Result<(), Error> {
        let (refresh, access) = (refresh_key(id), access_key(id));
        self.within(async {
            let (refresh, access) = join(self.platform.kv_delete(&refresh), self.platform.kv_delete(&access)).await;
            refresh.and(access)
        })
        .await
    }

    /// Erases the cached access token.
    pub async fn erase_access_token(&self, id: &InstanceId) -> Result<(), Error> {
        self.within(self.platform.kv_delete(&access_key(id))).await
    }

    /// Whether KV answers at all.
    pub async fn probe(&self) -> Result<(), Error> {
        self.within(self.platform.kv_get("v1:probe")).await.map(|_| ())
    }

    async fn seal(&self, id: &InstanceId, field: &'static str, plain: &str) -> Result<String, Error> {
        Ok(seal::seal(self.platform, &self.config.sealing_key, self.place(id, field), plain).await?)
    }

    async fn open(&self, id: &InstanceId, field: &'static str, key: &str) -> Result<Kept<String>, Error> {
        let Some(envelope) = self.within(self.platform.kv_get(key)).await? else { return Ok(Kept::Nothing) };
        match seal::open(self.platform, &self.config.sealing_keys, self.place(id, field), &envelope).await {
            Ok(plain) => Ok(Kept::Value(plain)),
            Err(OpenError::Platform(error)) => Err(error.into()),
            Err(OpenError::UnknownKey | OpenError::NotSealed | OpenError::Refused) => Ok(Kept::Unreadable),
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
            Either::Right(_) => Err(Error::Store(format!("KV took longer than {left} ms"))),
        }
    }
}

#[cfg(test)]
#[path = "kv_cost_tests.rs"]
mod cost_tests;

fn refresh_key(id: &InstanceId) -> String {
    format!("v1:refresh:{id}")
}

fn access_key(id: &InstanceId) -> String {
    format!("v1:access:{id}")
}

fn to_json(value: &impl Serialize) -> Result<String, Error> {
    serde_json::to_string(value).map_err(no_json)
}

/// serde's own message may quote the record.
fn no_json(_: serde_json::Error) -> Error {
    Error::Internal("a record cannot be written as JSON".to_owned())
}

/// A record that can be made anew; none where it cannot be read.
fn parse<'de, T: Deserialize<'de>>(text: &'de str) -> Option<T> {
    serde_json::from_slice(text.as_bytes()).ok()
}
