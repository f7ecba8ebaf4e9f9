//! Statistics, which the app's object counts.

use super::events::deadline;
use super::{Context, InstanceError, Ports};
use crate::delivery::{Day, DaysRequest, ObjectCallError, command, requests};
use crate::store::StoreError;

/// The latest `count` days, the oldest first.
pub async fn statistics<P: Ports>(cx: &Context<'_, P>, count: u16) -> Result<Vec<Day>, InstanceError> {
    let request = serde_json::to_string(&DaysRequest { count, now: cx.now() }).map_err(|_| StoreError::NotJson)?;
    let app = cx.settings.wix.app_id.as_str();
    let text = command(cx.platform, app, requests::DAYS, &request, deadline(cx)).await?;
    let malformed = |_| ObjectCallError::Failed("its answer has another form".to_owned());
    Ok(serde_json::from_str(&text).map_err(malformed)?)
}
