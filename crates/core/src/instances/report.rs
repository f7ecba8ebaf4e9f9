//! Reports: the object of an installation is given its facts, and tells the app each change once.

use super::{Context, InstanceError, Ports};
use crate::delivery::{ObjectCallError, command, report, requests};
use crate::facts::Fact;
use crate::store::{StoreError, TIMEOUT_MILLIS};
use crate::values::InstanceId;

/// Gives the object the facts, if objects are bound: it also counts installs and removals. After an error the recheck of the
/// instance does it again.
pub async fn report_facts<P: Ports>(cx: &Context<'_, P>, id: &InstanceId, facts: &[Fact]) -> Result<(), InstanceError> {
    if !cx.settings.events.is_bound {
        return Ok(());
    }
    let message = report::to_message(id, facts).ok_or(StoreError::NotJson)?;
    if let Some(object) = cx.own {
        let told = object.report(&message).await;
        return told.map_err(|error| ObjectCallError::Failed(error.to_string()).into());
    }
    let deadline = cx.platform.now_millis() + TIMEOUT_MILLIS;
    command(cx.platform, id.as_str(), requests::REPORT, &message, deadline).await?;
    Ok(())
}
