//! Refresh tokens and cached access tokens, sealed.

use std::time::Duration;

use futures::future::join;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::kv::{Write, own, parse, to_json};
use super::{KvNamespace, Recorded, SealedToken, Store, StoreError, Stored, keys};
use crate::crypto::Crypto;
use crate::facts::Fact;
use crate::runtime::{Clock, Entropy, retry};
use crate::values::{AccessToken, InstanceId, RefreshToken, Timestamp};
use crate::wix::Token;

/// The pauses between attempts to store a value that cannot be obtained again. KV allows one write per second and key.
pub const RETRY_PAUSES: [Duration; 2] = [Duration::from_millis(300), Duration::from_millis(1_100)];
/// KV's shortest TTL, in seconds.
const SHORTEST_TTL: u64 = 60;

/// The field of a sealed refresh token.
pub(super) const REFRESH: &str = "refresh_token";
const ACCESS: &str = "access_token";

/// The plaintext of a sealed access token.
#[derive(Serialize, Deserialize)]
pub(super) struct StoredToken {
    access_token: Zeroizing<String>,
    expires_at: Timestamp,
    life: u64,
}

impl From<&Token> for StoredToken {
    fn from(token: &Token) -> Self {
        let access_token = Zeroizing::new(token.access_token.expose().to_owned());
        Self { access_token, expires_at: token.expires_at, life: token.life }
    }
}

impl StoredToken {
    pub(super) fn checked_at(self, checked_at: Timestamp) -> Token {
        let access_token = AccessToken::new(self.access_token.as_str());
        Token { access_token, expires_at: self.expires_at, life: self.life, checked_at }
    }
}

impl<P: KvNamespace + Clock + Crypto + Entropy> Store<'_, P> {
    /// The refresh token. The object prefers its copy. A copy that cannot be opened stays as it is, since its key may come
    /// back with another configuration, and KV counts meanwhile.
    pub async fn refresh_token(&self, id: &InstanceId) -> Result<Stored<RefreshToken>, StoreError> {
        let mut has_copy = false;
        if let Some(object) = self.own
            && let Some(copy) = own(object.token(SealedToken::Refresh))?
        {
            has_copy = true;
            if let Stored::Value(text) = self.opened(id, REFRESH, &copy).await? {
                return Ok(Stored::Value(RefreshToken::new(text)));
            }
        }
        let Some(original) = self.get(&keys::refresh_token(id)).await? else { return Ok(Stored::Absent) };
        Ok(match self.opened(id, REFRESH, &original).await? {
            Stored::Absent => Stored::Absent,
            Stored::Unreadable => Stored::Unreadable,
            Stored::Value(text) => {
                if let Some(object) = self.own
                    && !has_copy
                    && own(object.is_settled())?
                {
                    own(object.set_token(SealedToken::Refresh, Some(&original)))?;
                }
                Stored::Value(RefreshToken::new(text))
            }
        })
    }

    /// Erases the object's copy of a refresh token that KV does not have any more: the operator has deleted it.
    pub async fn erase_orphaned_copy(&self, id: &InstanceId) -> Result<(), StoreError> {
        if let Some(object) = self.own
            && own(object.token(SealedToken::Refresh))?.is_some()
            && self.get(&keys::refresh_token(id)).await?.is_none()
        {
            own(object.set_token(SealedToken::Refresh, None))?;
        }
        Ok(())
    }

    /// Stores a refresh token that Wix replaced. It retries, since the previous token no longer works.
    pub async fn put_refresh_token(&self, id: &InstanceId, token: &RefreshToken) -> Result<(), StoreError> {
        let sealed = self.seal(id, REFRESH, token.expose()).await?;
        if let Some(object) = self.own {
            own(object.set_token(SealedToken::Refresh, Some(&sealed)))?;
        }
        let write = [Write::new(keys::refresh_token(id), sealed)];
        retry(self.platform, &RETRY_PAUSES, async || self.write(&write).await).await
    }

    /// Records an installation that is imported, with its refresh token.
    pub async fn record_import(
        &self,
        id: &InstanceId,
        facts: Vec<Fact>,
        refresh_token: Option<&RefreshToken>,
        now: Timestamp,
        is_rechecked: bool,
    ) -> Result<Recorded, StoreError> {
        let mut sealed = Vec::new();
        if let Some(token) = refresh_token {
            sealed.push(Write::new(keys::refresh_token(id), self.seal(id, REFRESH, token.expose()).await?));
        }
        self.record_imported(id, facts, now, sealed, is_rechecked).await
    }

    /// The cached access token, if there is a readable one.
    pub async fn access_token(&self, id: &InstanceId, now: Timestamp) -> Result<Option<Token>, StoreError> {
        let stored = match self.own {
            None => self.open(id, ACCESS, &keys::access_token(id)).await?,
            Some(object) => match own(object.token(SealedToken::Access))? {
                Some(envelope) => self.opened(id, ACCESS, &envelope).await?,
                None => Stored::Absent,
            },
        };
        let Stored::Value(text) = stored else { return Ok(None) };
        Ok(parse::<StoredToken>(&text).map(|stored| stored.checked_at(now)))
    }

    /// Caches an access token until it expires.
    pub async fn put_access_token(&self, id: &InstanceId, token: &Token, now: Timestamp) -> Result<(), StoreError> {
        let plain = Zeroizing::new(to_json(&StoredToken::from(token))?);
        let sealed = self.seal(id, ACCESS, &plain).await?;
        if let Some(object) = self.own {
            return own(object.set_token(SealedToken::Access, Some(&sealed)));
        }
        let ttl = token.expires_at.since(now).max(SHORTEST_TTL);
        self.write(&[Write { ttl: Some(ttl), ..Write::new(keys::access_token(id), sealed) }]).await
    }

    /// Erases the refresh token and the cached access token.
    pub async fn erase_tokens(&self, id: &InstanceId) -> Result<(), StoreError> {
        if let Some(object) = self.own {
            own(object.set_token(SealedToken::Refresh, None))?;
            own(object.set_token(SealedToken::Access, None))?;
        }
        let (refresh, access) = (keys::refresh_token(id), keys::access_token(id));
        self.within(async {
            let (refresh, access) = join(self.platform.kv_delete(&refresh), self.platform.kv_delete(&access)).await;
            refresh.and(access)
        })
        .await
    }

    /// Erases the cached access token.
    pub async fn erase_access_token(&self, id: &InstanceId) -> Result<(), StoreError> {
        if let Some(object) = self.own {
            return own(object.set_token(SealedToken::Access, None));
        }
        self.delete(&keys::access_token(id)).await
    }
}
