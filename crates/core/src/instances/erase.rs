//! Erasure of an installation: everything that is stored of it.

use super::events::deadline;
use super::{Context, InstanceError, Ports};
use crate::delivery::{command, requests};
use crate::store::Erasure;
use crate::values::InstanceId;

/// Erases an installation, known or not. A later event of Wix's begins anew.
pub async fn erase<P: Ports>(cx: &Context<'_, P>, id: &InstanceId) -> Result<(), InstanceError> {
    // The object comes first: its deliveries write to the list of parked events.
    if cx.settings.events.is_bound {
        command(cx.platform, id.as_str(), requests::ERASE, "", deadline(cx)).await?;
    }
    let store = cx.store();
    let until_ms = Some(cx.platform.now_millis());
    store.put_erasure(&Erasure { instance: id.clone(), until: cx.clock(), until_ms }).await?;
    store.erase(id).await?;
    cx.cache.forget(cx.platform, id);
    cx.cache.cool_downs.clear(id);
    Ok(())
}
