use serde_json::json;

use super::*;

const SECRET: &str = "99999999-8888-4777-8666-555555555555";

/// The sample value of section 12.3.
const VALUE: &str = "mqB7uX5GM_J7o4Fw5b4dXH9Fo48CAt1k6UDG3xMQA9I.eyJpbnN0YW5jZUlkIjoiYWFhYWFhYWEtYmJiYi00Y2NjLThkZGQtZWVlZWVlZWVlZWVlIiwiYXBwRGVmSWQiOiIxMTExMTExMS0yMjIyLTQzMzMtODQ0NC01NTU1NTU1NTU1NTUiLCJzaWduRGF0ZSI6IjIwMjYtMDEtMDFUMDA6MDA6MDAuMDAwWiIsInVpZCI6IjY2NjY2NjY2LTc3NzctNDg4OC04OTk5LTAwMDAwMDAwMDAwMCIsInBlcm1pc3Npb25zIjoiT1dORVIiLCJkZW1vTW9kZSI6ZmFsc2UsImV4cGlyYXRpb25EYXRlIjoiMjAyNi0wMS0wMVQwNDowMDowMC4wMDBaIn0";

fn claims() -> Claims<'static> {
    Claims {
        app_id: "11111111-2222-4333-8444-555555555555",
        instance_id: "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee",
        site_id: None,
        owner_id: Some("66666666-7777-4888-8999-000000000000"),
        vendor_product_id: None,
        origin_instance_id: None,
        at_ms: 1_767_225_600_000,
    }
}

#[test]
fn the_sample_value_is_reproduced_exactly() {
    let omit = ["siteOwnerId", "siteMemberId", "vendorProductId", "loginAccountId", "aor"].map(str::to_owned);
    assert_eq!(sign(SECRET, &payload(&claims(), &Map::new(), &omit)), VALUE);
}

#[test]
fn the_sample_value_is_verified_and_parsed() {
    let read = verify(SECRET, VALUE).unwrap();
    assert_eq!(read.instance_id, "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee");
    assert_eq!(read.signed_at_ms(), Some(1_767_225_600_000));
    assert_eq!(read.ends_at_ms(), Some(1_767_225_600_000 + LIFE_MS));
}

#[test]
fn an_altered_value_or_one_of_three_parts_is_refused() {
    assert!(verify("another secret", VALUE).is_none());
    assert!(verify(SECRET, &format!("{VALUE}.x")).is_none());
    assert!(verify(SECRET, &VALUE.replacen("mqB7", "mqB8", 1)).is_none());
    assert!(verify(SECRET, "").is_none());
}

#[test]
fn overrides_replace_fields_in_place_and_append_new_ones() {
    let overrides = json!({"permissions": null, "aid": "anonymous"});
    let text = payload(&claims(), overrides.as_object().unwrap(), &["uid".to_owned()]);
    assert!(text.contains(r#""permissions":null,"demoMode":false"#), "{text}");
    assert!(text.ends_with(r#""aid":"anonymous"}"#), "{text}");
    assert!(!text.contains("uid"), "{text}");
}
