//! Forged and malformed webhooks: refused, and nothing is stored.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::json;

use crate::harness::{Key, Message, Response, Stage, encode, guid, now, request, shared, with_signature};
use crate::webhook::deliver;

const LIMIT: usize = 1024 * 1024;

/// Asserts a refusal with this status and code, and that the instance stays unknown.
#[track_caller]
fn assert_refused(body: impl Into<Vec<u8>>, id: &str, status: u16, code: &str) -> Response {
    let stage = shared();
    let response = deliver(stage, body).expect(status);
    assert_eq!(response.code(), code, "{response:?}");
    assert_eq!(response.json()["request_id"], response.request_id(), "{response:?}");
    stage.api("GET", &format!("/v1/instances/{id}")).expect(404);
    response
}

fn installed(id: &str) -> Message {
    Message::installed(shared(), id)
}

#[test]
fn a_message_signed_by_another_key_is_refused() {
    let id = guid();
    assert_refused(installed(&id).sign_with(&Key::generate()), &id, 401, "bad_signature");
}

#[test]
fn a_key_in_the_header_of_the_message_is_not_used() {
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
        assert_refused(message.sign_with(&key), &id, 401, "bad_signature");
    }
}

#[test]
fn a_message_with_an_altered_signature_is_refused() {
    let id = guid();
    let message = installed(&id).sign();
    for at in [0, 100, 341] {
        let start = message.rfind('.').expect("a signature") + 1 + at;
        let other = if &message[start..=start] == "A" { "Q" } else { "A" };
        let altered = format!("{}{other}{}", &message[..start], &message[start + 1..]);
        let response = deliver(shared(), altered);
        assert!(matches!(response.status, 400 | 401), "{at}: {response:?}");
        shared().api("GET", &format!("/v1/instances/{id}")).expect(404);
    }
}

#[test]
fn a_signature_is_not_valid_for_other_claims() {
    let (id, other) = (guid(), guid());
    let (mine, theirs) = (installed(&id).sign(), installed(&other).sign());
    let mine: Vec<&str> = mine.split('.').collect();
    let theirs: Vec<&str> = theirs.split('.').collect();
    assert_refused(format!("{}.{}.{}", mine[0], theirs[1], mine[2]), &other, 401, "bad_signature");
}

#[test]
fn an_unsigned_message_is_refused_with_any_alg() {
    let id = guid();
    assert_refused(installed(&id).sign_none(), &id, 401, "bad_signature");
    for alg in ["none", "None", "NONE", "", "HS256", "PS256", "ES256", "rs256"] {
        let mut message = installed(&id);
        message.header = json!({ "alg": alg });
        assert_refused(with_signature(&message.signing_input(), &[]), &id, 401, "bad_signature");
        assert_refused(with_signature(&message.signing_input(), &[0; 256]), &id, 401, "bad_signature");
    }
    let empty = with_signature(&installed(&id).signing_input(), &[]);
    assert_refused(empty, &id, 401, "bad_signature");
}

#[test]
fn hs256_with_the_public_key_as_the_secret_is_refused() {
    let id = guid();
    let app = &shared().wix.app;
    for key in [&app.public_key_pem, &app.public_key_base64, app.public_key_pem.trim_end()] {
        assert_refused(installed(&id).sign_hs256(key), &id, 401, "bad_signature");
    }
}

#[test]
fn rs512_is_refused_even_with_the_right_key() {
    let id = guid();
    assert_refused(installed(&id).sign_rs512(), &id, 401, "bad_signature");
}

#[test]
fn a_header_with_crit_is_refused() {
    let id = guid();
    let mut message = installed(&id);
    message.header["crit"] = json!(["exp"]);
    assert_refused(message.sign(), &id, 401, "bad_signature");
}

#[test]
fn an_expired_or_future_message_is_refused() {
    let id = guid();
    let mut message = installed(&id);
    message.claims["exp"] = json!(now() - 61);
    assert_refused(message.sign(), &id, 401, "not_valid_now");
    assert_refused(installed(&id).at(now() + 120).sign(), &id, 401, "not_valid_now");
    let mut message = installed(&id);
    message.claims["nbf"] = json!(now() + 120);
    assert_refused(message.sign(), &id, 401, "not_valid_now");
}

