use super::*;

#[test]
fn only_a_hyphenated_guid_is_a_guid() {
    assert!(is_guid(&guid()));
    assert!(is_guid(NIL));
    assert!(!is_guid("aaaaaaaabbbb4ccc8dddeeeeeeeeeeee"));
    assert!(!is_guid("{aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeee}"));
}

#[test]
fn random_text_has_the_requested_length_and_does_not_repeat() {
    assert_eq!(random_hex(416).len(), 416);
    assert_eq!(random_text(8).len(), 8);
    assert_ne!(random_text(43), random_text(43));
}

#[test]
fn times_are_formatted_and_parsed_with_milliseconds() {
    assert_eq!(iso(1_767_225_600_000), "2026-01-01T00:00:00.000Z");
    assert_eq!(parse_iso("2026-01-01T00:00:00.123456Z"), Some(1_767_225_600_123));
}
