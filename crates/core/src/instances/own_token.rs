//! A token from the object of the installation: the request to it, and how the object answers.

use zeroize::Zeroizing;

use super::token::object_token;
use super::{Context, InstanceError, Ports};
use crate::delivery::{
    AcceptError, Installation, MessageError, ObjectCallError, ObjectPorts, ObjectReply, ask, command, requests,
};
use crate::store::TIMEOUT_MILLIS;
use crate::values::{AccessToken, InstanceId, Timestamp};
use crate::wix::{DEADLINE_MILLIS, Token, WixError};

/// How much longer than Wix's deadline the object may take, in milliseconds.
const MARGIN_MILLIS: u64 = 1_000;

/// The sources of a token that Wix issued for this request.
const FROM_WIX: [&str; 2] = ["refresh_token", "client_credentials"];

/// See [`requests::TOKEN`].
pub struct TokenRequest {
    /// The installation.
    pub instance_id: InstanceId,
    /// Whether Wix issues a new token.
    pub force: bool,
}

impl TokenRequest {
    fn to_message(&self) -> String {
        format!("{} {}", self.instance_id, if self.force { "force" } else { "fresh" })
    }

    /// Parses the body of the request.
    pub fn parse(message: &str) -> Result<Self, MessageError> {
        let (id, wanted) = message.split_once(' ').ok_or(MessageError)?;
        Ok(Self { instance_id: InstanceId::parse(id).map_err(|_| MessageError)?, force: wanted == "force" })
    }
}

/// Asks the object of the installation.
pub(super) async fn from_object<P: Ports>(
    cx: &Context<'_, P>,
    id: &InstanceId,
    force: bool,
) -> Result<Token, InstanceError> {
    let message = TokenRequest { instance_id: id.clone(), force }.to_message();
    let deadline = cx.trace().started_millis + DEADLINE_MILLIS + MARGIN_MILLIS;
    let (status, text) = ask(cx.platform, id.as_str(), requests::TOKEN, &message, deadline).await?;
    let text = Zeroizing::new(text);
    let text = note_wix(cx, &text).unwrap_or_default();
    match status {
        200 => {
            token_of(cx, text).ok_or_else(|| ObjectCallError::Failed("its answer has another form".to_owned()).into())
        }
        409 => Err(error_of(cx, text)),
        _ => Err(ObjectCallError::Failed(format!("it answered {status}")).into()),
    }
}

/// Notes what the object found out about Wix: the answer begins with the number of calls and Wix's latest request id, or `-`.
/// Returns the rest.
fn note_wix<'a, P: Ports>(cx: &Context<'_, P>, text: &'a str) -> Option<&'a str> {
    let (calls, rest) = text.split_once(' ')?;
    let (request_id, rest) = rest.split_once(' ')?;
    cx.trace().wix_calls(calls.parse().ok()?);
    if request_id != "-" {
        cx.trace().wix_request_id(request_id);
    }
    Some(rest)
}

/// The token of an answer `source expires_at life token`.
fn token_of<P: Ports>(cx: &Context<'_, P>, text: &str) -> Option<Token> {
    let mut parts = text.splitn(4, ' ');
    let source = parts.next()?;
    let expires_at = Timestamp(parts.next()?.parse().ok()?);
    let life = parts.next()?.parse().ok()?;
    let access_token = AccessToken::new(parts.next()?);
    let from_wix = FROM_WIX.into_iter().find(|known| *known == source);
    if from_wix.is_some() {
        cx.cache.credentials_refused.set(None);
    }
    cx.trace().token_source(from_wix.unwrap_or("object"));
    Some(Token { access_token, expires_at, life, checked_at: cx.now() })
}

/// The error of an answer `code detail`.
fn error_of<P: Ports>(cx: &Context<'_, P>, text: &str) -> InstanceError {
    let (code, detail) = text.split_once(' ').unwrap_or((text, ""));
    match code {
        "unknown_instance" => InstanceError::Unknown,
        "removed_instance" => InstanceError::Removed,
        "needs_reconnect" => InstanceError::NeedsReconnect,
        "wix_rate_limit" => InstanceError::RateLimited { wait_seconds: detail.parse().unwrap_or(60) },
        "app_credentials_refused" => {
            cx.cache.credentials_refused.set(Some(cx.now()));
            WixError::CredentialsRefused(detail.parse().unwrap_or(401)).into()
        }
        "wix_timeout" => WixError::Deadline.into(),
        "wix_failed" => WixError::Failed(detail.to_owned()).into(),
        _ => ObjectCallError::Failed(detail.to_owned()).into(),
    }
}

/// What follows the code in the answer.
fn detail(error: &InstanceError) -> String {
    match error {
        InstanceError::RateLimited { wait_seconds } => wait_seconds.to_string(),
        InstanceError::Wix(WixError::CredentialsRefused(status)) => status.to_string(),
        error => error.to_string(),
    }
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
        Ok(Token { access_token, expires_at, life, .. }) => {
            let source = cx.trace().token_source_or("object");
            (200, format!("{source} {} {life} {}", expires_at.0, access_token.expose()))
        }
        Err(error) => (409, format!("{} {}", error.code(), detail(&error))),
    };
    let (calls, request_id) = cx.trace().of_wix();
    let text = format!("{calls} {} {text}", request_id.as_deref().unwrap_or("-"));
    // The facts of the row may be events.
    Ok(ObjectReply { delivers: !is_told, ..ObjectReply::new(status, text) })
}
