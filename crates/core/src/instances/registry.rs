//! Which instances are known and installed.

use super::report::report_facts;
use super::{Context, InstanceError, Ports};
use crate::facts::{Fact, Instance, Kind, Status};
use crate::values::{InstanceId, SiteId};

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

/// Records a verified instance if it is unknown, and its site if that is unknown. A removal stays as it is.
pub async fn learn<P: Ports>(cx: &Context<'_, P>, id: &InstanceId, site: Option<&SiteId>) -> Result<(), InstanceError> {
    let seen = &cx.cache.seen_installed;
    if seen.contains(id, cx.now()) {
        return Ok(());
    }
    let store = cx.store_in_time();
    let site = site.map(|site| Kind::Site { site: site.clone() });
    let kinds: Vec<Kind> = match store.instance(id).await? {
        None => [Some(Kind::Seen), site].into_iter().flatten().collect(),
        Some(known) if known.status == Status::Removed => return Ok(()),
        Some(known) if known.site_id.is_none() && site.is_some() => site.into_iter().collect(),
        Some(_) => {
            seen.set(id.clone(), cx.now().plus(CHECK_INTERVAL));
            return Ok(());
        }
    };
    store.record_facts(id, kinds.into_iter().map(|kind| Fact::new(cx.now(), kind)).collect(), cx.now()).await?;
    Ok(())
}
