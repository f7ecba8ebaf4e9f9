use serde_json::json;

use super::*;
use crate::app_backend::AppAnswer;

const INSTANCE: &str = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee";
/// 2026-01-01T00:00:00Z
const AT: i64 = 1_767_225_600;

/// A webhook; the signature is not read.
fn sent(envelope: &Value) -> Sent {
    let claims = json!({ "data": envelope.to_string(), "iat": AT, "exp": AT + 3_600_000 }).to_string();
    Sent::read(&jws::signing_input("{}", &claims)).expect("Wix's form")
}

fn flat(data: &str) -> Value {
    json!({ "data": data, "instanceId": INSTANCE, "eventType": "com.wix.Changed" })
}

/// Events at the app: id, type, instance, data, and seconds after [`AT`].
fn inbox(events: &[(&str, &str, Option<&str>, &str, i64)]) -> Inbox {
    let mut inbox = Inbox::default();
    for (id, event_type, instance, data, seconds) in events {
        let source = if event_type.starts_with("installation.") { "wix-edge" } else { "wix" };
        let timestamp = jiff::Timestamp::from_second(AT + seconds).unwrap().to_string();
        let body = json!({ "type": event_type, "timestamp": timestamp, "instance_id": instance, "sequence": 1,
            "source": source, "anonymize": false, "data": "DATA" });
        let body = body.to_string().replace("\"DATA\"", data);
        inbox.record((*id).to_owned(), serde_json::from_str(&body).unwrap(), AppAnswer::Error, 0);
    }
    inbox
}

fn found(envelope: &Value, inbox: &Inbox) -> Option<String> {
    sent(envelope).find(inbox).map(|received| received.webhook_id.clone())
}

#[test]
fn an_event_with_an_id_of_its_own_is_found_by_it_alone() {
    let data = r#"{"id":"own-1","entityFqdn":"wix.ecom.v1.order","big":1e400}"#;
    let mut domain = flat(data);
    domain["webhookId"] = "wId_1".into();
    let both = inbox(&[("wId_1", "com.wix.Changed", Some(INSTANCE), data, 0), ("own-1", "any", None, "{}", 100_000)]);
    assert_eq!(found(&domain, &both).as_deref(), Some("own-1"));
    // The `id` of an event that is no domain event is not its own.
    let mut with_webhook_id = flat(r#"{"id":"own-1"}"#);
    with_webhook_id["webhookId"] = "wId_1".into();
    assert_eq!(found(&with_webhook_id, &both).as_deref(), Some("wId_1"));
    // Another event with the same content is another event.
    with_webhook_id["webhookId"] = "wId_2".into();
    let same = inbox(&[("wId_1", "com.wix.Changed", Some(INSTANCE), r#"{"id":"own-1"}"#, 0)]);
    assert_eq!(found(&with_webhook_id, &same), None);
    // The Worker replaces such an id.
    with_webhook_id["webhookId"] = "a.b".into();
    assert_eq!(found(&with_webhook_id, &same).as_deref(), Some("wId_1"));
}

#[test]
fn an_event_without_an_id_is_found_by_type_instance_data_and_time() {
    let data = r#"{ "b":1,"a":[2] }"#;
    let message = flat(&format!(" {data}\n"));
    let at = |seconds: i64| ("evt_1", "com.wix.Changed", Some(INSTANCE), data, seconds);
    assert_eq!(found(&message, &inbox(&[at(-600)])).as_deref(), Some("evt_1"));
    assert_eq!(found(&message, &inbox(&[at(-601)])), None);
    for other in [
        ("evt_1", "com.wix.Deleted", Some(INSTANCE), data, 0),
        ("evt_1", "com.wix.Changed", None, data, 0),
        ("evt_1", "com.wix.Changed", Some(INSTANCE), r#"{"b":1,"a":[2]}"#, 0),
    ] {
        assert_eq!(found(&message, &inbox(&[other])), None, "{other:?}");
    }
    let nearest =
        inbox(&[at(-500), ("evt_2", "com.wix.Changed", Some(INSTANCE), data, 3), ("evt_3", "x", None, data, 0)]);
    assert_eq!(found(&message, &nearest).as_deref(), Some("evt_2"));
}

#[test]
fn data_that_is_no_json_is_a_string_and_absent_data_is_null() {
    let text = inbox(&[("evt_1", "com.wix.Changed", Some(INSTANCE), r#""{broken""#, 0)]);
    assert_eq!(found(&flat("{broken"), &text).as_deref(), Some("evt_1"));
    let null = inbox(&[("evt_1", "com.wix.Changed", None, "null", 0)]);
    let absent = json!({ "eventType": "com.wix.Changed", "instanceId": "" });
    assert_eq!(found(&absent, &null).as_deref(), Some("evt_1"));
}

#[test]
fn an_event_of_wix_edge_belongs_to_no_webhook() {
    let own = inbox(&[("evt_1", "installation.installed", Some(INSTANCE), "{}", 0)]);
    let mut message = flat("{}");
    message["eventType"] = "installation.installed".into();
    assert_eq!(found(&message, &own), None);
}

#[test]
fn events_wait_behind_a_failing_one_of_their_instance_only() {
    let failing = inbox(&[("evt_1", "com.wix.Deleted", Some(INSTANCE), "{}", 0)]);
    assert!(sent(&flat("{}")).is_behind_a_failing_event(&failing, 0));
    assert!(!sent(&flat("{}")).is_behind_a_failing_event(&failing, -1));
    let mut other = flat("{}");
    other["instanceId"] = "another".into();
    assert!(!sent(&other).is_behind_a_failing_event(&failing, 0));
}

#[test]
fn a_message_of_another_form_is_not_read() {
    for text in ["", "a.b.c", &jws::signing_input("{}", r#"{"data":{"eventType":"x"},"iat":1}"#)] {
        assert!(Sent::read(text).is_none(), "{text}");
    }
}
