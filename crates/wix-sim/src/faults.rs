//! Faults: which failure an endpoint injects, and into how many calls.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A Wix endpoint, as faults and recorded calls name it.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Endpoint {
    /// `POST /oauth2/token`
    Oauth2Token,
    /// `POST /oauth2/token-info`
    TokenInfo,
    /// `POST /oauth/access`
    OauthAccess,
    /// `GET /installer/install` and the consent form behind it
    Install,
    /// `GET /app-installer`
    AppInstaller,
    /// `GET /installer/close-window`
    CloseWindow,
    /// `POST /apps/v1/bi-event`
    BiEvent,
    /// `GET /apps/v1/instance`
    AppInstance,
    /// Any other path
    Other,
}

impl Endpoint {
    /// Whether its errors have the OAuth form (section 1.2).
    pub(crate) fn is_oauth(self) -> bool {
        matches!(self, Self::Oauth2Token | Self::TokenInfo | Self::OauthAccess)
    }

    /// The endpoint at a path. `None` for the simulator's own pages and the control API.
    pub(crate) fn at(path: &str) -> Option<Self> {
        Some(match path {
            "/" => return None,
            "/oauth2/token" => Self::Oauth2Token,
            "/oauth2/token-info" => Self::TokenInfo,
            "/oauth/access" | "/oauth/access/" => Self::OauthAccess,
            "/installer/install" | "/installer/consent" => Self::Install,
            "/app-installer" => Self::AppInstaller,
            "/installer/close-window" => Self::CloseWindow,
            "/apps/v1/bi-event" => Self::BiEvent,
            "/apps/v1/instance" => Self::AppInstance,
            own if own.starts_with("/_sim/") || own.starts_with("/assets/") || own == "/favicon.ico" => return None,
            _ => Self::Other,
        })
    }
}

/// The kind of a fault.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Kind {
    /// Responds with this status and `body`.
    Status {
        /// The status, 200 to 599.
        status: u16,
        /// The body; empty by default.
        #[serde(default)]
        body: String,
        /// `Content-Type` of the body.
        #[serde(default)]
        content_type: Option<String>,
    },
    /// Refuses the call in Wix's JSON error form: the OAuth form at the token endpoints, the REST form elsewhere.
    Refused {
        /// The status: 400, 401, 403 or 404.
        status: u16,
        /// The code: `error` of the OAuth form, `details.applicationError.code` of the REST form.
        error: String,
    },
    /// Responds with 429 in Wix's form.
    RateLimited {
        /// Seconds in `Retry-After`; no header by default.
        #[serde(default)]
        retry_after: Option<u32>,
        /// Whether `Retry-After` is an HTTP date instead of seconds.
        #[serde(default)]
        retry_after_date: bool,
    },
    /// Responds normally after a delay.
    Delay {
        /// The delay, in real milliseconds.
        delay_ms: u32,
    },
    /// Closes the connection without a response.
    Cut {
        /// Whether the call takes effect first, as when a code is used and the response is lost.
        #[serde(default)]
        processed: bool,
    },
    /// Sends the headers and half of the body, then closes the connection.
    CutBody,
    /// Responds with half of the body, and its length as `Content-Length`.
    MalformedJson,
    /// Responds with the type of every top-level value changed.
    WrongTypes,
    /// Responds without a field.
    DropField {
        /// The top-level field.
        field: String,
    },
    /// Responds with a field replaced.
    ReplaceField {
        /// The top-level field.
        field: String,
        /// The new value.
        value: Value,
    },
}

/// A fault, and the calls to which it applies.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Fault {
    /// The endpoint.
    pub endpoint: Endpoint,
    /// The kind of failure.
    #[serde(flatten)]
    pub kind: Kind,
    /// The remaining number of calls; 1 by default.
    #[serde(default = "one")]
    pub times: u32,
    /// The only instance whose calls fail; all instances by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_id: Option<String>,
}

fn one() -> u32 {
    1
}

impl Fault {
    /// Checks the values; the error says what a value must be.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.times == 0 {
            return Err("times must be at least 1".to_owned());
        }
        match &self.kind {
            Kind::Status { status, .. } if !(200..600).contains(status) => {
                Err("status must be from 200 to 599".to_owned())
            }
            Kind::Status { content_type: Some(text), .. } if text.parse::<axum::http::HeaderValue>().is_err() => {
                Err("content_type must be a valid header value".to_owned())
            }
            Kind::Refused { status, .. } if ![400, 401, 403, 404].contains(status) => {
                Err("status must be 400, 401, 403 or 404".to_owned())
            }
            Kind::RateLimited { retry_after: None, retry_after_date: true } => {
                Err("retry_after must be set with retry_after_date".to_owned())
            }
            _ => Ok(()),
        }
    }
}

/// Returns the kind of the first fault that matches the call, and counts the fault down.
pub(crate) fn take(faults: &mut Vec<Fault>, endpoint: Endpoint, instance: Option<&str>) -> Option<Kind> {
    let at = faults.iter().position(|fault| {
        fault.endpoint == endpoint && fault.instance_id.as_deref().is_none_or(|wanted| Some(wanted) == instance)
    })?;
    let fault = faults.get_mut(at)?;
    fault.times -= 1;
    let kind = fault.kind.clone();
    if fault.times == 0 {
        faults.remove(at);
    }
    Some(kind)
}

/// A JSON value of another type: a string becomes a number, any other value a string.
pub(crate) fn of_another_type(value: &Value) -> Value {
    match value {
        Value::String(_) => Value::from(1),
        other => Value::String(other.to_string()),
    }
}

#[cfg(test)]
mod tests;
