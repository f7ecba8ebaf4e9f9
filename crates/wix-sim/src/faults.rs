//! Faults: what goes wrong, on which endpoint, how often, before an endpoint behaves again.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// An endpoint of Wix's, as faults and records name it.
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
    /// Whether its refusals have the OAuth form (section 1.2).
    pub(crate) fn is_oauth(self) -> bool {
        matches!(self, Self::Oauth2Token | Self::TokenInfo | Self::OauthAccess)
    }

    /// The endpoint at a path; `None` for the simulator's own pages and control API.
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

/// What goes wrong.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Kind {
    /// This status, with `body` or empty.
    Status {
        /// The status, 100 to 599.
        status: u16,
        /// The body; empty where left out.
        #[serde(default)]
        body: String,
        /// `Content-Type` of the body.
        #[serde(default)]
        content_type: Option<String>,
    },
    /// A refusal in Wix's JSON error form: the OAuth one at the token endpoints, the REST one elsewhere.
    Refused {
        /// The status: 400, 401, 403 or 404.
        status: u16,
        /// The code: `error` of the OAuth form, `details.applicationError.code` of the REST form.
        error: String,
    },
    /// 429 in Wix's form, with or without `Retry-After`.
    RateLimited {
        /// Seconds in `Retry-After`; no such header where left out.
        #[serde(default)]
        retry_after: Option<u32>,
        /// Whether `Retry-After` is that moment as an HTTP date instead.
        #[serde(default)]
        retry_after_date: bool,
    },
    /// The true answer, later.
    Delay {
        /// Real milliseconds.
        delay_ms: u32,
    },
    /// The connection is closed without an answer.
    Cut {
        /// Whether the call takes effect first (a used code, a sent event, and the answer lost).
        #[serde(default)]
        processed: bool,
    },
    /// The true answer's head, then half its body, then the connection is closed.
    CutBody,
    /// The true answer with half its body missing, and a length that says so.
    MalformedJson,
    /// The true answer with every value of another type.
    WrongTypes,
    /// The true answer without a field.
    DropField {
        /// The field at the top level.
        field: String,
    },
    /// The true answer with a field set.
    ReplaceField {
        /// The field at the top level.
        field: String,
        /// Its value.
        value: Value,
    },
}

/// A fault that waits for its calls.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Fault {
    /// Where.
    pub endpoint: Endpoint,
    /// What.
    #[serde(flatten)]
    pub kind: Kind,
    /// How many calls it still meets; 1 where left out.
    #[serde(default = "one")]
    pub times: u32,
    /// Only calls for this instance, where given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_id: Option<String>,
}

fn one() -> u32 {
    1
}

impl Fault {
    /// Names what cannot work.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.times == 0 {
            return Err("times must be at least 1".to_owned());
        }
        match &self.kind {
            Kind::Status { status, .. } if !(200..600).contains(status) => {
                Err("status must be from 200 to 599".to_owned())
            }
            Kind::Status { content_type: Some(text), .. } if text.parse::<axum::http::HeaderValue>().is_err() => {
                Err("content_type is no header value".to_owned())
            }
            Kind::Refused { status, .. } if ![400, 401, 403, 404].contains(status) => {
                Err("status must be 400, 401, 403 or 404".to_owned())
            }
            Kind::RateLimited { retry_after: None, retry_after_date: true } => {
                Err("retry_after_date needs retry_after".to_owned())
            }
            _ => Ok(()),
        }
    }
}

/// Takes the first fault that fits the call, and strikes it once.
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

/// The same JSON value with another type: text becomes a number, everything else text.
pub(crate) fn of_another_type(value: &Value) -> Value {
    match value {
        Value::String(_) => Value::from(1),
        other => Value::String(other.to_string()),
    }
}

#[cfg(test)]
mod tests;
