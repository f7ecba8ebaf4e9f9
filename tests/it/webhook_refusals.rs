//! Webhooks that are not Wix's, or not well formed: refused, and nothing of them is kept.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::json;

use crate::harness::{Answer, Key, Message, Stage, ask, encode, guid, now, shared, with_signature};
use crate::webhook::deliver;

const LIMIT: usize = 1024 * 1024;

/// Refused with this status and name, and the instance stays unknown.
#[track_caller]
fn refused(body: impl Into<Vec<u8>>, id: &str, status: u16, code: &str) -> Answer {
    let stage = shared();
    let answer = deliver(stage, body).expect(status);
    assert_eq!(answer.code(), code, "{answer:?}");
    assert_eq!(answer.json()["request_id"], answer.request_id(), "{answer:?}");
    stage.api("GET", &format!("/v1/instances/{id}")).expect(404);
    answer
}

fn installed(id: &str) -> Message {
    Message::installed(shared(), id)
}

#[test]
fn a_message_signed_by_another_key_is_refused() {
    let id = guid();
    refused(installed(&id).sign_with(&Key::generate()), &id, 401, "bad_signature");
}

#[test]
fn a_key_that_the_message_brings_along_is_not_used() {
    let (id, key) = (guid(), Key::generate());
    for (name, value) in [
        ("jwk", json!({ "kty": "RSA", "n": key.modulus(), "e": "AQAB", "alg": "RS256", "use": "sig" })),
        ("x5c", json!([key.public_base64()])),
        ("jku", json!("https://evil.example/keys.json")),
        ("x5u", json!("https://evil.example/key.pem")),
        ("kid", json!("../../dev/null")),
    ] {
        let mut message = installed(&id);
        message.header[name] = value;
        refused(message.sign_with(&key), &id, 401, "bad_signature");
    }
}

#[test]
fn a_message_with_one_bit_of_its_signature_turned_is_refused() {
    let id = guid();
    let message = installed(&id).sign();
    for at in [0, 100, 341] {
        let start = message.rfind('.').expect("a signature") + 1 + at;
        let other = if &message[start..=start] == "A" { "Q" } else { "A" };
        let altered = format!("{}{other}{}", &message[..start], &message[start + 1..]);
        let answer = deliver(shared(), altered);
        assert!(matches!(answer.status, 400 | 401), "{at}: {answer:?}");
        shared().api("GET", &format!("/v1/instances/{id}")).expect(404);
    }
}

#[test]
fn a_signature_does_not_serve_for_other_claims() {
    let (id, other) = (guid(), guid());
    let (mine, theirs) = (installed(&id).sign(), installed(&other).sign());
    let mine: Vec<&str> = mine.split('.').collect();
    let theirs: Vec<&str> = theirs.split('.').collect();
    refused(format!("{}.{}.{}", mine[0], theirs[1], mine[2]), &other, 401, "bad_signature");
}

#[test]
fn a_message_without_a_signature_is_refused_whatever_it_calls_its_algorithm() {
    let id = guid();
    refused(installed(&id).sign_none(), &id, 401, "bad_signature");
    for alg in ["none", "None", "NONE", "", "HS256", "PS256", "ES256", "rs256"] {
        let mut message = installed(&id);
        message.header = json!({ "alg": alg });
        refused(with_signature(&message.signing_input(), &[]), &id, 401, "bad_signature");
        refused(with_signature(&message.signing_input(), &[0; 256]), &id, 401, "bad_signature");
    }
    let empty = with_signature(&installed(&id).signing_input(), &[]);
    refused(empty, &id, 401, "bad_signature");
}

#[test]
fn the_public_key_is_no_hmac_secret() {
    let id = guid();
    let app = &shared().wix.app;
    for key in [&app.public_key_pem, &app.public_key_base64, app.public_key_pem.trim_end()] {
        refused(installed(&id).sign_hs256(key), &id, 401, "bad_signature");
    }
}

#[test]
fn another_rsa_algorithm_is_refused_though_the_key_is_right() {
    let id = guid();
    refused(installed(&id).sign_rs512(), &id, 401, "bad_signature");
}

#[test]
fn a_header_that_demands_an_extension_is_refused() {
    let id = guid();
    let mut message = installed(&id);
    message.header["crit"] = json!(["exp"]);
    refused(message.sign(), &id, 401, "bad_signature");
}

#[test]
fn a_message_that_has_expired_or_is_from_the_future_is_refused() {
    let id = guid();
    let mut message = installed(&id);
    message.claims["exp"] = json!(now() - 61);
    refused(message.sign(), &id, 401, "not_valid_now");
    refused(installed(&id).at(now() + 120).sign(), &id, 401, "not_valid_now");
    let mut message = installed(&id);
    message.claims["nbf"] = json!(now() + 120);
    refused(message.sign(), &id, 401, "not_valid_now");
}

#[test]
fn what_is_no_message_of_three_parts_is_refused() {
    let id = guid();
    let message = installed(&id).sign();
    let (head, _) = message.rsplit_once('.').expect("three parts");
    for body in [
        head.to_owned(),
        format!("{message}.{}", encode("more")),
        format!(".{message}"),
        message[..message.len() / 2].to_owned(),
        format!("\"{message}\""),
        message.replace('.', " "),
        json!({ "eventType": "AppInstalled", "instanceId": id }).to_string(),
        "..".to_owned(),
        "\u{0}".to_owned(),
    ] {
        refused(body, &id, 400, "malformed_message");
    }
    refused([0xff, 0xfe, b'.', b'.'], &id, 400, "malformed_message");
    // Cut within the signature it may still be three parts.
    let answer = deliver(shared(), &message[..message.len() - 4]);
    assert!(matches!(answer.status, 400 | 401), "{answer:?}");
}

