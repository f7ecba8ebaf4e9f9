//! What the exchange of a code brought, stored so that its redirect can be opened again.

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::facts::Learnt;
use super::{CachedToken, Kept, Kv, REFRESH, Write, parse, refresh_key, to_json};
use crate::error::Error;
use crate::id::{InstanceId, SiteId};
use crate::platform::Platform;
use crate::record::Fact;
use crate::redirect::Exchanged;
use crate::state::{self, Flow};
use crate::time::Timestamp;

const FLOW: &str = "flow";

#[derive(Serialize, Deserialize)]
struct StoredExchange {
    instance: InstanceId,
    site: Option<SiteId>,
    at: Timestamp,
    token: CachedToken,
}

impl<P: Platform> Kv<'_, P> {
    /// Stores what an exchange brought: the fact, the refresh token, and the exchange for whoever opens its redirect
    /// again.
    pub async fn connect(&self, flow: &Flow, exchanged: &Exchanged, fact: Fact) -> Result<Learnt, Error> {
        let id = &exchanged.instance;
        let mut sealed = Vec::new();
        if let Some(token) = &exchanged.refresh_token {
            sealed.push(Write::new(refresh_key(id), self.seal(id, REFRESH, token.expose()).await?));
            let stored = StoredExchange {
                instance: id.clone(),
                site: exchanged.site.clone(),
                at: exchanged.at,
                token: CachedToken::from(&exchanged.token),
            };
            let plain = Zeroizing::new(to_json(&stored)?);
            let envelope = self.seal(id, FLOW, &plain).await?;
            sealed.push(Write { ttl: Some(state::LIFE), ..Write::new(flow_key(flow), envelope) });
        }
        self.learn_flow(id, fact, exchanged.at, sealed).await
    }

    /// What a flow's exchange brought, if that was stored. The instance is the one that the browser names: an exchange of
    /// another one does not open.
    pub async fn exchanged(&self, flow: &Flow, id: &InstanceId) -> Result<Option<Exchanged>, Error> {
        let Kept::Value(text) = self.open(id, FLOW, &flow_key(flow)).await? else { return Ok(None) };
        let Some(stored) = parse::<StoredExchange>(&text) else { return Ok(None) };
        let token = stored.token.seen(stored.at);
        let (instance, site, at) = (stored.instance, stored.site, stored.at);
        Ok(Some(Exchanged { instance, site, at, token, refresh_token: None, stored: false }))
    }
}

fn flow_key(flow: &Flow) -> String {
    format!("v1:flow:{}", flow.as_str())
}