#[test]
fn a_body_without_three_parts_is_refused() {
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
        assert_refused(body, &id, 400, "malformed_message");
    }
    assert_refused([0xff, 0xfe, b'.', b'.'], &id, 400, "malformed_message");
    // A message cut within its signature still has three parts.
    let response = deliver(shared(), &message[..message.len() - 4]);
    assert!(matches!(response.status, 400 | 401), "{response:?}");
}

#[test]
fn an_empty_body_is_refused() {
    assert_refused("", &guid(), 400, "malformed_message");
    assert_refused(" \n", &guid(), 400, "malformed_message");
    shared().worker.request("POST", "/webhook").send().expect(400);
}

#[test]
fn signed_claims_without_a_valid_envelope_are_refused() {
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
        // A service plugin's message has `data` as an object.
        with_data(genuine.envelope.clone()),
        with_data(json!("no JSON")),
        with_data(json!("{}")),
        with_data(json!(7)),
        with_claim("iat", json!("1767225600")),
        with_claim("exp", json!("1999999999")),
        with_claim("iat", json!(-5)),
        with_envelope("eventType", json!(5)),
    ] {
        assert_refused(message, &id, 400, "malformed_message");
    }
    // The instance is optional, and so Wix need not send the message again.
    for instance in [json!("not-a-guid"), json!("")] {
        deliver(shared(), with_envelope("instanceId", instance)).expect(200);
        shared().api("GET", &format!("/v1/instances/{id}")).expect(404);
    }
}

#[test]
fn an_event_of_another_app_changes_nothing() {
    let stage = shared();
    let id = stage.wix.new_instance();
    let before = stage.instance(&id);
    deliver(stage, Message::new("AppRemoved", &id, &json!({ "appId": guid() })).sign()).expect(200);
    assert_eq!(stage.instance(&id), before);
}

#[test]
fn the_webhook_accepts_post_only() {
    for method in ["GET", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"] {
        let response = shared().worker.request(method, "/webhook").send().expect(405);
        assert_eq!(response.header("allow"), Some("POST"), "{response:?}");
    }
}

/// A valid message, padded with trailing spaces to a length.
fn of_length(id: &str, length: usize) -> Vec<u8> {
    let mut body = installed(id).sign().into_bytes();
    body.resize(length, b' ');
    body
}

#[test]
fn a_body_of_the_maximum_size_is_accepted_and_a_larger_one_refused() {
    let stage = shared();
    let id = guid();
    assert_refused(of_length(&id, LIMIT + 1), &id, 413, "too_large");
    deliver(stage, of_length(&id, LIMIT)).expect(200);
    assert_eq!(stage.instance(&id)["status"], "installed");
}

#[test]
fn a_chunked_body_has_the_same_limit() {
    let stage = shared();
    let id = guid();
    let chunked = |body: Vec<u8>| request("POST", stage.worker.at("/webhook")).body(body).chunked().send();
    assert_eq!(chunked(of_length(&id, LIMIT + 1)).expect(413).code(), "too_large");
    stage.api("GET", &format!("/v1/instances/{id}")).expect(404);
    chunked(of_length(&id, LIMIT)).expect(200);
    assert_eq!(stage.instance(&id)["status"], "installed");
}

#[test]
fn the_connection_stays_usable_after_a_body_over_the_limit() {
    let stage = shared();
    let mut line = Line::to(stage);
    for length in [LIMIT + 1, 2 * LIMIT, 4 * LIMIT] {
        assert_eq!(line.post(&vec![b'a'; length]), 413, "{length} bytes");
        let id = guid();
        assert_eq!(line.post(installed(&id).sign().as_bytes()), 200, "after {length} bytes");
        assert_eq!(stage.instance(&id)["status"], "installed");
    }
}

/// A single HTTP connection.
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

    /// Posts a webhook, reads the whole response, and returns its status.
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
        for _ in 0..length.unwrap_or_else(|| panic!("length is missing: {head}")) {
            self.byte();
        }
        let status = head.split(' ').nth(1).and_then(|text| text.parse().ok());
        status.unwrap_or_else(|| panic!("status is missing: {head}"))
    }

    fn byte(&mut self) -> u8 {
        let mut byte = [0];
        self.stream.read_exact(&mut byte).expect("the rest of a response");
        byte[0]
    }
}
