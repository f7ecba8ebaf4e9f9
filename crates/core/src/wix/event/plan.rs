//! The events about plans and invoices (docs/wix.md, 5). Every field of them is optional.

use serde_json::Value;

use super::{Envelope, Event, event_time, names_another_app};
use crate::values::json::plain_text;
use crate::values::{AppId, Timestamp, json};

/// An event that does not say what the site has.
const INVOICE: &str = "InvoiceStatusUpdated";

/// What an event says.
pub(super) struct Plan {
    pub event: Event,
    /// When it happened.
    pub at: Option<Timestamp>,
}

/// Parses an event; `None` if it is of another type.
pub(super) fn parse(app: &AppId, envelope: &Envelope) -> Option<Plan> {
    let auto_renewing = match envelope.event_type() {
        "PaidPlanPurchased" | "PaidPlanChanged" | "PlanConvertedToPaid" | "PlanTransferred" | INVOICE => None,
        "PlanReactivated" => Some(true),
        "PaidPlanAutoRenewalCancelled" => Some(false),
        _ => return None,
    };
    let inner = envelope.inner();
    let of = |name| json::value(&inner, name);
    if names_another_app(&of("appId"), app) {
        return Some(Plan { event: Event::OfAnotherApp, at: None });
    }
    if envelope.event_type() == INVOICE {
        return Some(Plan { event: Event::Billing, at: None });
    }
    let (plan, cycle) = (product(&of("vendorProductId")), cycle_of(&of("cycle")));
    let event = match (plan, auto_renewing) {
        (plan, Some(false)) => Event::Cancelled { plan, cycle },
        (Some(plan), _) => Event::Plan { plan, cycle, expires_at: event_time(&of("expiresOn")), auto_renewing },
        (None, _) => Event::Billing,
    };
    Some(Plan { event, at: event_time(&of("operationTimeStamp")) })
}

/// The longest product, in UTF-16 code units (docs/wix.md, 5). It is stored in metadata, which KV limits to 1,024 bytes.
const PRODUCT_LIMIT: usize = 100;
/// The longest name of a cycle. Wix's have 11 characters.
const CYCLE_LIMIT: usize = 24;

/// A usable `vendorProductId`.
pub fn product(value: &Value) -> Option<String> {
    let text = value.as_str()?;
    let is_usable = (1..=PRODUCT_LIMIT).contains(&text.encode_utf16().count()) && !text.chars().any(char::is_control);
    is_usable.then(|| text.to_owned())
}

/// The name of a cycle, which may be one that Wix has added.
pub fn cycle_of(value: &Value) -> Option<String> {
    plain_text(value).filter(|cycle| cycle.len() <= CYCLE_LIMIT && !cycle.contains(['"', '\\']))
}
