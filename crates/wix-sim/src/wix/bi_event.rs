//! `POST /apps/v1/bi-event`: Send BI Event, which validates each field (section 6).

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use serde_json::{Map, Value, json};

use super::api::caller;
use super::error::{Rule, Violation, WixError};
use crate::fields;
use crate::shared::Ctx;
use crate::world::{BiEvent, push};

/// The valid event names.
const NAMES: [&str; 10] = [
    "APP_DASHBOARD_LOADED",
    "APP_FINISHED_CONFIGURATION",
    "APP_UPGRADED",
    "PRIMARY_ACTION_PERFORMED",
    "CUSTOM",
    "CHARGE",
    "FUNDS_RETURNED",
    "APP_DEPLOYED",
    "APP_SETUP_FINISHED",
    "APP_FINISH_BUSINESS_SETUP",
];

/// Accepts or rejects an event.
pub(super) async fn handle(State(ctx): State<Ctx>, headers: HeaderMap, body: Bytes) -> Result<Json<Value>, WixError> {
    let now_ms = ctx.clock.now_ms();
    ctx.change(|world| {
        let instance_id = caller(world, &headers, now_ms)?.instance_id.clone();
        if !world.switches.permission_send_bi_events {
            return Err(WixError::rest(403, "PERMISSION_DENIED", "the app lacks the permission to send BI events"));
        }
        let fields: Map<String, Value> =
            if fields::is_form(&headers) { None } else { fields::read(&headers, &body) }
                .ok_or_else(|| WixError::rest(400, "INVALID_ARGUMENT", "the body must be a JSON object"))?;
        if world.switches.validate_bi_events {
            let violations = check(&fields);
            if !violations.is_empty() {
                return Err(WixError::validation(&violations));
            }
        }
        let text = |name: &str| fields.get(name).and_then(Value::as_str).map(str::to_owned);
        let event = BiEvent {
            at_ms: now_ms,
            instance_id,
            event_name: text("eventName").unwrap_or_default(),
            custom_event_name: text("customEventName"),
            event_data: fields.get("eventData").cloned().unwrap_or(Value::Null),
        };
        if event.event_name == "APP_FINISHED_CONFIGURATION" {
            world.app.sends_finished_configuration = true;
            if let Some(instance) = world.instances.get_mut(&event.instance_id) {
                instance.configured = true;
                instance.setup_incomplete = false;
            }
        }
        push(&mut world.bi_events, event);
        Ok(Json(json!({})))
    })
}

/// The rules that the event violates.
fn check(fields: &Map<String, Value>) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut refuse = |field: &str, description: &str, rule: Rule| {
        violations.push(Violation { field: field.to_owned(), description: description.to_owned(), rule });
    };
    let name = fields.get("eventName").and_then(Value::as_str).unwrap_or_default();
    if !NAMES.contains(&name) {
        refuse("eventName", "must be one of the known event names", Rule::Format("ENUM"));
    }
    let custom = fields.get("customEventName").filter(|value| !value.is_null());
    match custom.map(|value| value.as_str().map(|text| text.chars().count())) {
        None if name == "CUSTOM" => {
            refuse("customEventName", "is required with CUSTOM", Rule::Custom("REQUIRED_FIELD"));
        }
        Some(None) => refuse("customEventName", "must be a string", Rule::Format("STRING")),
        Some(Some(length)) if length < 2 => {
            refuse("customEventName", "must have at least 2 characters", Rule::Custom("MIN_LENGTH"));
        }
        _ => {}
    }
    let data = match fields.get("eventData") {
        None | Some(Value::Null) => None,
        Some(Value::Object(data)) => Some(data),
        Some(_) => {
            refuse("eventData", "must be a map", Rule::Format("OBJECT"));
            None
        }
    };
    for (key, _) in data.into_iter().flatten().filter(|(_, value)| !value.is_string()) {
        refuse(&format!("eventData.{key}"), "must be a string", Rule::Format("STRING"));
    }
    if matches!(name, "CHARGE" | "FUNDS_RETURNED") && !data.is_some_and(|data| data.contains_key("sum")) {
        refuse("eventData.sum", "is required with this event", Rule::Custom("REQUIRED_FIELD"));
    }
    violations
}
