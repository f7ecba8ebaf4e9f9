//! Every way in which a request can fail: its status, its code, the text for the caller, and the cause for the log.
//!
//! No text quotes the request, so that no error can contain a token, a code, a secret or a query string.

use http::{Method, StatusCode};

use super::{BodyError, Scope};
use crate::crypto::state::StateError;
use crate::instances::{COOL_DOWN, InstanceError};
use crate::store::StoreError;
use crate::values::Fault;
use crate::wix::{BiEventError, EventError, JwsError, WixError};

/// A failed request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.notice().title)]
pub enum Error {
    /// There is no such route.
    NotFound,
    /// The route does not accept the method. These are the methods that it accepts.
    MethodNotAllowed(Vec<Method>),
    /// A parameter, header or body is missing or malformed: its name, and what it must be.
    BadRequest(&'static str, &'static str),
    /// The body is longer than its limit, in bytes.
    TooLarge(usize),
    /// The configuration has faults.
    Misconfigured(Vec<Fault>),
    /// The state of an install flow is refused.
    State(StateError),
    /// A browser prefetches an address that must be opened once.
    Prefetch,
    /// A webhook is refused.
    Jws(JwsError),
    /// The payload of a verified webhook cannot be used.
    Event(EventError),
    /// The API key is missing or unknown.
    Unauthorized,
    /// The API key lacks a scope.
    Forbidden(Scope),
    /// An API key was sent over plain http to a public host.
    HttpsRequired,
    /// Too many flows began at one address.
    TooManyFlows,
    /// The isolate holds too many bytes of bodies.
    Busy,
    /// The use case failed.
    Instance(InstanceError),
}

/// What the caller is told about an error.
pub struct Notice {
    /// The status.
    pub status: StatusCode,
    /// The code, for programs. It never changes.
    pub code: &'static str,
    /// What happened.
    pub title: &'static str,
    /// Details, and what to do next.
    pub detail: String,
}

impl Error {
    /// What the caller is told.
    #[must_use]
    pub fn notice(&self) -> Notice {
        let notice = |status, code, title, detail: &str| Notice { status, code, title, detail: detail.to_owned() };
        match self {
            Self::NotFound => {
                notice(StatusCode::NOT_FOUND, "not_found", "There is nothing at this address", "Check the address.")
            }
            Self::MethodNotAllowed(allowed) => notice(
                StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                "This address does not accept that method",
                &format!("It accepts {}.", list(allowed)),
            ),
            Self::BadRequest(name, problem) => notice(
                StatusCode::BAD_REQUEST,
                "bad_request",
                "The request is incomplete or malformed",
                &format!("{name}: {problem}."),
            ),
            Self::TooLarge(limit) => notice(
                StatusCode::PAYLOAD_TOO_LARGE,
                "too_large",
                "The body is too large",
                &format!("It must have at most {limit} bytes."),
            ),
            Self::Misconfigured(_) => notice(
                StatusCode::SERVICE_UNAVAILABLE,
                "not_configured",
                "This server is not set up yet",
                "Its operator finds at /readyz what is missing.",
            ),
            // Only site owners meet these: a page tells them what to do (`owner.rs`).
            Self::State(StateError::Expired) => {
                notice(StatusCode::FORBIDDEN, "state_expired", "The installation took too long", "")
            }
            // A flow from another origin begins again there, so that its browser gets no error.
            Self::State(StateError::OtherBrowser | StateError::OtherOrigin) => {
                notice(StatusCode::FORBIDDEN, "state_other_browser", "The installation began in another browser", "")
            }
            Self::State(StateError::Invalid) => {
                notice(StatusCode::FORBIDDEN, "state_invalid", "This installation was not started here", "")
            }
            Self::Prefetch => notice(StatusCode::SERVICE_UNAVAILABLE, "prefetch", "This link cannot be prefetched", ""),
            Self::TooManyFlows => {
                notice(StatusCode::TOO_MANY_REQUESTS, "too_many_flows", "Too many installations were started", "")
            }
            Self::Jws(JwsError::BadSignature(problem)) => notice(
                StatusCode::UNAUTHORIZED,
                "bad_signature",
                "The message is not signed by Wix for this app",
                &format!("{problem}. Compare WIX_PUBLIC_KEYS with the app dashboard."),
            ),
            Self::Jws(JwsError::NotNow(problem)) => notice(
                StatusCode::UNAUTHORIZED,
                "not_valid_now",
                "The message is not valid at this time",
                &format!("{problem}."),
            ),
            Self::Jws(JwsError::NotForUs(problem)) => notice(
                StatusCode::UNAUTHORIZED,
                "bad_claims",
                "The message is not from Wix for this app",
                &format!("{problem}."),
            ),
            Self::Jws(JwsError::Malformed(problem)) | Self::Event(EventError(problem)) => {
                notice(StatusCode::BAD_REQUEST, "malformed_message", "The message is malformed", &format!("{problem}."))
            }
            Self::Unauthorized => notice(
                StatusCode::UNAUTHORIZED,
                "unauthorized",
                "An API key is required",
                "Send one of API_KEYS as `Authorization: Bearer <key>`.",
            ),
            Self::Forbidden(scope) => notice(
                StatusCode::FORBIDDEN,
                "forbidden",
                "This API key does not have the required scope",
                &format!("It must have the scope `{}`.", scope.name()),
            ),
            Self::HttpsRequired => notice(
                StatusCode::FORBIDDEN,
                "https_required",
                "API keys are accepted over https only",
                "Use https. Replace a key that was sent over http: it may have been read on the way.",
            ),
            Self::Busy => notice(
                StatusCode::SERVICE_UNAVAILABLE,
                "busy",
                "Too many large messages are being received",
                "Send the message again in a moment.",
            ),
            Self::Jws(JwsError::Platform(_)) => internal("internal"),
            Self::Instance(error) => instance(error),
        }
    }

