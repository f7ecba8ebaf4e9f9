//! `POST /v1/instances/{id}/bi-events`: Send BI Event, checked before it leaves (Wix's rules 6).
//!
//! What Wix would refuse, or might take for something else, is refused here with the field's name. Wix does not say that
//! a repeated event is recognised: one whose answer was lost on the way is sent again and may count twice.

use std::collections::BTreeMap;

use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::App;
use crate::error::Error;
use crate::finish;
use crate::id::InstanceId;
use crate::json;
use crate::platform::Platform;
use crate::reply::Reply;
use crate::token;
use crate::wix::WixError;

/// The largest body taken, in bytes.
const BODY_LIMIT: usize = 16 * 1024;
/// Characters of a custom name: Wix's least, and ours at most.
pub const CUSTOM_NAME: std::ops::RangeInclusive<usize> = 2..=100;
/// How many values an event may have, and the most characters of a name and of a value among them.
pub const ENTRIES: usize = 32;
/// See [`ENTRIES`].
pub const KEY_LENGTH: usize = 64;
/// See [`ENTRIES`].
pub const VALUE_LENGTH: usize = 1024;
/// Digits of a sum, with its point.
pub const SUM_LENGTH: usize = 20;

/// What may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum EventName {
    /// Somebody opened the app's dashboard.
    AppDashboardLoaded,
    /// All required configuration is done; once for an installation, see `finish.rs`.
    AppFinishedConfiguration,
    /// The owner finished an upgrade.
    AppUpgraded,
    /// The app's main action happened.
    PrimaryActionPerformed,
    /// Anything else, with a name of its own.
    Custom,
    /// Money was charged outside Wix.
    Charge,
    /// Money was given back.
    FundsReturned,
    /// Code was deployed that may affect flows.
    AppDeployed,
    /// Business set-up is complete.
    AppSetupFinished,
}

impl EventName {
    /// All of them.
    #[cfg(test)]
    pub const ALL: [Self; 9] = [
        Self::AppDashboardLoaded,
        Self::AppFinishedConfiguration,
        Self::AppUpgraded,
        Self::PrimaryActionPerformed,
        Self::Custom,
        Self::Charge,
        Self::FundsReturned,
        Self::AppDeployed,
        Self::AppSetupFinished,
    ];

    fn parse(text: &str) -> Result<Self, Error> {
        let refuse = |problem| Err(Error::BadRequest("event_name", problem));
        Ok(match text {
            "APP_DASHBOARD_LOADED" => Self::AppDashboardLoaded,
            "APP_FINISHED_CONFIGURATION" => Self::AppFinishedConfiguration,
            "APP_UPGRADED" => Self::AppUpgraded,
            "PRIMARY_ACTION_PERFORMED" => Self::PrimaryActionPerformed,
            "CUSTOM" => Self::Custom,
            "CHARGE" => Self::Charge,
            "FUNDS_RETURNED" => Self::FundsReturned,
            "APP_DEPLOYED" => Self::AppDeployed,
            "APP_SETUP_FINISHED" => Self::AppSetupFinished,
            "APP_FINISH_BUSINESS_SETUP" => return refuse("Wix deprecated it; APP_SETUP_FINISHED took its place"),
            "UNKNOWN" => return refuse("UNKNOWN is Wix's word for no event"),
            _ => {
                return refuse(
                    "it must be one of APP_DASHBOARD_LOADED, APP_FINISHED_CONFIGURATION, APP_UPGRADED, \
                     PRIMARY_ACTION_PERFORMED, CUSTOM, CHARGE, FUNDS_RETURNED, APP_DEPLOYED, APP_SETUP_FINISHED",
                );
            }
        })
    }
}

/// An event as Wix takes it.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BiEvent {
    event_name: EventName,
    #[serde(skip_serializing_if = "Option::is_none")]
    custom_event_name: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    event_data: BTreeMap<String, String>,
}

/// An event as the back end asks for it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    event_name: Option<String>,
    custom_event_name: Option<String>,
    event_data: Option<BTreeMap<String, Value>>,
}

/// The event was sent.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "BiEventSent"))]
pub struct SentAnswer<'a> {
    /// The instance.
    instance_id: &'a InstanceId,
    /// The event.
    event_name: EventName,
}

impl BiEvent {
    /// `APP_FINISHED_CONFIGURATION`, which has nothing but its name.
    #[must_use]
    pub fn finished_configuration() -> Self {
        let event_name = EventName::AppFinishedConfiguration;
        Self { event_name, custom_event_name: None, event_data: BTreeMap::new() }
    }

