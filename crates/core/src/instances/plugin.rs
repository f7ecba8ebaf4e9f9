//! A verified service plugin call: forwarded to the app's back end, whose answer Wix waits for. Nothing of it is stored.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::IgnoredAny;
use sha2::{Digest as _, Sha256};

use super::event::{Sighting, record, remember};
use super::{Context, FollowUp, InstanceError, Ports};
use crate::delivery::{Post, signed_headers};
use crate::facts::{Kind, Status};
use crate::values::{InstanceId, Timestamp, json};
use crate::wix::{PluginCall, SendError};

/// How long a call may take from its start, in milliseconds.
const DEADLINE: u64 = 10_000;

/// The answer of the app's back end, and the deferred work.
pub struct PluginAnswer {
    /// The status.
    pub status: u16,
    /// The body: JSON, as the back end wrote it.
    pub json: String,
    /// The deferred work.
    pub follow_up: FollowUp,
}

/// Forwards a call to this URL, by a service binding if there is one.
pub async fn forward_plugin_call<P: Ports>(
    cx: &Context<'_, P>,
    call: &PluginCall<'_>,
    binding: Option<&'static str>,
    url: &str,
) -> Result<PluginAnswer, InstanceError> {
    let follow_up = match &call.instance {
        Some(id) => check(cx, id, call.issued_at).await?,
        None => FollowUp::Nothing,
    };
    let metadata = URL_SAFE_NO_PAD.encode(call.metadata);
    // The signature covers this id and the body. With the hash in it, the id binds the metadata to the body.
    let webhook_id = format!("plugin_{}", URL_SAFE_NO_PAD.encode(Sha256::digest(&metadata)));
    let mut headers = signed_headers(&cx.settings.events.secrets, &webhook_id, cx.clock(), call.request).to_vec();
    headers.push(("wix-edge-metadata", metadata));
    headers.extend(call.instance.as_ref().map(|id| ("wix-edge-instance-id", id.to_string())));
    headers.extend(call.request_id.clone().map(|id| ("wix-edge-request-id", id)));
    let post = Post { url, binding, headers: &headers, body: call.request };
    let left = (cx.trace().started_millis + DEADLINE).saturating_sub(cx.platform.now_millis());
    let answer = cx.platform.call(post, Duration::from_millis(left)).await;
    let (status, body) = answer.map_err(|error| match error {
        SendError::Timeout => InstanceError::PluginTimeout,
        SendError::Unreachable => {
            InstanceError::PluginFailed("it could not be reached, or its answer broke off or has more than 1 MiB")
        }
    })?;
    if (300..400).contains(&status) {
        return Err(InstanceError::PluginFailed("it answered with a redirect"));
    }
    let json = String::from_utf8(body).ok().filter(|text| json::parse::<IgnoredAny>(text).is_ok());
    let json = json.ok_or(InstanceError::PluginFailed("its answer is no JSON"))?;
    cx.trace().outcome(if follow_up == FollowUp::Nothing { "passed_on" } else { "stored" });
    Ok(PluginAnswer { status, json, follow_up })
}

/// Compares the call with the record. An unknown installation is recorded, since the call is signed; a removed one is refused.
async fn check<P: Ports>(cx: &Context<'_, P>, id: &InstanceId, at: Timestamp) -> Result<FollowUp, InstanceError> {
    let seen = || record(cx, id, at, vec![Kind::Seen], None);
    let recorded = match Sighting::of(cx, id, at).await? {
        Sighting::Recent => return Ok(FollowUp::Nothing),
        Sighting::Expected { .. } => {
            remember(cx, id);
            return Ok(FollowUp::Nothing);
        }
        // The row may be stale.
        Sighting::Removed => {
            return match cx.store_in_time().folded(id).await? {
                Some(instance) if instance.status != Status::Removed => Ok(FollowUp::Nothing),
                _ => Err(InstanceError::Removed),
            };
        }
        Sighting::Contradicted => seen().await?,
        Sighting::Unknown => match seen().await {
            Ok(recorded) => recorded,
            // Wix waits, and the next call will tell as much.
            Err(error) => {
                cx.note::<()>(Err(error));
                return Ok(FollowUp::Nothing);
            }
        },
    };
    if recorded.is_removed { Err(InstanceError::Removed) } else { Ok(recorded.follow_up) }
}