    /// The cause, which only the log shows.
    #[must_use]
    pub fn cause(&self) -> Option<String> {
        match self {
            Self::Misconfigured(faults) => Some(
                faults
                    .iter()
                    .map(|fault| format!("{}: {}. {}", fault.name, fault.problem, fault.fix))
                    .collect::<Vec<_>>()
                    .join(" "),
            ),
            Self::Jws(JwsError::Platform(error)) => Some(error.to_string()),
            Self::BadRequest(..) | Self::Jws(_) | Self::Event(_) => Some(self.notice().detail),
            Self::Instance(error) => error.cause(),
            _ => None,
        }
    }

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

/// What the caller is told about a failed use case.
#[expect(clippy::too_many_lines, reason = "a table: one row for each error")]
fn instance(error: &InstanceError) -> Notice {
    let notice = |status, title, detail: &str| Notice { status, code: error.code(), title, detail: detail.to_owned() };
    match error {
        InstanceError::Unknown => notice(
            StatusCode::NOT_FOUND,
            "The instance is unknown",
            "It becomes known by Wix's AppInstalled webhook, or by an installation through this server.",
        ),
        InstanceError::Removed => notice(
            StatusCode::GONE,
            "The app was removed from this site",
            "The instance becomes available when the site owner installs the app again.",
        ),
        InstanceError::NeedsReconnect => notice(
            StatusCode::CONFLICT,
            "Wix refuses tokens for this instance",
            &format!(
                "Ask the site owner to install the app again. If all sites are affected, check WIX_APP_SECRET. Wix is \
                 asked at most once in {COOL_DOWN} seconds."
            ),
        ),
        // Only site owners meet these: a page tells them what to do (`owner.rs`).
        InstanceError::CodeRefused(_) => {
            notice(StatusCode::BAD_REQUEST, "Wix did not accept this installation's code", "")
        }
        InstanceError::NotProven(_) => {
            notice(StatusCode::FORBIDDEN, "Wix's answer does not belong to this installation", "")
        }
        InstanceError::NotStored(_) => {
            notice(StatusCode::SERVICE_UNAVAILABLE, "Wix has installed the app, but this server could not save it", "")
        }
        InstanceError::NotGenuine(problem) => notice(
            StatusCode::UNPROCESSABLE_ENTITY,
            "The value does not prove an identity",
            &format!("{problem}. Refuse the request that contained it."),
        ),
        InstanceError::SetupDisabled => notice(
            StatusCode::CONFLICT,
            "APP_FINISHED_CONFIGURATION is disabled",
            "FINISH_CONFIGURATION is set to never.",
        ),
        InstanceError::EventRefused => notice(
            StatusCode::BAD_REQUEST,
            "Wix refused this event",
            "It is valid as far as Wix documents. Give Wix's support the wix_request_id from the log.",
        ),
        InstanceError::EventNotPermitted => notice(
            StatusCode::BAD_GATEWAY,
            "Wix does not permit this app to send BI events",
            "Give the app the permission Manage Your App in the Wix app dashboard. Sites agree to it with the app's next \
             version.",
        ),
        InstanceError::UnknownEvent => notice(
            StatusCode::NOT_FOUND,
            "The event is unknown",
            "GET /v1/instances/{id}/events lists the events of an installation. A delivered one is forgotten after five days.",
        ),
        InstanceError::ErasedEvent => notice(
            StatusCode::GONE,
            "The content of the event was erased",
            "A delivered event can be sent again for EVENTS_RETAIN_HOURS, a parked one for 30 days.",
        ),
        InstanceError::NoPluginTarget => notice(
            StatusCode::NOT_FOUND,
            "This server forwards no service plugin calls",
            "Its operator must set PLUGINS_URL or PLUGINS_TARGET.",
        ),
        InstanceError::PluginFailed(problem) => notice(
            StatusCode::BAD_GATEWAY,
            "The app did not answer the call",
            &format!("{problem}. The app must answer with JSON at the URL that PLUGINS_URL or PLUGINS_TARGET names."),
        ),
        InstanceError::PluginTimeout => notice(
            StatusCode::GATEWAY_TIMEOUT,
            "The app did not answer the call in time",
            "It must answer within 10 seconds.",
        ),
        InstanceError::Wix(WixError::CredentialsRefused(_)) => notice(
            StatusCode::SERVICE_UNAVAILABLE,
            "Wix refuses the app's own credentials",
            "No site is at fault. The operator of this server must compare WIX_APP_ID and WIX_APP_SECRET with the Wix \
             app dashboard (Develop, OAuth).",
        ),
        InstanceError::RateLimited { .. } => notice(
            StatusCode::TOO_MANY_REQUESTS,
            "The installation has used up its calls to Wix for this minute",
            "Call again after the time in `Retry-After`. `WIX_RATE_LIMIT` sets the limit.",
        ),
        InstanceError::Wix(WixError::Deadline) => {
            notice(StatusCode::GATEWAY_TIMEOUT, "Wix did not answer in time", "Try again in a moment.")
        }
        InstanceError::Wix(_) => notice(
            StatusCode::BAD_GATEWAY,
            "Wix could not be reached, or its answer cannot be used",
            "Try again in a moment.",
        ),
        InstanceError::Store(StoreError::NotJson | StoreError::Platform(_)) | InstanceError::Platform(_) => {
            internal(error.code())
        }
        InstanceError::Store(_) | InstanceError::Object(_) | InstanceError::SetupNotRecorded => notice(
            StatusCode::SERVICE_UNAVAILABLE,
            "The records could not be read or written",
            "Nothing is lost. Try again in a moment.",
        ),
    }
}

fn internal(code: &'static str) -> Notice {
    Notice {
        status: StatusCode::INTERNAL_SERVER_ERROR,
        code,
        title: "An internal error occurred",
        detail: "Try again. If the error persists, give the request id to the operator of this server.".to_owned(),
    }
}

/// Methods in the form of the header `Allow`.
pub(super) fn list(methods: &[Method]) -> String {
    methods.iter().map(Method::as_str).collect::<Vec<_>>().join(", ")
}

impl From<StateError> for Error {
    fn from(error: StateError) -> Self {
        Self::State(error)
    }
}

impl From<JwsError> for Error {
    fn from(error: JwsError) -> Self {
        Self::Jws(error)
    }
}

impl From<EventError> for Error {
    fn from(error: EventError) -> Self {
        Self::Event(error)
    }
}

impl From<BiEventError> for Error {
    fn from(error: BiEventError) -> Self {
        Self::BadRequest(error.field, error.problem)
    }
}

impl<E: Into<InstanceError>> From<E> for Error {
    fn from(error: E) -> Self {
        Self::Instance(error.into())
    }
}

#[cfg(test)]
mod tests;