    fn parse(body: &[u8]) -> Result<Self, Error> {
        const FORM: &str = r#"it is not JSON of the form {"event_name":"…","custom_event_name":"…","event_data":{"…":"…"}}, the last two where wanted"#;
        let asked: Asked = json::object(body).map_err(|_| Error::BadRequest("body", FORM))?;
        let name = asked.event_name.ok_or(Error::BadRequest("event_name", "it is missing"))?;
        let event_name = EventName::parse(&name)?;
        let custom_event_name = custom_name(event_name, asked.custom_event_name)?;
        let event_data = event_data(event_name, asked.event_data.unwrap_or_default())?;
        Ok(Self { event_name, custom_event_name, event_data })
    }
}

/// `POST /v1/instances/{id}/bi-events`
pub async fn bi_events<P: Platform>(app: &App<P>, id: &InstanceId, inbound: P::Inbound) -> Result<Reply, Error> {
    let body = app.platform.body(inbound, BODY_LIMIT).await.map_err(|error| Error::body(error, BODY_LIMIT))?;
    let event = BiEvent::parse(&body)?;
    if event.event_name == EventName::AppFinishedConfiguration {
        finish::finish_configuration(app, id).await?;
    } else {
        match send(app, id, &event).await? {
            Err(WixError::Refused(400)) => return Err(Error::EventRefused),
            Err(WixError::Refused(403)) => return Err(Error::EventNotPermitted),
            sent => sent?,
        }
        app.trace.outcome("sent");
    }
    Ok(Reply::json(StatusCode::OK, &SentAnswer { instance_id: id, event_name: event.event_name }))
}

/// Sends an event with a fresh token, and once more with a new one where Wix no longer takes it. What Wix said of the
/// event is for the caller to judge.
pub async fn send<P: Platform>(app: &App<P>, id: &InstanceId, event: &BiEvent) -> Result<Result<(), WixError>, Error> {
    let token = token::fresh(app, id, false).await?;
    let wix = app.wix();
    match wix.bi_event(&token.access_token, event).await {
        Err(WixError::Refused(401)) => {
            let token = token::fresh(app, id, true).await?;
            Ok(wix.bi_event(&token.access_token, event).await)
        }
        sent => Ok(sent),
    }
}

fn custom_name(event: EventName, name: Option<String>) -> Result<Option<String>, Error> {
    let refuse = |problem| Err(Error::BadRequest("custom_event_name", problem));
    match name {
        None if event == EventName::Custom => refuse("it is missing, and CUSTOM needs it"),
        None => Ok(None),
        Some(_) if event != EventName::Custom => refuse("it must stand with CUSTOM only"),
        Some(name) if name.trim() != name || name.chars().any(char::is_control) => {
            refuse("it must have no blanks around it and no control characters in it")
        }
        Some(name) if !CUSTOM_NAME.contains(&name.chars().count()) => refuse("it must have 2 to 100 characters"),
        Some(name) => Ok(Some(name)),
    }
}

fn event_data(event: EventName, data: BTreeMap<String, Value>) -> Result<BTreeMap<String, String>, Error> {
    let bad = |problem| Error::BadRequest("event_data", problem);
    if event == EventName::AppFinishedConfiguration && data.values().any(|value| !value.is_null()) {
        return Err(bad("it must be absent for APP_FINISHED_CONFIGURATION"));
    }
    if data.len() > ENTRIES {
        return Err(bad("it must have at most 32 values"));
    }
    let mut texts = BTreeMap::new();
    for (key, value) in data {
        let text = match value {
            Value::Null => continue,
            _ if key.is_empty() || key.chars().count() > KEY_LENGTH => {
                return Err(bad("a name must have 1 to 64 characters"));
            }
            Value::String(text) if text.chars().count() > VALUE_LENGTH => {
                return Err(bad("a value must have at most 1024 characters"));
            }
            Value::String(text) => text,
            _ => return Err(bad("a value must be a string; Wix takes strings alone, numbers too go in quotes")),
        };
        texts.insert(key, text);
    }
    if matches!(event, EventName::Charge | EventName::FundsReturned) && !texts.get("sum").is_some_and(|sum| is_sum(sum))
    {
        return Err(Error::BadRequest(
            "event_data.sum",
            "CHARGE and FUNDS_RETURNED need it, a decimal such as \"5.99\"",
        ));
    }
    Ok(texts)
}

/// Digits, and where there is a point, digits behind it.
fn is_sum(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, rest) = text.split_once('.').map_or((text, None), |(whole, rest)| (whole, Some(rest)));
    text.len() <= SUM_LENGTH && digits(whole) && rest.is_none_or(digits)
}

#[cfg(test)]
#[path = "bi_event_tests.rs"]
mod tests;
