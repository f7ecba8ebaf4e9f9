//! Erasure of an installation: everything that is stored of it.

use super::{Context, InstanceError, Ports};
use crate::delivery::{command, requests};
use crate::store::Erasure;
use crate::values::InstanceId;

/// How long the object may take, in milliseconds.
const TIMEOUT: u64 = 5_000;

/// Erases an installation, known or not. A later event of Wix's begins anew.
pub async fn erase<P: Ports>(cx: &Context<'_, P>, id: &InstanceId) -> Result<(), InstanceError> {
    // The object comes first: its deliveries write to the list of parked events.
    if cx.settings.events.is_bound {
        let deadline = cx.platform.now_millis() + TIMEOUT;
        command(cx.platform, id.as_str(), requests::ERASE, "", deadline).await?;
    }
    let store = cx.store();
    store.put_erasure(&Erasure { instance: id.clone(), until: cx.now() }).await?;
    store.erase(id).await?;
    cx.cache.forget(id);
    cx.cache.cool_downs.clear(id);
    Ok(())
}
