//! The end of the external install flow: a signed instance is the proof, since Wix sends no code (docs/wix.md, 3.2).

use super::handoff::with_ref;
use super::{Context, InstanceError, Ports};
use crate::crypto::state::Returned;
use crate::facts::{Fact, Kind, Status};
use crate::values::{CLOCK_SKEW, InstanceId, Timestamp};
use crate::wix::{SignedInstance, signed_instance};

/// Verifies a signed instance as the proof that `named` was installed in a flow that began at `began_at`.
pub fn prove_external<P: Ports>(
    cx: &Context<'_, P>,
    value: &str,
    named: &InstanceId,
    began_at: Timestamp,
) -> Result<SignedInstance, InstanceError> {
    let wix = &cx.settings.wix;
    let signed = signed_instance::verify(wix.app_secrets(), &wix.app_id, cx.now(), value);
    let signed = signed.map_err(|unproven| InstanceError::NotProven(unproven.0))?;
    if signed.instance != *named {
        return Err(InstanceError::NotProven("the signed instance is another than the browser named"));
    }
    if signed.demo_mode {
        return Err(InstanceError::NotProven("the signed instance is in demo mode"));
    }
    if began_at.since(signed.signed_at) > CLOCK_SKEW {
        return Err(InstanceError::NotProven("the instance was signed before this flow began"));
    }
    Ok(signed)
}

/// Stores the installation, unless it is stored. Returns whether it was new. The fact has Wix's time, so that opening the
/// address again has no further effect.
pub async fn finish_external<P: Ports>(
    cx: &Context<'_, P>,
    returned: &Returned,
    signed: SignedInstance,
) -> Result<bool, InstanceError> {
    let SignedInstance { instance: id, site, signed_at, .. } = signed;
    let facts = with_ref(Fact::new(signed_at, Kind::Joined { site }), returned);
    let (flows, key) = (&cx.cache.external_flows, (returned.flow.clone(), id));
    let id = &key.1;
    if flows.get(&key) == Some(signed_at) || cx.store().knows(id, &facts).await? {
        flows.put(key, signed_at);
        return Ok(false);
    }
    let recorded = cx.store().record_external_flow(id, facts, cx.now()).await?;
    if recorded.instance.status != Status::Removed {
        cx.cache.cool_downs.clear(id);
    }
    flows.put(key, signed_at);
    Ok(true)
}
