//! Sample data for the events of section 5, and JSON with a fixed field order.

use serde_json::Value;

use crate::ids;
use crate::world::{Instance, Status};

/// The events with sample data.
pub(crate) const EVENT_TYPES: [&str; 12] = [
    "AppInstalled",
    "AppRemoved",
    "PaidPlanPurchased",
    "PaidPlanChanged",
    "PaidPlanAutoRenewalCancelled",
    "PlanConvertedToPaid",
    "PlanReactivated",
    "PlanTransferred",
    "InvoiceStatusUpdated",
    "SitePropertiesUpdated",
    "wix.app.installations.v1.app_installation_created",
    "wix.app.installations.v1.app_installation_updated",
];

/// A JSON object with its fields in the given order, compact.
pub(crate) fn object<N: AsRef<str>>(fields: &[(N, Value)]) -> String {
    let fields: Vec<String> =
        fields.iter().map(|(name, value)| format!("{}:{value}", Value::from(name.as_ref()))).collect();
    format!("{{{}}}", fields.join(","))
}

/// Removes the whitespace between the tokens of a JSON text.
pub(crate) fn compact(text: &str) -> String {
    let (mut inside, mut escaped) = (false, false);
    text.chars()
        .filter(|character| {
            if inside {
                (inside, escaped) = (escaped || *character != '"', !escaped && *character == '\\');
                return true;
            }
            inside = *character == '"';
            !character.is_ascii_whitespace()
        })
        .collect()
}

/// Sample data for an event of an instance; `None` for an unknown event.
pub(crate) fn data(event_type: &str, app_id: &str, instance: &Instance, now_ms: i64) -> Option<String> {
    let now = ids::iso(now_ms);
    let month_later = ids::iso(now_ms + 31 * 86_400_000);
    let fields: Vec<(&str, Value)> = match event_type {
        "AppInstalled" => vec![
            ("appId", app_id.into()),
            ("originInstanceId", instance.origin_instance_id.clone().unwrap_or_default().into()),
        ],
        "AppRemoved" => vec![("appId", app_id.into())],
        "PaidPlanPurchased" => plan(
            now,
            "pro_plan",
            "MONTHLY",
            vec![("expiresOn", month_later.into()), ("couponName", "".into()), ("invoiceId", "1000001".into())],
        ),
        "PaidPlanChanged" => plan(
            now,
            "max_plan",
            "YEARLY",
            vec![
                ("previousVendorProductId", "pro_plan".into()),
                ("previousCycle", "MONTHLY".into()),
                ("couponName", Value::Null),
                ("invoiceId", "1000002".into()),
            ],
        ),
        "PaidPlanAutoRenewalCancelled" => plan(
            now,
            "max_plan",
            "YEARLY",
            vec![
                ("cancelReason", "USER_CANCEL".into()),
                ("userReason", "too expensive".into()),
                ("subscriptionCancellationType", "AT_END_OF_PERIOD".into()),
                ("cancelledDuringFreeTrial", "NOT_DURING_FREE_TRIAL".into()),
            ],
        ),
        "PlanConvertedToPaid" => plan(now, "pro_plan", "MONTHLY", vec![("expiresOn", month_later.into())]),
        "PlanReactivated" => plan(
            now,
            "max_plan",
            "YEARLY",
            vec![
                ("expiresOn", month_later.into()),
                ("invoiceId", "1000002".into()),
                ("reason", "AUTO_RENEW_TURNED_ON".into()),
            ],
        ),
        "PlanTransferred" => plan(now, "max_plan", "YEARLY", vec![("invoiceId", "1000003".into())]),
        "InvoiceStatusUpdated" => vec![
            ("status", "PAID".into()),
            ("invoiceId", "1000002".into()),
            ("instanceId", instance.instance_id.clone().into()),
            ("recurring", true.into()),
        ],
        "SitePropertiesUpdated" => vec![
            ("metasiteId", instance.site_id.clone().into()),
            (
                "event",
                serde_json::json!({"fields": ["timeZone"], "properties": {"timeZone": "Europe/Lisbon"}, "version": 42}),
            ),
        ],
        "wix.app.installations.v1.app_installation_created" => {
            return Some(installation("created", app_id, instance, now_ms));
        }
        "wix.app.installations.v1.app_installation_updated" => {
            return Some(installation("updated", app_id, instance, now_ms));
        }
        _ => return None,
    };
    Some(object(&fields))
}

fn plan<'a>(now: String, product: &str, cycle: &str, rest: Vec<(&'a str, Value)>) -> Vec<(&'a str, Value)> {
    let mut fields =
        vec![("operationTimeStamp", now.into()), ("vendorProductId", product.into()), ("cycle", cycle.into())];
    fields.extend(rest);
    fields
}

/// The domain event of the newer App Installation entity (sections 4.7 and 5).
pub(crate) fn installation(slug: &str, app_id: &str, instance: &Instance, now_ms: i64) -> String {
    let status = match instance.status {
        Status::Installed => "INSTALLED",
        Status::Removed => "UNINSTALLED",
    };
    let entity = serde_json::json!({
        "id": instance.installation_id,
        "appId": app_id,
        "instanceId": instance.instance_id,
        "appVersion": format!("{}.0.0", instance.major_version),
        "status": status,
        "createdDate": ids::iso(instance.first_installed_at_ms),
        "updatedDate": ids::iso(now_ms),
        "firstInstallationDate": ids::iso(instance.first_installed_at_ms),
        "revision": instance.revision.to_string(),
    });
    let (name, body) = match slug {
        "created" => ("createdEvent", serde_json::json!({ "entity": entity })),
        _ => ("updatedEvent", serde_json::json!({ "currentEntity": entity })),
    };
    object(&[
        ("id", ids::guid().into()),
        ("entityFqdn", "wix.app.installations.v1.app_installation".into()),
        ("slug", slug.into()),
        ("entityId", instance.installation_id.clone().into()),
        ("eventTime", ids::iso(now_ms).into()),
        ("triggeredByAnonymizeRequest", false.into()),
        ("originatedFrom", "".into()),
        ("entityEventSequence", instance.revision.to_string().into()),
        (name, body),
    ])
}

#[cfg(test)]
mod tests;