#[test]
fn an_empty_body_is_refused() {
    refused("", &guid(), 400, "malformed_message");
    refused(" \n", &guid(), 400, "malformed_message");
    shared().worker.ask("POST", "/webhook").send().expect(400);
}

#[test]
fn signed_claims_that_are_not_a_webhooks_are_refused() {
    let id = guid();
    let genuine = installed(&id);
    let with_data = |data: serde_json::Value| {
        let mut message = genuine.clone();
        message.claims["data"] = data;
        message.sign()
    };
    let with_claim = |name: &str, value: serde_json::Value| {
        let mut message = genuine.clone();
        message.claims[name] = value;
        message.sign()
    };
    let with_envelope = |name: &str, value: serde_json::Value| {
        let mut message = genuine.clone();
        message.envelope[name] = value;
        message.sign()
    };
    for message in [
        // As an object it is a service plugin's message, not a webhook.
        with_data(genuine.envelope.clone()),
        with_data(json!("no JSON")),
        with_data(json!("{}")),
        with_data(json!(7)),
        with_claim("iat", json!("1767225600")),
        with_claim("exp", json!("1999999999")),
        with_claim("iat", json!(-5)),
        with_envelope("eventType", json!(5)),
        with_envelope("instanceId", json!("not-a-guid")),
        with_envelope("instanceId", json!("")),
    ] {
        refused(message, &id, 400, "malformed_message");
    }
}

#[test]
fn an_event_of_another_app_changes_nothing() {
    let stage = shared();
    let id = stage.wix.installed();
    let before = stage.instance(&id);
    deliver(stage, Message::new("AppRemoved", &id, &json!({ "appId": guid() })).sign()).expect(200);
    assert_eq!(stage.instance(&id), before);
}

#[test]
fn the_webhook_takes_post_alone() {
    for method in ["GET", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"] {
        let answer = shared().worker.ask(method, "/webhook").send().expect(405);
        assert_eq!(answer.header("allow"), Some("POST"), "{answer:?}");
    }
}

/// A valid message, brought to a length by blanks, which count and do not matter.
fn of_length(id: &str, length: usize) -> Vec<u8> {
    let mut body = installed(id).sign().into_bytes();
    body.resize(length, b' ');
    body
}

#[test]
fn a_body_of_exactly_the_limit_is_taken_and_one_byte_more_is_not() {
    let stage = shared();
    let id = guid();
    refused(of_length(&id, LIMIT + 1), &id, 413, "too_large");
    deliver(stage, of_length(&id, LIMIT)).expect(200);
    assert_eq!(stage.instance(&id)["status"], "installed");
}

#[test]
fn a_body_in_chunks_is_held_to_the_same_limit() {
    let stage = shared();
    let id = guid();
    let chunked = |body: Vec<u8>| ask("POST", stage.worker.at("/webhook")).body(body).chunked().send();
    assert_eq!(chunked(of_length(&id, LIMIT + 1)).expect(413).code(), "too_large");
    stage.api("GET", &format!("/v1/instances/{id}")).expect(404);
    chunked(of_length(&id, LIMIT)).expect(200);
    assert_eq!(stage.instance(&id)["status"], "installed");
}

#[test]
fn after_a_body_that_is_too_large_the_connection_goes_on() {
    let stage = shared();
    let mut line = Line::to(stage);
    for length in [LIMIT + 1, 2 * LIMIT, 4 * LIMIT] {
        assert_eq!(line.post(&vec![b'a'; length]), 413, "{length} bytes");
        let id = guid();
        assert_eq!(line.post(installed(&id).sign().as_bytes()), 200, "after {length} bytes");
        assert_eq!(stage.instance(&id)["status"], "installed");
    }
}

/// One connection, by hand.
struct Line {
    stream: TcpStream,
    host: String,
}

impl Line {
    fn to(stage: &Stage) -> Self {
        let host = stage.worker.url.trim_start_matches("http://").to_owned();
        let stream = TcpStream::connect(&host).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
        Self { stream, host }
    }

    /// Posts a webhook and gives the status of the answer, which is read to its end.
    fn post(&mut self, body: &[u8]) -> u16 {
        let head = format!("POST /webhook HTTP/1.1\r\nhost: {}\r\ncontent-length: {}\r\n\r\n", self.host, body.len());
        self.stream.write_all(head.as_bytes()).expect("an open connection");
        self.stream.write_all(body).expect("an open connection");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.byte());
        }
        let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
        for _ in 0..length.unwrap_or_else(|| panic!("no length: {head}")) {
            self.byte();
        }
        let status = head.split(' ').nth(1).and_then(|text| text.parse().ok());
        status.unwrap_or_else(|| panic!("no status: {head}"))
    }

    fn byte(&mut self) -> u8 {
        let mut byte = [0];
        self.stream.read_exact(&mut byte).expect("the rest of an answer");
        byte[0]
    }
}
