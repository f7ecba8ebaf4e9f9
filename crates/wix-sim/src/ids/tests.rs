use super::*;

#[test]
fn a_guid_is_told_from_other_text() {
    assert!(is_guid(&guid()));
    assert!(is_guid(NIL));
    assert!(!is_guid("aaaaaaaabbbb4ccc8dddeeeeeeeeeeee"));
    assert!(!is_guid("{aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeee}"));
}

#[test]
fn random_text_has_the_length_asked_for_and_does_not_repeat() {
    assert_eq!(hex(416).len(), 416);
    assert_eq!(word(8).len(), 8);
    assert_ne!(word(43), word(43));
}

#[test]
fn moments_are_written_with_milliseconds_and_read_back() {
    assert_eq!(iso(1_767_225_600_000), "2026-01-01T00:00:00.000Z");
    assert_eq!(parse_iso("2026-01-01T00:00:00.123456Z"), Some(1_767_225_600_123));
}
