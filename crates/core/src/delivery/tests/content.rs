//! The body of an event, its identity and its signature.

use super::*;

#[test]
fn the_body_has_the_fields_in_order() {
    let data = r#"{"id":"0f0f0f0f-1111-4222-8333-444444444444","entityFqdn":"wix.a.v1.b","eventTime":"2026-01-01T00:00:05.5Z","triggeredByAnonymizeRequest":true}"#;
    let identity = r#"{"identityType":"APP","appId":"x"}"#;
    let all = json!({ "eventType": "wix.a.v1.b_created", "instanceId": INSTANCE, "data": data, "identity": identity,
        "accountInfo": { "accountId": "a", "siteId": "s" } });
    assert_eq!(
        body(&all),
        format!(
            r#"{{"type":"wix.a.v1.b_created","timestamp":"2026-01-01T00:00:05.5Z","instance_id":"{INSTANCE}","sequence":17,"source":"wix","data":{data},"identity":{identity},"account":{{"account_id":"a","site_id":"s"}},"anonymize":true}}"#
        )
    );
    let least = json!({ "eventType": "A\"\n", "instanceId": "", "accountInfo": 7, "webhookId": null });
    assert_eq!(
        body(&least),
        r#"{"type":"A\"\n","timestamp":"2026-01-01T00:00:00Z","sequence":17,"source":"wix","data":null,"anonymize":false}"#
    );
}

