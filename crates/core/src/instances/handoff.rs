//! The hand-over of an installation to the app's back end: the browser brings a sealed value from the end of its flow, which
//! the back end exchanges, once, for what the flow has established.
//!
//! The value is `<instance id>.<envelope>`. The id names the object that knows whether the value was used.

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::events::deadline;
use super::{Context, InstanceError, Ports};
use crate::crypto::state::{self, Purpose, Returned};
use crate::crypto::{self, OpenError, Place};
use crate::delivery::{Claim, ObjectCallError, ask, requests};
use crate::facts::{Fact, Kind};
use crate::values::{CLOCK_SKEW, HandoffValue, InstanceId, Ref, SiteId, Timestamp};

/// How long a value is valid, in seconds.
const LIFE: u64 = 300;
/// How long a used flow is remembered, in seconds: until no value of the flow is valid. Reloading the end of a flow makes
/// another value of the same flow.
const REMEMBERED: u64 = state::LIFE + LIFE + 2 * CLOCK_SKEW;
/// The field of a sealed value.
const HANDOFF: &str = "handoff";

/// What a flow has established.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Handoff {
    /// The instance id.
    pub instance_id: InstanceId,
    /// The site.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub site_id: Option<SiteId>,
    /// The `ref` that was given to the start of the flow.
    #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
    pub reference: Option<Ref>,
    /// The kind of flow: `install` from `/install`, `connect` from `/connect`.
    pub flow: Purpose,
}

/// The fact that ended a flow, and its `ref` as another.
pub(super) fn with_ref(fact: Fact, returned: &Returned) -> Vec<Fact> {
    let referred = returned.reference.clone().map(|reference| Fact::new(fact.at, Kind::Referred { reference }));
    [fact].into_iter().chain(referred).collect()
}

fn place<'a, P: Ports>(cx: &Context<'a, P>, instance: &'a InstanceId) -> Place<'a> {
    Place { app: &cx.settings.wix.app_id, instance, field: HANDOFF }
}

/// Seals what a flow has established.
pub async fn hand_over<P: Ports>(
    cx: &Context<'_, P>,
    id: &InstanceId,
    site: Option<SiteId>,
    flow: Purpose,
    returned: &Returned,
) -> Result<String, InstanceError> {
    let site = site.as_ref().map_or("-", SiteId::as_str);
    let reference = returned.reference.as_ref().map(Ref::as_str).unwrap_or_default();
    // The parts before the `ref` have no space.
    let plain = format!("{} {} {} {site} {reference}", cx.now().0, flow.as_str(), returned.flow.as_str());
    let envelope = crypto::seal(cx.platform, cx.settings.keys.first(), place(cx, id), &plain).await?;
    Ok(format!("{id}.{envelope}"))
}

/// Opens a value, and lets nobody else use its flow again. A claimant that names itself by the same `key` again, since it
/// did not get the answer, is the same.
pub async fn take_over<P: Ports>(
    cx: &Context<'_, P>,
    value: &HandoffValue,
    key: Option<&str>,
) -> Result<Handoff, InstanceError> {
    const FORGED: InstanceError = InstanceError::NotGenuine("the handoff must be one that was made here");
    let (id, envelope) = value.expose().split_once('.').ok_or(FORGED)?;
    let id = InstanceId::parse(id).map_err(|_| FORGED)?;
    let plain = match crypto::open(cx.platform, cx.settings.keys.sealing(), place(cx, &id), envelope).await {
        Ok(plain) => plain,
        Err(OpenError::Platform(error)) => return Err(error.into()),
        Err(OpenError::NotSealed | OpenError::UnknownKey | OpenError::Refused) => return Err(FORGED),
    };
    let parts: Vec<&str> = plain.splitn(5, ' ').collect();
    let [at, flow, name, site, reference] = parts[..] else { return Err(FORGED) };
    let (Ok(at), Some(flow)) = (at.parse().map(Timestamp), Purpose::parse(flow)) else { return Err(FORGED) };
    cx.trace().instance(&id);
    if cx.now().since(at) > LIFE || at.since(cx.now()) > CLOCK_SKEW {
        return Err(InstanceError::NotGenuine("the handoff must not be older than five minutes"));
    }
    // The key may be a secret of the app's session.
    let by = key.map_or_else(
        || cx.trace().request_id.as_str().to_owned(),
        |key| base16ct::lower::encode_string(&Sha256::digest(key)),
    );
    let is_first = if cx.settings.events.is_bound {
        claim_in_object(cx, &id, &Claim { flow: name, by: &by, until: cx.now().plus(REMEMBERED) }).await?
    } else {
        claim_here(cx, name.to_owned(), by).await?
    };
    if !is_first {
        return Err(InstanceError::NotGenuine("the handoff must not have been used before"));
    }
    Ok(Handoff { instance_id: id, site_id: SiteId::parse(site).ok(), reference: Ref::parse(reference), flow })
}

/// The object of the installation decides who is first.
async fn claim_in_object<P: Ports>(
    cx: &Context<'_, P>,
    id: &InstanceId,
    claim: &Claim<'_>,
) -> Result<bool, InstanceError> {
    match ask(cx.platform, id.as_str(), requests::CLAIM, &claim.to_message(), deadline(cx)).await? {
        (200, _) => Ok(true),
        (409, _) => Ok(false),
        (status, _) => Err(ObjectCallError::Failed(format!("it answered {status}")).into()),
    }
}

/// Without objects: exact in this isolate, and elsewhere as soon as KV shows it there.
async fn claim_here<P: Ports>(cx: &Context<'_, P>, flow: String, by: String) -> Result<bool, InstanceError> {
    let used = &cx.cache.used_handoffs;
    if let Some(claimant) = used.get(&flow) {
        return Ok(claimant == by);
    }
    used.put(flow.clone(), by.clone());
    match cx.store().claim_handoff(&flow, &by, REMEMBERED).await {
        Ok(claimant) => {
            let is_first = claimant == by;
            used.put(flow, claimant);
            Ok(is_first)
        }
        Err(error) => {
            used.remove(&flow);
            Err(error.into())
        }
    }
}
