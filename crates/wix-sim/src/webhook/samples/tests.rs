use super::*;

fn instance() -> Instance {
    Instance {
        instance_id: "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee".to_owned(),
        site_id: "12121212-3434-4565-8787-909090909090".to_owned(),
        status: Status::Removed,
        origin_instance_id: None,
        major_version: 1,
        plan: None,
        configured: false,
        setup_incomplete: false,
        first_installed_at_ms: 0,
        installed_at_ms: 0,
        removed_at_ms: None,
        installation_id: "abababab-cdcd-4efe-8aba-bababababab0".to_owned(),
        revision: 7,
    }
}

#[test]
fn every_known_event_has_compact_sample_data() {
    assert_eq!(event_types().count(), 18);
    for event_type in event_types() {
        let text = data(event_type, "app", &instance(), 1_767_225_600_000).unwrap();
        assert!(serde_json::from_str::<Value>(&text).is_ok(), "{event_type}: {text}");
        assert_eq!(compact(&text), text, "{event_type}");
    }
    assert!(data("NoSuchEvent", "app", &instance(), 0).is_none());
}

#[test]
fn sample_data_has_wixs_field_order() {
    let text = data("AppInstalled", "11111111-2222-4333-8444-555555555555", &instance(), 0).unwrap();
    assert_eq!(text, r#"{"appId":"11111111-2222-4333-8444-555555555555","originInstanceId":""}"#);
    let text = data("PaidPlanPurchased", "app", &instance(), 0).unwrap();
    assert!(text.starts_with(r#"{"operationTimeStamp":"1970-01-01T00:00:00.000Z","vendorProductId":"#), "{text}");
}

#[test]
fn the_installation_entity_of_a_removed_app_is_uninstalled_and_has_its_sequence_as_a_string() {
    let text = installation("updated", "app", &instance(), 0, Form { is_text: false, has_deleted_entity: true });
    let read: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(read["updatedEvent"]["currentEntity"]["status"], "UNINSTALLED");
    assert_eq!(read["entityEventSequence"], "7");
}

#[test]
fn compacting_does_not_change_strings() {
    assert_eq!(compact("{ \"a b\" : \"c \\\" d\" ,\n \"e\\\\\" : 1 }"), r#"{"a b":"c \" d","e\\":1}"#);
}

#[test]
fn a_domain_event_has_its_entity_as_an_object_or_as_text_and_its_name_consists_of_entity_and_slug() {
    let read = |event_type: &str| -> Value {
        serde_json::from_str(&data(event_type, "app", &instance(), 1_767_225_600_000).unwrap()).unwrap()
    };
    let text = |value: &Value| -> Value { serde_json::from_str(value.as_str().unwrap()).unwrap() };
    let product = read("wix.stores.catalog.v3.product_created");
    assert_eq!(product["createdEvent"]["entity"]["id"], product["entityId"]);
    assert_eq!(
        (&product["entityFqdn"], &product["slug"]),
        (&"wix.stores.catalog.v3.product".into(), &"created".into())
    );
    let order = read("wix.ecom.v1.order_approved");
    assert_eq!(text(&order["actionEvent"]["bodyAsJson"])["order"]["id"], order["entityId"]);
    let booking = read("wix.bookings.v2.booking_created");
    assert_eq!(text(&booking["createdEvent"]["entityAsJson"])["id"], booking["entityId"]);
    let contact = read("wix.contacts.v4.contact_deleted");
    assert_eq!(contact["triggeredByAnonymizeRequest"], true);
    assert_eq!(product["triggeredByAnonymizeRequest"], false);
    let flat = read("com.wix.ecommerce.catalog.api.v1.ProductChanged");
    assert_eq!((flat.get("id"), flat.get("entityFqdn")), (None, None));
}
