//! Send BI Event (docs/wix.md, 6): validated before it is sent.
//!
//! The Worker refuses what Wix would refuse or misread, and names the field. Wix does not say that it detects repeated
//! events: an event whose response was lost is sent again and may count twice.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::values::json;

/// The length of a custom name in characters: Wix's minimum and this Worker's maximum.
pub const CUSTOM_NAME: std::ops::RangeInclusive<usize> = 2..=100;
/// The largest number of values in an event.
pub const ENTRIES: usize = 32;
/// The longest name of a value, in characters.
pub const KEY_LENGTH: usize = 64;
/// The longest value, in characters.
pub const VALUE_LENGTH: usize = 1024;
/// The longest `sum`, in characters.
pub const SUM_LENGTH: usize = 20;

/// The name of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum EventName {
    /// A user opened the app's dashboard.
    AppDashboardLoaded,
    /// All required configuration is complete. Sent once for an installation.
    AppFinishedConfiguration,
    /// The owner completed an upgrade.
    AppUpgraded,
    /// A user performed the app's main action.
    PrimaryActionPerformed,
    /// Another event, with a custom name.
    Custom,
    /// The app charged money outside Wix.
    Charge,
    /// The app refunded money.
    FundsReturned,
    /// The developer deployed code that may affect flows.
    AppDeployed,
    /// The business setup is complete.
    AppSetupFinished,
}

impl EventName {
    /// All names.
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

    fn parse(text: &str) -> Result<Self, BiEventError> {
        let refuse = |problem| Err(BiEventError { field: "event_name", problem });
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
            "APP_FINISH_BUSINESS_SETUP" => return refuse("it must be APP_SETUP_FINISHED, which replaced this one"),
            "UNKNOWN" => return refuse("it must be the name of an event: UNKNOWN is Wix's placeholder"),
            _ => {
                return refuse(
                    "it must be one of APP_DASHBOARD_LOADED, APP_FINISHED_CONFIGURATION, APP_UPGRADED, \
                     PRIMARY_ACTION_PERFORMED, CUSTOM, CHARGE, FUNDS_RETURNED, APP_DEPLOYED, APP_SETUP_FINISHED",
                );
            }
        })
    }
}

/// Why an event cannot be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct BiEventError {
    /// The field.
    pub field: &'static str,
    /// What the field must be.
    pub problem: &'static str,
}

/// An event in Wix's form.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BiEvent {
    event_name: EventName,
    #[serde(skip_serializing_if = "Option::is_none")]
    custom_event_name: Option<String>,
    /// Texts.
    #[serde(skip_serializing_if = "Map::is_empty")]
    event_data: Map<String, Value>,
}

/// An event in the form of the app API.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Requested {
    event_name: Option<String>,
    custom_event_name: Option<String>,
    event_data: Option<Map<String, Value>>,
}

impl BiEvent {
    /// `APP_FINISHED_CONFIGURATION`, which has no fields but its name.
    #[must_use]
    pub fn finished_configuration() -> Self {
        let event_name = EventName::AppFinishedConfiguration;
        Self { event_name, custom_event_name: None, event_data: Map::new() }
    }

    /// Parses and validates the body of a request to the app API.
    pub fn parse(body: &[u8]) -> Result<Self, BiEventError> {
        const FORM: &str = r#"it must be JSON of the form {"event_name":"…","custom_event_name":"…","event_data":{"…":"…"}}; the last two are optional"#;
        let requested: Requested = json::object(body).map_err(|_| BiEventError { field: "body", problem: FORM })?;
        let name = requested.event_name.ok_or(BiEventError { field: "event_name", problem: "it is missing" })?;
        let event_name = EventName::parse(&name)?;
        let custom_event_name = custom_name(event_name, requested.custom_event_name)?;
        let event_data = event_data(event_name, requested.event_data.unwrap_or_default())?;
        Ok(Self { event_name, custom_event_name, event_data })
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> EventName {
        self.event_name
    }
}

fn custom_name(event: EventName, name: Option<String>) -> Result<Option<String>, BiEventError> {
    let refuse = |problem| Err(BiEventError { field: "custom_event_name", problem });
    match name {
        None if event == EventName::Custom => refuse("it is missing: CUSTOM requires it"),
        None => Ok(None),
        Some(_) if event != EventName::Custom => refuse("it must be absent unless event_name is CUSTOM"),
        Some(name) if name.trim() != name || name.chars().any(char::is_control) => {
            refuse("it must not begin or end with whitespace, nor contain control characters")
        }
        Some(name) if !CUSTOM_NAME.contains(&name.chars().count()) => refuse("it must have 2 to 100 characters"),
        Some(name) => Ok(Some(name)),
    }
}

fn event_data(event: EventName, mut data: Map<String, Value>) -> Result<Map<String, Value>, BiEventError> {
    let bad = |problem| BiEventError { field: "event_data", problem };
    let count = data.len();
    data.retain(|_, value| !value.is_null());
    if event == EventName::AppFinishedConfiguration && !data.is_empty() {
        return Err(bad("it must be absent for APP_FINISHED_CONFIGURATION"));
    }
    if count > ENTRIES {
        return Err(bad("it must have at most 32 values"));
    }
    for (key, value) in &data {
        if key.is_empty() || key.chars().count() > KEY_LENGTH {
            return Err(bad("a name must have 1 to 64 characters"));
        }
        let Value::String(text) = value else {
            return Err(bad("a value must be a string: put numbers in quotes too"));
        };
        if text.chars().count() > VALUE_LENGTH {
            return Err(bad("a value must have at most 1024 characters"));
        }
    }
    let sum = data.get("sum").and_then(Value::as_str);
    if matches!(event, EventName::Charge | EventName::FundsReturned) && !sum.is_some_and(is_sum) {
        let problem = "it must be a decimal such as \"5.99\": CHARGE and FUNDS_RETURNED require it";
        return Err(BiEventError { field: "event_data.sum", problem });
    }
    Ok(data)
}

/// Whether a text is a decimal: digits, optionally followed by a point and more digits.
fn is_sum(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, rest) = text.split_once('.').map_or((text, None), |(whole, rest)| (whole, Some(rest)));
    text.len() <= SUM_LENGTH && digits(whole) && rest.is_none_or(digits)
}
