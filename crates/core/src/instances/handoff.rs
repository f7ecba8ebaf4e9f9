//! The hand-over of an installation to the app's back end: the browser brings a sealed value from the end of its flow, which
//! the back end exchanges, once, for what the flow has established.
//!
//! The value is `<instance id>.<envelope>`. The id names the object that knows whether the value was used, and the
//! installation whose record the back end reads if the answer to the exchange is lost.

use serde::{Deserialize, Serialize};

use super::events::deadline;
use super::{Context, InstanceError, Ports};
use crate::crypto::state::{self, Purpose, Returned};
use crate::crypto::{self, OpenError, Place};
use crate::delivery::{Claim, ObjectCallError, ask, requests};
use crate::facts::{Fact, Kind};
use crate::store::StoreError;
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

#[derive(Serialize, Deserialize)]
struct Sealed {
    site: Option<SiteId>,
    #[serde(rename = "ref")]
    reference: Option<Ref>,
    flow: Purpose,
    /// The name of the flow.
    name: String,
    /// When it was sealed.
    at: Timestamp,
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
    returned: Returned,
) -> Result<String, InstanceError> {
    let Returned { flow: name, reference, .. } = returned;
    let sealed = Sealed { site, reference, flow, name: name.as_str().to_owned(), at: cx.now() };
    let plain = serde_json::to_string(&sealed).map_err(|_| StoreError::NotJson)?;
    let envelope = crypto::seal(cx.platform, cx.settings.keys.first(), place(cx, id), &plain).await?;
    Ok(format!("{id}.{envelope}"))
}

/// Opens a value, and lets nobody use its flow again.
pub async fn take_over<P: Ports>(cx: &Context<'_, P>, value: &HandoffValue) -> Result<Handoff, InstanceError> {
    const FORGED: InstanceError = InstanceError::NotGenuine("the handoff must be one that was made here");
    let (id, envelope) = value.expose().split_once('.').ok_or(FORGED)?;
    let id = InstanceId::parse(id).map_err(|_| FORGED)?;
    let plain = match crypto::open(cx.platform, cx.settings.keys.sealing(), place(cx, &id), envelope).await {
        Ok(plain) => plain,
        Err(OpenError::Platform(error)) => return Err(error.into()),
        Err(OpenError::NotSealed | OpenError::UnknownKey | OpenError::Refused) => return Err(FORGED),
    };
    let sealed: Sealed = serde_json::from_slice(plain.as_bytes()).map_err(|_| FORGED)?;
    cx.trace().instance(&id);
    if cx.now().since(sealed.at) > LIFE || sealed.at.since(cx.now()) > CLOCK_SKEW {
        return Err(InstanceError::NotGenuine("the handoff must not be older than five minutes"));
    }
    let is_first = if cx.settings.events.is_bound {
        claim_in_object(cx, &id, &sealed.name).await?
    } else {
        claim_here(cx, &sealed.name).await?
    };
    if !is_first {
        return Err(InstanceError::NotGenuine("the handoff must not have been used before"));
    }
    let Sealed { site, reference, flow, .. } = sealed;
    Ok(Handoff { instance_id: id, site_id: site, reference, flow })
}

/// The object of the installation decides who is first.
async fn claim_in_object<P: Ports>(cx: &Context<'_, P>, id: &InstanceId, flow: &str) -> Result<bool, InstanceError> {
    // A call that is repeated after a lost answer is the same claim.
    let claim =
        Claim { flow: flow.into(), by: cx.trace().request_id.as_str().into(), until: cx.now().plus(REMEMBERED) };
    let claim = serde_json::to_string(&claim).map_err(|_| StoreError::NotJson)?;
    match ask(cx.platform, id.as_str(), requests::CLAIM, &claim, deadline(cx)).await? {
        (200, _) => Ok(true),
        (409, _) => Ok(false),
        (status, _) => Err(ObjectCallError::Failed(format!("it answered {status}")).into()),
    }
}

/// Without objects: exact in this isolate, and elsewhere as soon as KV shows it there.
async fn claim_here<P: Ports>(cx: &Context<'_, P>, flow: &str) -> Result<bool, InstanceError> {
    let (used, flow) = (&cx.cache.used_handoffs, flow.to_owned());
    if used.contains(&flow, cx.now()) {
        return Ok(false);
    }
    used.set(flow.clone(), cx.now().plus(REMEMBERED));
    let claimed = cx.store().claim_handoff(&flow, REMEMBERED).await;
    if claimed.is_err() {
        used.clear(&flow);
    }
    Ok(claimed?)
}
