//! The result of a code exchange, stored so that its redirect can be opened again.

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::facts::Recorded;
use super::kv::{Write, parse, to_json};
use super::tokens::{REFRESH, StoredToken};
use super::{KvNamespace, Store, StoreError, Stored, keys};
use crate::crypto::Crypto;
use crate::crypto::state::{self, Flow};
use crate::facts::Fact;
use crate::runtime::{Clock, Entropy};
use crate::values::{InstanceId, RefreshToken, SiteId, Timestamp};
use crate::wix::Token;

/// The field of a sealed result.
const FLOW: &str = "flow";

/// The result of a code exchange, proven by token info.
#[derive(Clone)]
pub struct Exchange {
    /// The instance.
    pub instance: InstanceId,
    /// Its site.
    pub site: Option<SiteId>,
    /// When the code was exchanged.
    pub at: Timestamp,
    /// The access token.
    pub token: Token,
    /// The refresh token; `None` in a result from KV, which has a key of its own for it.
    pub refresh_token: Option<RefreshToken>,
}

#[derive(Serialize, Deserialize)]
struct StoredExchange {
    instance: InstanceId,
    site: Option<SiteId>,
    at: Timestamp,
    token: StoredToken,
}

impl<P: KvNamespace + Clock + Crypto + Entropy> Store<'_, P> {
    /// Stores the facts, the refresh token and, for a repeated redirect, the result itself.
    pub async fn record_exchange(
        &self,
        flow: &Flow,
        exchange: &Exchange,
        facts: Vec<Fact>,
    ) -> Result<Recorded, StoreError> {
        let id = &exchange.instance;
        let mut sealed = Vec::new();
        if let Some(token) = &exchange.refresh_token {
            sealed.push(Write::new(keys::refresh_token(id), self.seal(id, REFRESH, token.expose()).await?));
            let stored = StoredExchange {
                instance: id.clone(),
                site: exchange.site.clone(),
                at: exchange.at,
                token: StoredToken::from(&exchange.token),
            };
            let plain = Zeroizing::new(to_json(&stored)?);
            let envelope = self.seal(id, FLOW, &plain).await?;
            sealed.push(Write { ttl: Some(state::LIFE), ..Write::new(keys::flow(flow), envelope) });
        }
        self.record_flow(id, facts, exchange.at, sealed).await
    }

    /// The stored result of a flow. `id` is the instance that the browser names: the result of another instance cannot be
    /// opened.
    pub async fn exchange(&self, flow: &Flow, id: &InstanceId) -> Result<Option<Exchange>, StoreError> {
        let Stored::Value(text) = self.open(id, FLOW, &keys::flow(flow)).await? else { return Ok(None) };
        let Some(stored) = parse::<StoredExchange>(&text) else { return Ok(None) };
        let token = stored.token.checked_at(stored.at);
        let (instance, site, at) = (stored.instance, stored.site, stored.at);
        Ok(Some(Exchange { instance, site, at, token, refresh_token: None }))
    }
}
