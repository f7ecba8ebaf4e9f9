//! Sample data about a site's contents: domain events (section 4.7), which have the entity as an object or as JSON text,
//! and an older flat event.
//!
//! The names of events and fields are those of the raw types in Wix's packages `@wix/auto_sdk_ecom_orders`,
//! `…_stores_products-v-3`, `…_bookings_bookings` and `…_crm_contacts`. The entities have a few of their fields.

use serde_json::{Value, json};

use super::{Domain, object};
use crate::ids;

/// The events. The first two have an object where the others of their kind have text.
pub(super) const EVENT_TYPES: [&str; 5] = [
    "wix.stores.catalog.v3.product_created",
    "wix.contacts.v4.contact_deleted",
    "wix.ecom.v1.order_approved",
    "wix.bookings.v2.booking_created",
    "com.wix.ecommerce.catalog.api.v1.ProductChanged",
];

/// Sample data for one of [`EVENT_TYPES`].
pub(super) fn data(event_type: &str, now_ms: i64) -> Option<String> {
    let (id, now) = (ids::guid(), ids::iso(now_ms));
    let (is_anonymize, name, content) = match event_type {
        "wix.stores.catalog.v3.product_created" => {
            let product =
                json!({"id": id, "revision": "1", "createdDate": now, "name": "Invented teapot", "visible": true});
            (false, "createdEvent", json!({ "entity": product }))
        }
        // A privacy request deletes a contact; the entity is absent (section 4.7).
        "wix.contacts.v4.contact_deleted" => (true, "deletedEvent", json!({})),
        "wix.ecom.v1.order_approved" => {
            let order = json!({
                "id": id, "number": "10001", "createdDate": now, "currency": "EUR", "status": "APPROVED", "paymentStatus": "PAID",
            });
            (false, "actionEvent", json!({ "bodyAsJson": json!({ "order": order }).to_string() }))
        }
        "wix.bookings.v2.booking_created" => {
            let booking = json!({
                "id": id, "revision": "1", "createdDate": now, "status": "CREATED",
                "startDate": ids::iso(now_ms + 86_400_000), "endDate": ids::iso(now_ms + 86_400_000 + 3_600_000),
            });
            (false, "createdEvent", json!({ "entityAsJson": booking.to_string() }))
        }
        "com.wix.ecommerce.catalog.api.v1.ProductChanged" => {
            return Some(object(&[("productId", id.into()), ("changedFields", Value::from(vec!["priceData"]))]));
        }
        _ => return None,
    };
    let (fqdn, slug) = event_type.rsplit_once('_')?;
    let domain = Domain { fqdn, slug, entity_id: &id, sequence: 1, is_anonymize, now_ms };
    Some(domain.text(name, content))
}
