//! Which instances are installed.

use super::report::report_facts;
use super::{Context, InstanceError, Ports};
use crate::facts::{Fact, Instance, Status};
use crate::values::InstanceId;

/// For how long an instance that was seen to be installed is not checked again, in seconds: another isolate may have
/// received its removal.
pub const CHECK_INTERVAL: u64 = 300;

/// The instance, unless it is unknown or removed. A row with the status "removed" may be stale, so it is checked against
/// the facts before the caller is refused.
pub async fn installed<P: Ports>(cx: &Context<'_, P>, id: &InstanceId) -> Result<Instance, InstanceError> {
    let row = cx.store().instance(id).await?.ok_or(InstanceError::Unknown)?;
    if row.status != Status::Removed {
        return Ok(row);
    }
    match cx.store().folded(id).await? {
        Some(instance) if instance.status != Status::Removed => Ok(instance),
        _ => Err(InstanceError::Removed),
    }
}

/// Records a fact that the request itself established.
pub async fn record<P: Ports>(cx: &Context<'_, P>, id: &InstanceId, fact: Fact) -> Result<(), InstanceError> {
    cx.store().record(id, fact, cx.now()).await?;
    if let Some(recorded) = cx.store().reconcile(id).await? {
        cx.note(report_facts(cx, id, &recorded.facts).await);
    }
    Ok(())
}
