//! Sends a BI event.

use super::{Context, InstanceError, Ports, fresh_token};
use crate::values::InstanceId;
use crate::wix::{BiEvent, WixError};

/// Sends an event with a fresh token, and once more with a new one after a 401. The inner result is Wix's answer to the
/// event, which the caller judges.
pub async fn send_event<P: Ports>(
    cx: &Context<'_, P>,
    id: &InstanceId,
    event: &BiEvent,
) -> Result<Result<(), WixError>, InstanceError> {
    let token = fresh_token(cx, id, false).await?;
    let wix = cx.wix();
    match wix.bi_event(&token.access_token, event).await {
        Err(WixError::Refused(401)) => {
            let token = fresh_token(cx, id, true).await?;
            Ok(wix.bi_event(&token.access_token, event).await)
        }
        sent => Ok(sent),
    }
}
