//! The result of a code exchange, stored so that its redirect can be opened again.

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::facts::Recorded;
use super::kv::{Write, parse, to_json};
use super::tokens::{REFRESH, StoredToken};
use super::{KvNamespace, Store, StoreError, Stored, keys};
use crate::crypto::Crypto;
use crate::crypto::state::{self, Flow};
use crate::facts::{Fact, Name};
use crate::runtime::{Clock, Entropy};
use crate::values::{CLOCK_SKEW, InstanceId, RefreshToken, SiteId, Timestamp};
use crate::wix::Token;

/// The field of a sealed result.
const FLOW: &str = "flow";
/// The value of a flow whose result was erased with its installation. The code of the flow is used up.
const OVER: &str = "over";

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

/// What KV has of a flow.
pub enum Known {
    /// Nothing, or nothing readable.
    Nothing,
    /// Its result.
    Result(Exchange),
    /// That the app was removed after it.
    Over,
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
            let (ttl, metadata) = (Some(state::LIFE), Some(to_json(id)?));
            sealed.push(Write { metadata, ttl, ..Write::new(keys::flow(flow), envelope) });
        }
        self.record_flow(id, facts, exchange.at, sealed).await
    }

    /// The keys of the results that are stored for an instance. All flows of the last ten minutes are listed.
    pub(super) async fn flows_of(&self, id: &InstanceId) -> Result<Vec<String>, StoreError> {
        let of = to_json(id)?;
        self.all_keys(keys::FLOWS, |key| key.metadata.as_deref() == Some(&of)).await
    }

    /// Replaces the results of the flows of a removed instance by a note that they are over. Those that ended long before the
    /// removal are gone already.
    pub(super) async fn erase_flows(&self, id: &InstanceId, facts: &[(String, Fact)]) -> Result<(), StoreError> {
        let of = |name| facts.iter().filter(move |(_, fact)| fact.kind.name() == name).map(|(_, fact)| fact.at).max();
        let (Some(removed), Some(connected)) = (of(Name::Removed), of(Name::Connected)) else { return Ok(()) };
        if removed.since(connected) > state::LIFE + CLOCK_SKEW {
            return Ok(());
        }
        let over = |key| Write { ttl: Some(state::LIFE), ..Write::new(key, OVER.to_owned()) };
        let writes: Vec<Write> = self.flows_of(id).await?.into_iter().map(over).collect();
        self.write(&writes).await
    }

    /// The stored result of a flow. `id` is the instance that the browser names: the result of another instance cannot be
    /// opened.
    pub async fn exchange(&self, flow: &Flow, id: &InstanceId) -> Result<Known, StoreError> {
        let Some(envelope) = self.get(&keys::flow(flow)).await? else { return Ok(Known::Nothing) };
        if envelope == OVER {
            return Ok(Known::Over);
        }
        let Stored::Value(text) = self.opened(id, FLOW, &envelope).await? else { return Ok(Known::Nothing) };
        let Some(stored) = parse::<StoredExchange>(&text) else { return Ok(Known::Nothing) };
        let token = stored.token.checked_at(stored.at);
        let (instance, site, at) = (stored.instance, stored.site, stored.at);
        Ok(Known::Result(Exchange { instance, site, at, token, refresh_token: None }))
    }
}
