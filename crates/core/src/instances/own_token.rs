//! A token from the object of the installation: the request to it, and how the object answers.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::token::object_token;
use super::{Context, InstanceError, Ports};
use crate::delivery::{
    AcceptError, Installation, MessageError, ObjectCallError, ObjectPorts, ObjectReply, ask, command, requests,
};
use crate::store::{StoreError, TIMEOUT_MILLIS};
use crate::values::{AccessToken, InstanceId, Timestamp};
use crate::wix::{DEADLINE_MILLIS, Token, WixError};

/// How much longer than Wix's deadline the object may take, in milliseconds.
const MARGIN_MILLIS: u64 = 1_000;

/// The sources of a token that Wix issued for this request.
const FROM_WIX: [&str; 2] = ["refresh_token", "client_credentials"];

/// See [`requests::TOKEN`].
#[derive(Serialize, Deserialize)]
pub struct TokenRequest {
    /// The installation.
    pub instance_id: InstanceId,
    /// Whether Wix issues a new token.
    pub force: bool,
}

#[derive(Serialize, Deserialize)]
struct Sent {
    access_token: Zeroizing<String>,
    expires_at: Timestamp,
    life: u64,
    /// Where the object has it from.
    source: Cow<'static, str>,
}

/// Why there is no token.
#[derive(Serialize, Deserialize)]
enum Refusal {
    Unknown,
    Removed,
    NeedsReconnect,
    RateLimited(u64),
    Wix(WixError),
    Failed(String),
}

/// Asks the object of the installation.
pub(super) async fn from_object<P: Ports>(
    cx: &Context<'_, P>,
    id: &InstanceId,
    force: bool,
) -> Result<Token, InstanceError> {
    let request = TokenRequest { instance_id: id.clone(), force };
    let message = serde_json::to_string(&request).map_err(|_| StoreError::NotJson)?;
    let deadline = cx.trace().started_millis + DEADLINE_MILLIS + MARGIN_MILLIS;
    let (status, text) = ask(cx.platform, id.as_str(), requests::TOKEN, &message, deadline).await?;
    let text = Zeroizing::new(text);
    let malformed = |_| ObjectCallError::Failed("its answer has another form".to_owned());
    if status == 200 {
        let Sent { access_token, expires_at, life, source } = serde_json::from_str(&text).map_err(malformed)?;
        let access_token = AccessToken::new(access_token.as_str());
        let source = FROM_WIX.into_iter().find(|known| *known == source);
        if source.is_some() {
            cx.cache.credentials_refused.set(None);
        }
        cx.trace().token_source(source.unwrap_or("object"));
        return Ok(Token { access_token, expires_at, life, checked_at: cx.now() });
    }
    if status != 409 {
        return Err(ObjectCallError::Failed(format!("it answered {status}")).into());
    }
    Err(match serde_json::from_str(&text).map_err(malformed)? {
        Refusal::Unknown => InstanceError::Unknown,
        Refusal::Removed => InstanceError::Removed,
        Refusal::NeedsReconnect => InstanceError::NeedsReconnect,
        Refusal::RateLimited(wait_seconds) => InstanceError::RateLimited { wait_seconds },
        Refusal::Wix(error) => {
            if matches!(error, WixError::CredentialsRefused(_)) {
                cx.cache.credentials_refused.set(Some(cx.now()));
            }
            error.into()
        }
        Refusal::Failed(cause) => ObjectCallError::Failed(cause).into(),
    })
}

/// Asks the object when its access token was issued, while Wix waits.
pub(super) async fn issued_by_object<P: Ports>(
    cx: &Context<'_, P>,
    id: &InstanceId,
) -> Result<Option<Timestamp>, InstanceError> {
    let deadline = cx.trace().started_millis + TIMEOUT_MILLIS;
    let text = command(cx.platform, id.as_str(), requests::ISSUED, id.as_str(), deadline).await?;
    Ok(text.parse().ok().map(Timestamp))
}

/// The object's answer.
pub async fn answer_issued<P: Ports>(cx: &Context<'_, P>, id: &InstanceId) -> Result<ObjectReply, InstanceError> {
    let token = cx.store().access_token(id, cx.now()).await?;
    Ok(ObjectReply::new(200, token.map(|token| token.issued_at().0.to_string()).unwrap_or_default()))
}

/// The object's answer. An object that was given no facts yet takes those of the row.
pub async fn answer_token<O: ObjectPorts, P: Ports>(
    object: &Installation<'_, O>,
    cx: &Context<'_, P>,
    request: &TokenRequest,
) -> Result<ObjectReply, AcceptError> {
    let is_told = object.is_told()?;
    let issued = async {
        if !is_told {
            let Some(recorded) = cx.store().recorded(&request.instance_id).await? else {
                // Nothing is left of an object that a wrong id has created.
                object.erase_if_new().await?;
                return Err(InstanceError::Unknown);
            };
            super::report::report_facts(cx, &request.instance_id, &recorded.facts).await?;
        }
        object_token(cx, &request.instance_id, request.force).await
    };
    let (status, text) = match issued.await {
        Ok(token) => {
            let access_token = Zeroizing::new(token.access_token.expose().to_owned());
            let source = cx.trace().token_source_or("object").into();
            let sent = Sent { access_token, expires_at: token.expires_at, life: token.life, source };
            (200, serde_json::to_string(&sent))
        }
        Err(error) => {
            cx.trace().error(error.code(), error.cause());
            let refusal = match error {
                InstanceError::Unknown => Refusal::Unknown,
                InstanceError::Removed => Refusal::Removed,
                InstanceError::NeedsReconnect => Refusal::NeedsReconnect,
                InstanceError::RateLimited { wait_seconds } => Refusal::RateLimited(wait_seconds),
                InstanceError::Wix(error) => Refusal::Wix(error),
                error => Refusal::Failed(error.to_string()),
            };
            (409, serde_json::to_string(&refusal))
        }
    };
    // The facts of the row may be events.
    Ok(ObjectReply { delivers: !is_told, ..ObjectReply::new(status, text.map_err(|_| MessageError)?) })
}