/// What Wix sent as innermost layer, and what is delivered.
#[test]
fn data_is_passed_on_byte_for_byte_if_it_is_json() {
    let nested = format!("{}1{}", "[".repeat(500), "]".repeat(500));
    let same = [
        r#"{"a":1e400,"b":-0,"c":1.50}"#,
        r#"{"a":"\ud800","b":"\uDC00\u0000"}"#,
        r#"{"a":1,"a":2}"#,
        " {\n\"a\" : [ ] }\t\r\n",
        "7",
        "null",
        "\"text\"",
        "\"\u{2028}\u{7f}\"",
        &nested,
    ];
    for data in same {
        let body = body(&json!({ "eventType": "E", "instanceId": INSTANCE, "data": data }));
        assert!(body.contains(&format!(r#""data":{data},"#)), "{data}: {body}");
    }
    let not_json =
        ["", "{", "NaN", "01", "1.", "{'a':1}", "[1,]", "\u{feff}{}", "\"\t\"", "1 2", r#""\x""#, r#""\ud80""#];
    for data in not_json {
        let body = body(&json!({ "eventType": "E", "instanceId": INSTANCE, "data": data }));
        let parsed: Value = serde_json::from_str(&body).expect("JSON");
        assert_eq!(parsed["data"], json!(data), "{body}");
    }
    let object = body(&json!({ "eventType": "E", "data": { "a": [1] }, "identity": "no JSON" }));
    assert!(object.contains(r#""data":{"a":[1]},"identity":"no JSON","#), "{object}");
    // A text of the envelope that no string can hold stays as Wix wrote it.
    let app = AppId::parse(APP).expect("an id");
    let message = event::parse(&app, r#"{"eventType":"E","data":"\ud800"}"#).expect("an envelope");
    assert_eq!(message.envelope.content().data.as_deref(), Some(r#""\ud800""#));
}

#[test]
fn an_unusable_event_time_is_replaced_by_the_time_of_the_signature() {
    for time in [
        json!("yesterday"),
        json!("2026-13-01T00:00:00Z"),
        json!(7),
        json!(null),
        json!("2026-01-01\",\"x\":\"T00:00:00Z"),
    ] {
        let data = json!({ "eventTime": time, "id": "1", "entityFqdn": "x" }).to_string();
        let body = body(&json!({ "eventType": "E", "data": data }));
        assert!(body.contains(r#""timestamp":"2026-01-01T00:00:00Z""#), "{time}: {body}");
    }
}

#[test]
fn the_id_is_the_events_own_or_derives_from_content_and_time() {
    let with = |changes: Value| {
        let mut envelope = envelope(1);
        for (name, value) in changes.as_object().expect("an object") {
            envelope[name] = value.clone();
        }
        event_of(&envelope, 1_767_225_600).identity
    };
    let domain =
        |id: &str| json!({ "data": json!({ "id": id, "entityFqdn": "wix.a.v1.b" }).to_string(), "webhookId": "w" });
    assert_eq!(with(domain("0f0f-1")).webhook_id(), "0f0f-1");
    assert_eq!(with(json!({ "webhookId": "wId_1_-2__x" })).webhook_id(), "wId_1_-2__x");
    // An entity's id is not an event's.
    assert!(with(json!({ "data": "{\"id\":\"7\"}" })).by_content);
    assert!(with(json!({ "webhookId": 7 })).by_content);
    assert!(with(json!({ "webhookId": "" })).by_content);
    let long = "x".repeat(129);
    for id in ["a.b", "a b", "ä", "a\nb", "evt_x", &long] {
        let identity = with(domain(id));
        assert!(
            !identity.by_content && identity.webhook_id().starts_with("evt_") && identity.webhook_id().len() == 36,
            "{identity:?}"
        );
    }
    let derived = with(json!({})).webhook_id();
    assert!(derived.starts_with("evt_") && derived.ends_with("_1767225600"), "{derived}");
    let others = [
        json!({ "eventType": "Other" }),
        json!({ "instanceId": "bbbbbbbb-bbbb-4ccc-8ddd-eeeeeeeeeeee" }),
        json!({ "data": "{\"number\":2}" }),
        json!({ "identity": "{}" }),
        json!({ "accountInfo": { "siteId": "s" } }),
    ];
    for other in others {
        assert_ne!(with(other.clone()).key, with(json!({})).key, "{other}");
    }
}

#[test]
fn a_message_to_the_object_that_is_no_event_is_refused() {
    for message in ["", "{}", "{}\n{}\n{}", "x\n\n", "{\"key\":\"k\",\"iat\":1}\n\n"] {
        assert!(Event::from_message(message).is_err(), "{message:?}");
    }
}

#[test]
fn copies_are_known_and_the_first_time_stays_in_the_id() {
    let site = Site::new();
    let at = |iat| event_of(&envelope(1), iat);
    assert_eq!(site.accept(&at(10_000)), Accepted::Stored);
    for iat in [10_000, 10_600, 9_400] {
        assert_eq!(site.accept(&at(iat)), Accepted::Known, "{iat}");
    }
    assert_eq!(site.accept(&at(10_601)), Accepted::Stored);
    assert_eq!(site.accept(&at(9_399)), Accepted::Stored);
    let seen = site.object.seen();
    let times: Vec<&str> = seen.iter().filter_map(|seen| seen.id().rsplit('_').next()).collect();
    assert_eq!(times, ["10000", "10601", "9399"]);
    // An own id is one event, whenever its copies come.
    let mut own = envelope(2);
    own["webhookId"] = "w".into();
    assert_eq!(site.accept(&event_of(&own, 10_000)), Accepted::Stored);
    site.pass(4 * DAY);
    assert_eq!(site.accept(&event_of(&own, 400_000)), Accepted::Known);
    assert_eq!(site.attempts(), [1, 2, 3, 4]);
}

#[test]
fn every_secret_signs_each_attempt_anew() {
    let mut site = Site::new();
    site.settings.secrets.push(parse_secret("whsec_b2xkIHNlY3JldCBvZiB0aGUgdGVzdHMsIDMyIGJ5dGVz").expect("a secret"));
    let mut left = 1;
    site.object.script(move |_| {
        left -= 1;
        (0, status(if left == 0 { 500 } else { 200 }))
    });
    site.accept(&event(1));
    site.pass(MINUTE);
    let [first, again] = site.object.seen().try_into().expect("two attempts");
    let header = |seen: &Seen, name: &str| seen.headers.iter().find(|(known, _)| *known == name).expect("it").1.clone();
    assert_eq!(first.id(), again.id());
    assert_eq!(first.body, again.body);
    assert_eq!(header(&again, "webhook-timestamp"), (again.at / 1000).to_string());
    assert_ne!(header(&first, "webhook-signature"), header(&again, "webhook-signature"));
    let signatures = header(&first, "webhook-signature");
    assert_eq!(signatures.split(' ').filter(|signature| signature.starts_with("v1,")).count(), 2);
}

/// The example of the specification's reference implementation.
#[test]
fn the_signature_is_that_of_the_specification() {
    let secret = parse_secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("a secret");
    let headers = super::super::signature::headers(
        &[secret],
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        Timestamp(1_614_265_330),
        r#"{"test": 2432232314}"#,
    );
    assert_eq!(headers[2].1, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}

#[test]
fn a_secret_has_24_to_64_bytes_of_base64() {
    use base64::Engine as _;
    let encoded = |length: u8| {
        let bytes: Vec<u8> = (0..length).collect();
        format!("whsec_{}", base64::engine::general_purpose::STANDARD.encode(bytes))
    };
    for (text, is_good) in [
        (encoded(24), true),
        (encoded(32).replace('=', ""), true),
        ("whsec_-_-_AAECAwQFBgcICQoLDA0ODxAREhMUFRY".to_owned(), true),
        (encoded(64), true),
        (encoded(23), false),
        (encoded(65), false),
        (encoded(32).replace("whsec_", ""), false),
        ("whsec_not base64".to_owned(), false),
        (format!("whsec_{}", "AAAA".repeat(8)), false),
    ] {
        assert_eq!(parse_secret(&text).is_ok(), is_good, "{text}");
    }
    let bytes = |text: &str| parse_secret(text).expect("a secret").expose().to_vec();
    assert_eq!(bytes("whsec_-_-_AAECAwQFBgcICQoLDA0ODxAREhMUFRY"), bytes("whsec_+/+/AAECAwQFBgcICQoLDA0ODxAREhMUFRY="));
}

#[test]
fn types_may_end_with_an_asterisk() {
    let types = |list: &[&str]| Types::new(list.iter().map(|entry| Types::parse(entry).expect("a type")).collect());
    assert!(types(&[]).contains("anything"));
    let some = types(&["AppInstalled", "wix.ecom.*"]);
    for (name, is_wanted) in
        [("AppInstalled", true), ("AppInstalledX", false), ("wix.ecom.v1.order_created", true), ("wix.e", false)]
    {
        assert_eq!(some.contains(name), is_wanted, "{name}");
    }
    assert!(types(&["*"]).contains("anything"));
    for bad in ["a*b", "**", "a b", "ä"] {
        assert!(Types::parse(bad).is_err(), "{bad}");
    }
}
