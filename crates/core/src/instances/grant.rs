//! Requests an access token from Wix: by the refresh token if there is one, else by client credentials with the instance
//! id. It uses no cache and records no fact.

use super::{Context, InstanceError, Ports};
use crate::store::Stored;
use crate::values::{InstanceId, RefreshToken};
use crate::wix::{Grant, Wix, WixError};

/// The cool-down: how long Wix is not asked for tokens of an instance after a permanent refusal, in seconds.
pub const COOL_DOWN: u64 = 30;
/// How long to wait before a refusal is confirmed by a second request, in milliseconds. Most transient ones end sooner.
pub const CONFIRM_AFTER_MILLIS: u64 = 2_000;

/// A grant, and what it shows about the refresh token.
pub struct Granted {
    /// The grant.
    pub grant: Grant,
    /// The state of the refresh token.
    pub refresh: Refresh,
}

/// The state of a refresh token.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Refresh {
    /// It was not looked for, or KV returns none.
    NotFound,
    /// It cannot be opened here. Another configuration may open it, so that nothing is concluded.
    Unreadable,
    /// Wix refuses it.
    Revoked,
    /// It yielded the token.
    Used,
}

/// Requests a token. With `is_custom` it looks for a refresh token. `NeedsReconnect` if Wix refuses permanently.
pub async fn request_token<P: Ports>(
    cx: &Context<'_, P>,
    wix: &Wix<'_, P>,
    id: &InstanceId,
    is_custom: bool,
) -> Result<Granted, InstanceError> {
    let stored = if is_custom { cx.store().refresh_token(id).await? } else { Stored::Absent };
    let refresh = match stored {
        Stored::Absent => Refresh::NotFound,
        Stored::Unreadable => {
            let cause = "no key of SEALING_KEYS opens it; client credentials take its place for this call";
            cx.trace().secondary("refresh_token_unreadable", cause.to_owned());
            Refresh::Unreadable
        }
        Stored::Value(token) => match by_refresh_token(cx, wix, id, token).await? {
            Some(grant) => return Ok(Granted { grant, refresh: Refresh::Used }),
            None => Refresh::Revoked,
        },
    };
    let grant = by_client_credentials(wix, id).await?;
    cx.trace().token_source("client_credentials");
    Ok(Granted { grant, refresh })
}

/// The last resort: no other grant is left, so that a refusal is confirmed.
async fn by_client_credentials<P: Ports>(wix: &Wix<'_, P>, id: &InstanceId) -> Result<Grant, InstanceError> {
    match wix.client_credentials(id).await {
        Err(WixError::Refused(_)) => {
            wix.pause(CONFIRM_AFTER_MILLIS).await?;
            match wix.client_credentials(id).await {
                Err(WixError::Refused(_)) => Err(InstanceError::NeedsReconnect),
                grant => Ok(grant?),
            }
        }
        grant => Ok(grant?),
    }
}

/// `None` if Wix refuses the refresh token.
async fn by_refresh_token<P: Ports>(
    cx: &Context<'_, P>,
    wix: &Wix<'_, P>,
    id: &InstanceId,
    stored: RefreshToken,
) -> Result<Option<Grant>, InstanceError> {
    match wix.refresh_token(&stored).await {
        Ok(mut grant) => {
            // Wix documents that the refresh token never changes. A changed one is stored all the same.
            let new = grant.refresh_token.take().filter(|new| !new.same_as(&stored));
            if let Some(new) = &new {
                // The access token is valid even if the refresh token cannot be stored. Client credentials then replace it.
                cx.note(cx.store().put_refresh_token(id, new).await);
            }
            grant.refresh_token = Some(new.unwrap_or(stored));
            cx.trace().token_source("refresh_token");
            Ok(Some(grant))
        }
        Err(WixError::Refused(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
