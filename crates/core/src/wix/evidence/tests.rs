use super::*;

const NOW: Timestamp = Timestamp(1_767_225_600);

fn verdict(status: u16, body: &str) -> Verdict {
    judge(&Response { status, wix_request_id: None, retry_after: None, body: body.as_bytes().to_vec() }, NOW)
}

#[test]
fn a_refusal_is_from_wix_only_with_a_json_error() {
    for status in [400, 401, 403, 404] {
        for body in [
            r#"{"error":"invalid_grant"}"#,
            r#"{"message":"no such instance","details":{}}"#,
            r#" {"error":"x","error_description":"y"} "#,
            "\u{feff}{\"message\":\"\"}",
            r#"{"error":{},"message":"m"}"#,
        ] {
            assert_eq!(verdict(status, body), Verdict::Installation, "{status} {body}");
        }
        for body in [
            "",
            "<html><body>Forbidden</body></html>",
            "{}",
            "[]",
            "null",
            r#""invalid_grant""#,
            r#"{"error":true}"#,
            r#"{"error":{"code":403}}"#,
            r#"{"status":403}"#,
            r#"{"error":"cut"#,
            r#"[{"error":"x"}]"#,
        ] {
            assert_eq!(verdict(status, body), Verdict::Network, "{status} {body}");
        }
        for body in [
            r#"{"error":"invalid_client"}"#,
            r#"{"error":"unauthorized_client","error_description":"d"}"#,
            r#"{"message":"invalid_client"}"#,
        ] {
            assert_eq!(verdict(status, body), Verdict::Operator, "{status} {body}");
        }
    }
}

#[test]
fn transient_successful_and_unexpected_statuses() {
    for status in [408, 425, 429, 500, 502, 503, 599] {
        assert_eq!(verdict(status, r#"{"error":"invalid_client"}"#), Verdict::Transient(0), "{status}");
    }
    for status in [200, 201, 204] {
        assert_eq!(verdict(status, ""), Verdict::Success);
    }
    for status in [301, 302, 304, 402, 405, 410, 422] {
        assert_eq!(verdict(status, r#"{"error":"x"}"#), Verdict::Unexpected, "{status}");
    }
}

#[test]
fn retry_after_is_a_number_or_a_date_in_three_forms() {
    for (text, wait) in [
        ("0", Some(0)),
        (" 7 ", Some(7)),
        ("99999999999999999999999", Some(u64::MAX)),
        ("Thu, 01 Jan 2026 00:00:30 GMT", Some(30)),
        ("Thursday, 01-Jan-26 00:00:30 GMT", Some(30)),
        ("Thu Jan  1 00:00:30 2026", Some(30)),
        ("Wed, 31 Dec 2025 23:59:00 GMT", Some(0)),
        ("", None),
        ("-1", None),
        ("1.5", None),
        ("soon", None),
        ("Thu, 32 Jan 2026 00:00:30 GMT", None),
    ] {
        assert_eq!(retry_after(text, NOW), wait, "{text:?}");
    }
}
