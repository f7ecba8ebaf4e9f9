//! Sample data for the events of section 5 and for some about a site's contents, and JSON with a fixed field order.

mod site;

use serde_json::Value;

use crate::ids;
use crate::world::{Instance, Status};

/// The events with sample data.
pub(crate) fn event_types() -> impl Iterator<Item = &'static str> {
    APP_EVENT_TYPES.into_iter().chain(of_a_site())
}

/// The events about a site's contents.
pub(crate) fn of_a_site() -> impl Iterator<Item = &'static str> {
    site::EVENT_TYPES.into_iter()
}

/// The events of section 5.
const APP_EVENT_TYPES: [&str; 13] = [
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
    "wix.app.installations.v1.app_installation_deleted",
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
    if let Some(slug) = event_type.strip_prefix("wix.app.installations.v1.app_installation_")
        && ["created", "updated", "deleted"].contains(&slug)
    {
        return Some(installation(slug, app_id, instance, now_ms, Form { is_text: false, has_deleted_entity: true }));
    }
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
        _ => return site::data(event_type, now_ms),
    };
    Some(object(&fields))
}

fn plan<'a>(now: String, product: &str, cycle: &str, rest: Vec<(&'a str, Value)>) -> Vec<(&'a str, Value)> {
    let mut fields =
        vec![("operationTimeStamp", now.into()), ("vendorProductId", product.into()), ("cycle", cycle.into())];
    fields.extend(rest);
    fields
}

/// How an App Installations event has its entity.
#[derive(Clone, Copy)]
pub(crate) struct Form {
    /// As JSON text, not as an object.
    pub is_text: bool,
    /// Whether `deleted` has it.
    pub has_deleted_entity: bool,
}

/// The domain event of the newer App Installation entity (sections 4.7 and 5).
pub(crate) fn installation(slug: &str, app_id: &str, instance: &Instance, now_ms: i64, form: Form) -> String {
    let status = match instance.status {
        Status::Installed => "INSTALLED",
        Status::Removed => "UNINSTALLED",
    };
    let entity = serde_json::json!({
        "id": instance.installation_id,
        "appId": app_id,
        "instanceId": instance.instance_id,
        "appVersion": instance.major_version.to_string(),
        "status": status,
        "createdDate": ids::iso(instance.first_installed_at_ms),
        "updatedDate": ids::iso(now_ms),
        "firstInstallationDate": ids::iso(instance.first_installed_at_ms),
        "revision": instance.revision.to_string(),
        "siteInfo": {"siteId": instance.site_id},
    });
    let entity = if form.is_text { entity.to_string().into() } else { entity };
    let (name, body) = match slug {
        "created" => ("createdEvent", serde_json::json!({ "entity": entity })),
        "deleted" if form.has_deleted_entity => ("deletedEvent", serde_json::json!({ "deletedEntity": entity })),
        "deleted" => ("deletedEvent", serde_json::json!({})),
        _ => ("updatedEvent", serde_json::json!({ "currentEntity": entity })),
    };
    let domain = Domain {
        fqdn: "wix.app.installations.v1.app_installation",
        slug,
        entity_id: &instance.installation_id,
        sequence: instance.revision,
        is_anonymize: false,
        now_ms,
    };
    domain.text(name, body)
}

/// A domain event without its body (section 4.7).
struct Domain<'a> {
    fqdn: &'a str,
    slug: &'a str,
    entity_id: &'a str,
    sequence: u32,
    is_anonymize: bool,
    now_ms: i64,
}

impl Domain<'_> {
    /// The JSON text, with a new event id.
    fn text(&self, name: &str, body: Value) -> String {
        object(&[
            ("id", ids::guid().into()),
            ("entityFqdn", self.fqdn.into()),
            ("slug", self.slug.into()),
            ("entityId", self.entity_id.into()),
            ("eventTime", ids::iso(self.now_ms).into()),
            ("triggeredByAnonymizeRequest", self.is_anonymize.into()),
            ("originatedFrom", "".into()),
            ("entityEventSequence", self.sequence.to_string().into()),
            (name, body),
        ])
    }
}

#[cfg(test)]
mod tests;
