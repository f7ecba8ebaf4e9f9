use super::*;

#[test]
fn an_id_has_one_spelling() {
    let upper = InstanceId::parse("AAAAAAAA-BBBB-4CCC-8DDD-EEEEEEEEEEEE").unwrap();
    assert_eq!(upper.as_str(), "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee");
    assert_eq!(upper, InstanceId::parse("aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee").unwrap());
}

#[test]
fn a_text_that_is_not_a_guid_is_refused() {
    for text in [
        "",
        "aaaaaaaa",
        "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeeee",
        "aaaaaaaabbbb-4ccc-8ddd-eeeeeeeeeeee-",
        "gaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee",
        "{aaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeee}",
        "00000000-0000-0000-0000-000000000000",
        "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeé",
    ] {
        assert!(InstanceId::parse(text).is_err(), "{text}");
    }
}

#[test]
fn a_request_id_is_32_digits() {
    assert_eq!(RequestId::new([0xab; 16]).as_str(), "ab".repeat(16));
}
