//! Statistics, which the app's object counts.

use super::events::deadline;
use super::{Context, InstanceError, Ports};
use crate::delivery::{command, requests};

/// The latest `count` days as JSON, the oldest first.
pub async fn statistics<P: Ports>(cx: &Context<'_, P>, count: u16) -> Result<String, InstanceError> {
    let request = format!("{count} {}", cx.now().0);
    let app = cx.settings.wix.app_id.as_str();
    Ok(command(cx.platform, app, requests::DAYS, &request, deadline(cx)).await?)
}
