//! The end of the redirect flow: exchanges the code, proves the instance, and stores the result (docs/wix.md, 2.1 and
//! 3.3).
//!
//! A code works once. So the result of a flow is remembered until its state expires: by this isolate, and sealed in KV for
//! the others. A redirect that is opened again gives the same page, and one whose storing failed is stored again without
//! another exchange.

use super::handoff::with_ref;
use super::{Context, InstanceError, Ports};
use crate::crypto::state::{Flow, Returned};
use crate::facts::{Fact, Kind, Status};
use crate::runtime::retry;
use crate::store::{Exchange, Known, RETRY_PAUSES};
use crate::values::{AccessToken, AuthorizationCode, InstanceId, SiteId};
use crate::wix::WixError;

/// The result of a flow, as an isolate remembers it.
#[derive(Clone)]
pub struct Exchanged {
    exchange: Exchange,
    /// Whether this isolate has stored it.
    stored: bool,
}

/// What the end of a flow needs of the exchange.
pub struct Connected {
    /// The access token.
    pub token: AccessToken,
    /// The site.
    pub site: Option<SiteId>,
    /// Whether anything new was stored.
    pub is_news: bool,
}

/// Exchanges the code of a flow for the instance that the browser names, and stores the result.
pub async fn exchange<P: Ports>(
    cx: &Context<'_, P>,
    returned: &Returned,
    code: &AuthorizationCode,
    id: &InstanceId,
) -> Result<Connected, InstanceError> {
    let (known, flow) = (&cx.cache.exchanges, &returned.flow);
    let exchanged = match known.value(flow) {
        Some(exchanged) => exchanged,
        None => known.share(cx.platform, flow, cx.turn(false), exchange_once(cx, flow, code, id)).await?,
    };
    if exchanged.exchange.instance != *id {
        return Err(InstanceError::NotProven("the token is for another instance than the browser named"));
    }
    let is_news = store(cx, returned, &exchanged).await?;
    let Exchange { token, site, .. } = exchanged.exchange;
    Ok(Connected { token: token.access_token, site, is_news })
}

async fn exchange_once<P: Ports>(
    cx: &Context<'_, P>,
    flow: &Flow,
    code: &AuthorizationCode,
    id: &InstanceId,
) -> Result<Exchanged, InstanceError> {
    let from_kv = |exchange| Exchanged { exchange, stored: false };
    // A flow has one code. Wix did not issue any further code for it.
    if cx.cache.refused_flows.get(flow).is_some() {
        return Err(InstanceError::CodeRefused(None));
    }
    match cx.store().exchange(flow, id).await? {
        Known::Result(exchange) => return Ok(from_kv(exchange)),
        Known::Over => return Err(InstanceError::CodeRefused(None)),
        Known::Nothing => {}
    }
    let wix = cx.wix();
    let (at, grant) = match cx.cache.unproven.remove(flow) {
        Some(unproven) => unproven,
        None => match wix.authorization_code(code).await {
            Ok(grant) => {
                cx.trace().token_source("code");
                (cx.now(), grant)
            }
            Err(WixError::Refused(status)) => {
                // Another isolate may have exchanged the code a moment ago.
                if let Known::Result(exchange) = cx.store().exchange(flow, id).await? {
                    return Ok(from_kv(exchange));
                }
                cx.cache.refused_flows.put(flow.clone(), ());
                return Err(InstanceError::CodeRefused(Some(status)));
            }
            Err(error) => return Err(error.into()),
        },
    };
    let info = match wix.token_info(&grant.token.access_token).await {
        Ok(info) => info,
        Err(error) => {
            // The code is used up. The next request of the same redirect continues here.
            cx.cache.unproven.put(flow.clone(), (at, grant));
            return Err(match error {
                WixError::Refused(_) => InstanceError::NotProven("Wix does not know the token that it issued"),
                error => error.into(),
            });
        }
    };
    let proven = info.prove(&cx.settings.wix.app_id);
    let (instance, site) = proven.map_err(|unproven| InstanceError::NotProven(unproven.0))?;
    let exchange = Exchange { instance, site, at, token: grant.token, refresh_token: grant.refresh_token };
    Ok(Exchanged { exchange, stored: false })
}

/// Stores the result, unless it is stored. Returns whether it was new. The fact has the time of the exchange, so that
/// storing it twice has no further effect.
async fn store<P: Ports>(
    cx: &Context<'_, P>,
    returned: &Returned,
    exchanged: &Exchanged,
) -> Result<bool, InstanceError> {
    let Exchanged { exchange, stored } = exchanged;
    let (cache, id, flow) = (cx.cache, &exchange.instance, &returned.flow);
    let facts = || with_ref(Fact::new(exchange.at, Kind::Connected { site: exchange.site.clone() }), returned);
    // When the redirect is opened again, the refresh token may have been replaced, and so may the installation.
    let done = Exchanged { exchange: Exchange { refresh_token: None, ..exchange.clone() }, stored: true };
    if *stored {
        return Ok(false);
    }
    if exchange.refresh_token.is_none() && cx.store().knows(id, &facts()).await? {
        cache.exchanges.keep(flow, done);
        return Ok(false);
    }
    let recorded =
        retry(cx.platform, &RETRY_PAUSES, async || cx.store().record_exchange(flow, exchange, facts()).await);
    let recorded = recorded.await.map_err(InstanceError::NotStored)?;
    cache.exchanges.keep(flow, done);
    let is_present = recorded.removed.is_none_or(|removed| removed <= exchange.at);
    if recorded.instance.status != Status::Removed
        && is_present
        && cache.tokens.value(id).is_none_or(|token| token.checked_at <= exchange.at)
    {
        cache.tokens.keep(id, exchange.token.clone());
        cache.cool_downs.clear(id);
    }
    Ok(true)
}
