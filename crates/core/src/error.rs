//! Every way in which a request can fail: whose fault it is, what the caller is told, and what to do next.
//!
//! Nothing that came from outside is quoted, so no error can carry a token, a code, a secret or a query string.

use http::StatusCode;

use crate::api_key::Scope;
use crate::config::Fault;
use crate::jwt::JwtError;
use crate::platform::{BodyError, PlatformError};
use crate::state::StateError;
use crate::token::COOL_DOWN;
use crate::wix::WixError;

/// A failed request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// No such route.
    NotFound,
    /// The route exists for other methods, named here.
    MethodNotAllowed(&'static str),
    /// A parameter or body is missing or malformed: its name, and what is wrong with it.
    BadRequest(&'static str, &'static str),
    /// The body is longer than its limit, in bytes.
    TooLarge(usize),
    /// The operator has values to mend.
    Misconfigured(Vec<Fault>),
    /// The state of an install flow.
    State(StateError),
    /// Wix says that the code is used, expired, or not for this app; or it said so of an earlier one of the same flow.
    CodeRefused(Option<u16>),
    /// A browser looks ahead at an address that may be opened once.
    Prefetch,
    /// Wix installed the app, and the result could not be stored.
    InstallNotStored(String),
    /// The token that Wix gave is not for the instance that the browser named.
    NotProven(&'static str),
    /// Wix's signature on a message.
    Signature(&'static str),
    /// A message that is signed and not valid now.
    NotNow(&'static str),
    /// A signed message that cannot be understood.
    Message(&'static str),
    /// No key, or one that is not known.
    Unauthorized,
    /// The key's scopes do not allow it.
    Forbidden(Scope),
    /// No such instance.
    UnknownInstance,
    /// The app was removed from that site.
    RemovedInstance,
    /// Wix refuses tokens for that instance for good.
    NeedsReconnect,
    /// Wix refuses the app's own credentials.
    CredentialsRefused(u16),
    /// A key came over plain http from a public host.
    HttpsRequired,
    /// One address began too many flows.
    TooManyFlows,
    /// Too many bytes of bodies are being read at this moment.
    Busy,
    /// A value that was shown to be looked at is not genuine, not this app's, or not good any more.
    NotGenuine(&'static str),
    /// `FINISH_CONFIGURATION` is `never`.
    FinishDisabled,
    /// Wix does not take the BI event.
    EventRefused,
    /// Wix does not let the app send BI events.
    EventNotPermitted,
    /// Wix could not be reached, or failed.
    WixFailed(String),
    /// Wix did not answer within the deadline.
    WixTimeout,
    /// KV failed or was too slow.
    Store(String),
    /// A fault of our own or of the platform.
    Internal(String),
}

/// What the caller is told.
pub struct Notice {
    /// The status.
    pub status: StatusCode,
    /// A name for programs.
    pub code: &'static str,
    /// What happened, in a few words.
    pub title: &'static str,
    /// More, and what to do next.
    pub detail: String,
}

impl Error {
    /// What the caller is told.
    #[must_use]
    #[expect(clippy::too_many_lines, reason = "a table: one row an error")]
    pub fn notice(&self) -> Notice {
        let notice = |status, code, title, detail: &str| Notice { status, code, title, detail: detail.to_owned() };
        match self {
            Self::NotFound => notice(StatusCode::NOT_FOUND, "not_found", "There is nothing here", "Check the address."),
            Self::MethodNotAllowed(allowed) => notice(
                StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                "This address does not take that method",
                &format!("It takes {allowed}."),
            ),
            Self::BadRequest(name, problem) => notice(
                StatusCode::BAD_REQUEST,
                "bad_request",
                "The request is not complete or not well formed",
                &format!("{name}: {problem}."),
            ),
            Self::TooLarge(limit) => notice(
                StatusCode::PAYLOAD_TOO_LARGE,
                "too_large",
                "The body is too large",
                &format!("At most {limit} bytes are taken."),
            ),
            Self::Misconfigured(_) => notice(
                StatusCode::SERVICE_UNAVAILABLE,
                "not_configured",
                "This server is not set up yet",
                "Whoever runs it finds at /readyz what is missing.",
            ),
            Self::State(StateError::Expired) => notice(
                StatusCode::FORBIDDEN,
                "state_expired",
                "The installation took longer than ten minutes",
                "Close this window and start the installation again from Wix.",
            ),
            // Where it began at another origin, it begins again there before anybody is told.
            Self::State(StateError::OtherBrowser | StateError::OtherOrigin) => notice(
                StatusCode::FORBIDDEN,
                "state_other_browser",
                "The installation was started in another browser, or this one keeps no cookies",
                "Allow cookies for this site, close this window and start the installation again from Wix.",
            ),
            Self::State(StateError::Invalid) => notice(
                StatusCode::FORBIDDEN,
                "state_invalid",
                "This installation was not started here",
                "Close this window and start the installation again from Wix.",
            ),
            Self::CodeRefused(_) => notice(
                StatusCode::BAD_REQUEST,
                "code_refused",
                "Wix did not accept this installation's code",
                "A code is good for one use within ten minutes. If the app shows as installed in Wix, all is well; else start the installation again.",
            ),
            Self::Prefetch => notice(
                StatusCode::SERVICE_UNAVAILABLE,
                "prefetch",
                "This link cannot be prefetched",
                "Open it in a browser tab.",
            ),
            Self::InstallNotStored(_) => notice(
                StatusCode::SERVICE_UNAVAILABLE,
                "install_not_stored",
                "Wix has installed the app, but this server could not save that",
                "Reload this page in a moment: that works for ten minutes and installs nothing twice.",
            ),
            Self::NotProven(_) => notice(
                StatusCode::FORBIDDEN,
                "instance_not_proven",
                "Wix's answer does not belong to this installation",
                "Nothing was stored. Close this window and start the installation again from Wix.",
            ),
            Self::Signature(problem) => notice(
                StatusCode::UNAUTHORIZED,
                "bad_signature",
                "The message is not signed by Wix for this app",
                &format!("{problem}. Compare WIX_PUBLIC_KEYS with the app dashboard."),
            ),
            Self::NotNow(problem) => notice(
                StatusCode::UNAUTHORIZED,
                "not_valid_now",
                "The message is not valid at this time",
                &format!("{problem}."),
            ),
            Self::Message(problem) => notice(
                StatusCode::BAD_REQUEST,
                "malformed_message",
                "The message cannot be understood",
                &format!("{problem}."),
            ),
            Self::Unauthorized => notice(
                StatusCode::UNAUTHORIZED,
                "unauthorized",
                "An API key is needed",
                "Send one of API_KEYS as `Authorization: Bearer <key>`.",
            ),
            Self::Forbidden(scope) => notice(
                StatusCode::FORBIDDEN,
                "forbidden",
                "This key may not do that",
                &format!("It lacks the scope `{}`.", scope.name()),
            ),
            Self::UnknownInstance => notice(
                StatusCode::NOT_FOUND,
                "unknown_instance",
                "No such instance",
                "It is known once Wix's AppInstalled webhook or an installation has come through here.",
            ),
            Self::RemovedInstance => notice(
                StatusCode::GONE,
                "removed_instance",
                "The app was removed from this site",
                "It comes back when the site owner installs it again.",
            ),
            Self::NeedsReconnect => notice(
                StatusCode::CONFLICT,
                "needs_reconnect",
                "Wix refuses tokens for this instance",
                &format!(
                    "Ask the site owner to install the app again; where it happens to all sites at once, check \
                     WIX_APP_SECRET. Wix is not asked more than once in {COOL_DOWN} seconds."
                ),
            ),
            Self::CredentialsRefused(_) => notice(
                StatusCode::SERVICE_UNAVAILABLE,
                "app_credentials_refused",
                "Wix refuses the app's own credentials",
                "No site is at fault. The operator of this server must compare WIX_APP_ID and WIX_APP_SECRET with the Wix \
                 app dashboard (Develop, OAuth).",
            ),
            Self::HttpsRequired => notice(
                StatusCode::FORBIDDEN,
                "https_required",
                "API keys are taken over https only",
                "Call this address with https. A key that was sent over http may have been read on the way: replace it.",
            ),
            Self::TooManyFlows => notice(
                StatusCode::TOO_MANY_REQUESTS,
                "too_many_flows",
                "Too many installations were started from your network",
                "Wait a minute, then start the installation again.",
            ),
            Self::Busy => notice(
                StatusCode::SERVICE_UNAVAILABLE,
                "busy",
                "Too many large messages are being received at this moment",
                "Send it again in a moment.",
            ),
            Self::NotGenuine(problem) => notice(
                StatusCode::UNPROCESSABLE_ENTITY,
                "not_genuine",
                "The value proves nobody's identity",
                &format!("{problem}. Turn away whoever sent it."),
            ),
            Self::FinishDisabled => notice(
                StatusCode::CONFLICT,
                "finish_configuration_disabled",
                "APP_FINISHED_CONFIGURATION is never sent",
                "FINISH_CONFIGURATION is set to never.",
            ),
            Self::EventRefused => notice(
                StatusCode::BAD_REQUEST,
                "event_refused",
                "Wix does not take this event",
                "It is well formed as far as Wix documents; Wix's support finds the reason by the wix_request_id in the log.",
            ),
            Self::EventNotPermitted => notice(
                StatusCode::BAD_GATEWAY,
                "event_not_permitted",
                "Wix does not let this app send BI events",
                "Give the app the permission Manage Your App in the Wix app dashboard; sites agree to it with the app's next version.",
            ),
            Self::WixFailed(_) => notice(
                StatusCode::BAD_GATEWAY,
                "wix_failed",
                "Wix could not be reached or did not answer as it should",
                "Try again in a moment.",
            ),
            Self::WixTimeout => notice(
                StatusCode::GATEWAY_TIMEOUT,
                "wix_timeout",
                "Wix did not answer in time",
                "Try again in a moment.",
            ),
            Self::Store(_) => notice(
                StatusCode::SERVICE_UNAVAILABLE,
                "store_failed",
                "The records could not be read or written",
                "Nothing is lost: try again in a moment.",
            ),
            Self::Internal(_) => notice(
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal",
                "Something went wrong on this server",
                "Try again; if it stays, tell whoever runs this server the request id.",
            ),
        }
    }

    /// More than the caller is told, for the log.
    #[must_use]
    pub fn cause(&self) -> Option<String> {
        match self {
            Self::WixFailed(cause) | Self::Store(cause) | Self::InstallNotStored(cause) | Self::Internal(cause) => {
                Some(cause.clone())
            }
            Self::NotProven(cause) | Self::NotGenuine(cause) => Some((*cause).to_owned()),
            Self::CodeRefused(Some(status)) | Self::CredentialsRefused(status) => {
                Some(format!("Wix answered {status}"))
            }
            Self::CodeRefused(None) => Some("Wix refused an earlier code of this flow and was not asked".to_owned()),
            Self::Misconfigured(faults) => Some(
                faults
                    .iter()
                    .map(|fault| format!("{}: {}. {}", fault.name, fault.problem, fault.fix))
                    .collect::<Vec<_>>()
                    .join(" "),
            ),
            Self::BadRequest(..) | Self::Signature(_) | Self::NotNow(_) | Self::Message(_) => {
                Some(self.notice().detail)
            }
            _ => None,
        }
    }
}

impl From<StateError> for Error {
    fn from(error: StateError) -> Self {
        Self::State(error)
    }
}

impl From<PlatformError> for Error {
    fn from(error: PlatformError) -> Self {
        Self::Internal(error.0)
    }
}

impl From<JwtError> for Error {
    fn from(error: JwtError) -> Self {
        match error {
            JwtError::Malformed(problem) => Self::Message(problem),
            JwtError::BadSignature(problem) => Self::Signature(problem),
            JwtError::NotNow(problem) => Self::NotNow(problem),
            JwtError::Platform(error) => error.into(),
        }
    }
}

impl From<WixError> for Error {
    fn from(error: WixError) -> Self {
        match error {
            WixError::Refused(status) => Self::WixFailed(format!("Wix answered {status}")),
            WixError::CredentialsRefused(status) => Self::CredentialsRefused(status),
            WixError::NotFromWix(status) => Self::WixFailed(format!(
                "an answer {status} without Wix's JSON error: a firewall or a proxy on the way to Wix"
            )),
            WixError::Failed(cause) => Self::WixFailed(cause),
            WixError::Deadline => Self::WixTimeout,
        }
    }
}

impl Error {
    /// A body that could not be read.
    #[must_use]
    pub fn body(error: BodyError, limit: usize) -> Self {
        match error {
            BodyError::TooLarge => Self::TooLarge(limit),
            BodyError::Broken => Self::BadRequest("body", "it broke off"),
            BodyError::Busy => Self::Busy,
        }
    }
}
