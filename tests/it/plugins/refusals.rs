//! Forged, foreign and malformed calls: refused, not forwarded, and nothing is stored. Wix's own SDK is asked about the same
//! calls: all that it refuses, the Worker refuses too.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::{BED, PATH, assert_refused, call, post};
use crate::harness::{Key, Message, NOW, encode, guid, now, path_with_node, with_signature};

/// A call that must be refused: its name, its body, and the answer.
struct Attack {
    name: String,
    body: String,
    status: u16,
    code: &'static str,
}

#[expect(clippy::too_many_lines, reason = "a table: a row for each attack")]
fn attacks() -> Vec<Attack> {
    let bed = &BED.bed;
    let genuine = || call(bed, &guid());
    let mut all = Vec::new();
    let mut add = |name: &str, body: String, status: u16, code: &'static str| {
        all.push(Attack { name: name.to_owned(), body, status, code });
    };
    let with = |pointer: &str, value: Value| {
        let mut message = genuine();
        let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
        let parent = message.claims.pointer_mut(parent).and_then(Value::as_object_mut).expect("an object");
        if value.is_null() {
            parent.remove(name)
        } else {
            parent.insert(name.to_owned(), value)
        };
        message
    };

    let signature = (401, "bad_signature");
    add("another key", genuine().sign_with(&Key::generate()), signature.0, signature.1);
    let other = Key::generate();
    for (name, value) in [
        ("jwk", json!({ "kty": "RSA", "n": other.modulus(), "e": "AQAB", "alg": "RS256", "use": "sig" })),
        ("x5c", json!([other.public_base64()])),
        ("jku", json!("https://evil.example/keys.json")),
        ("kid", json!("../../dev/null")),
    ] {
        let mut message = genuine();
        message.header[name] = value;
        add(&format!("a key by {name}"), message.sign_with(&other), signature.0, signature.1);
    }
    for alg in ["none", "None", "NONE", "", "HS256", "PS256", "ES256", "rs256"] {
        let mut message = genuine();
        message.header = json!({ "alg": alg });
        let input = message.signing_input();
        add(&format!("alg {alg}, no signature"), with_signature(&input, &[]), signature.0, signature.1);
        add(&format!("alg {alg}, zeros"), with_signature(&input, &[0; 256]), signature.0, signature.1);
    }
    let app = &bed.wix.app;
    for key in [&app.public_key_pem, &app.public_key_base64, app.public_key_pem.trim_end()] {
        add("HS256 by the public key", genuine().sign_hs256(key), signature.0, signature.1);
    }
    add("RS512", genuine().sign_rs512(), signature.0, signature.1);
    let mut critical = genuine();
    critical.header["crit"] = json!(["exp"]);
    add("crit", critical.sign(), signature.0, signature.1);
    let (mine, theirs) = (genuine().sign(), genuine().sign());
    let (mine, theirs): (Vec<&str>, Vec<&str>) = (mine.split('.').collect(), theirs.split('.').collect());
    let mixed = format!("{}.{}.{}", mine[0], theirs[1], mine[2]);
    add("the signature of another call", mixed, signature.0, signature.1);

    for (pointer, values) in [
        ("/iss", vec![json!(null), json!("evil.example"), json!("https://www.wix.com"), json!(["wix.com"]), json!(7)]),
        ("/aud", vec![json!(null), json!(guid()), json!(""), json!([guid()]), json!({}), json!(7)]),
        ("/iat", vec![json!(null)]),
        ("/exp", vec![json!(null)]),
    ] {
        for value in values {
            add(&format!("{pointer} {value}"), with(pointer, value).sign(), 401, "bad_claims");
        }
    }
    for (pointer, value) in [
        ("/exp", json!(now() - 1)),
        ("/exp", json!(now() - 61)),
        ("/exp", json!(0)),
        ("/iat", json!(now() + 120)),
        ("/nbf", json!(now() + 30)),
    ] {
        add(&format!("{pointer} {value}"), with(pointer, value).sign(), 401, "not_valid_now");
    }

    let form = (400, "malformed_message");
    for (pointer, values) in [
        ("/exp", vec![json!("1999999999"), json!(-5), json!(true)]),
        ("/iat", vec![json!("1767225600"), json!(-5)]),
        ("/data", vec![json!(null), json!({}), json!([]), json!(7)]),
        ("/data/request", vec![json!(null), json!([]), json!("{}")]),
        ("/data/metadata", vec![json!(null), json!([]), json!("{}"), json!({})]),
        ("/data/metadata/appExtensionType", vec![json!(null), json!(7)]),
        ("/data/metadata/instanceId", vec![json!("x"), json!(7), json!(guid().replace('-', ""))]),
    ] {
        for value in values {
            add(&format!("{pointer} {value}"), with(pointer, value).sign(), form.0, form.1);
        }
    }
    let mut id_token = genuine();
    id_token.claims = json!({
        "iss": "wix.com", "aud": app.app_id, "sub": guid(), "nonce": "n", "iat": now(), "exp": now() + 60, "data": null,
    });
    add("an id token", id_token.sign(), form.0, form.1);
    let webhook = Message::new("AppInstalled", &guid(), &json!({ "appId": app.app_id }));
    add("a webhook", webhook.sign(), form.0, form.1);
    let mut with_claims = webhook;
    with_claims.claims["iss"] = "wix.com".into();
    with_claims.claims["aud"] = app.app_id.clone().into();
    add("a webhook with iss and aud", with_claims.sign(), form.0, form.1);

    let text = genuine().sign();
    let (head, _) = text.rsplit_once('.').expect("three parts");
    for body in [
        head.to_owned(),
        format!("{text}.{}", encode("more")),
        format!(".{text}"),
        format!("\"{text}\""),
        text.replace('.', " "),
        json!({ "data": genuine().claims["data"] }).to_string(),
        "..".to_owned(),
        " \n".to_owned(),
        String::new(),
    ] {
        add("no JWT", body, form.0, form.1);
    }
    all
}

/// Whether `@wix/sdk` accepts each body.
fn verdicts(bodies: &[&str]) -> Vec<bool> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut node = Command::new(root.join("node_modules/.bin/node"));
    node.arg("tests/it/plugins/verdicts.mjs").current_dir(root).env("PATH", path_with_node(root));
    let mut child = node.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("node must start");
    let key = crate::harness::KEY.public_base64();
    let input = json!({ "appId": BED.bed.wix.app.app_id, "publicKey": key, "bodies": bodies }).to_string();
    child.stdin.take().expect("an input").write_all(input.as_bytes()).expect("an open input");
    let output = child.wait_with_output().expect("an output");
    serde_json::from_slice(&output.stdout).expect("a list of truth values")
}

#[test]
fn every_attack_is_refused_as_by_wixs_sdk() {
    let attacks = attacks();
    assert!(attacks.len() >= 70, "{}", attacks.len());
    let mut wrong = Vec::new();
    for Attack { name, body, status, code } in &attacks {
        let response = post(&BED.bed, PATH, body.clone()).send();
        let found = response.json()["applicationError"]["code"].clone();
        if response.status != *status || found != *code {
            wrong.push(format!("{name}: {} {found}, not {status} {code}", response.status));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    // The SDK refuses these too, but for what it does not check. The genuine call is accepted by both.
    let genuine = call(&BED.bed, &guid()).sign();
    let bodies: Vec<&str> = attacks.iter().map(|attack| attack.body.as_str()).chain([genuine.as_str()]).collect();
    let verdicts = verdicts(&bodies);
    assert_eq!(verdicts.last(), Some(&true), "the SDK accepts the genuine call");
    post(&BED.bed, PATH, genuine.clone()).send().expect(200);
    let stricter: Vec<&str> = attacks
        .iter()
        .zip(&verdicts)
        .filter(|(_, accepted)| **accepted)
        .map(|(attack, _)| attack.name.as_str())
        .collect();
    println!("{} attacks, 0 accepted; the SDK accepts {stricter:?}", attacks.len());
}

/// Combinations of claims, right and wrong ones.
fn combinations() -> Vec<String> {
    let app = json!(BED.bed.wix.app.app_id);
    let mut all = Vec::new();
    for iss in [json!("wix.com"), json!("other")] {
        for aud in [app.clone(), json!([app]), json!("other")] {
            for exp in [json!(now() + 600), json!(now() + 30), json!(now() - 30), json!("1999999999")] {
                for nbf in [None, Some(now() - 5), Some(now() + 45)] {
                    for extension in ["T", ""] {
                        let mut message = call(&BED.bed, &guid());
                        let claims = &mut message.claims;
                        (claims["iss"], claims["aud"], claims["exp"]) = (iss.clone(), aud.clone(), exp.clone());
                        if let Some(nbf) = nbf {
                            claims["nbf"] = nbf.into();
                        }
                        if extension.is_empty() {
                            claims["data"]["metadata"]["appExtensionType"] = Value::Null;
                        }
                        all.push(message.sign());
                    }
                }
            }
        }
    }
    all
}

#[test]
fn a_call_that_the_worker_accepts_is_accepted_by_wixs_sdk() {
    let all = combinations();
    let bodies: Vec<&str> = all.iter().map(String::as_str).collect();
    let accepted = |body: &String| post(&BED.bed, PATH, body.clone()).send().status == 200;
    let accepted: Vec<bool> = all.iter().map(accepted).collect();
    assert!(accepted.contains(&true) && accepted.contains(&false));
    for ((body, by_worker), by_sdk) in all.iter().zip(accepted).zip(verdicts(&bodies)) {
        assert!(by_sdk || !by_worker, "the SDK refuses this call: {body}");
    }
}

#[test]
fn nothing_is_stored_or_forwarded_for_a_refused_call() {
    let id = guid();
    let mut other_app = call(&BED.bed, &id);
    other_app.claims["aud"] = guid().into();
    assert_refused(post(&BED.bed, PATH, other_app.sign()).send(), 401, "bad_claims");
    BED.bed.api(NOW, "GET", &format!("/v1/instances/{id}")).send().expect(404);
    assert_eq!(BED.target.count(&id), 0);
}

#[test]
fn each_address_names_the_other_one() {
    let bed = &BED.bed;
    let webhook = Message::new("AppInstalled", &guid(), &json!({ "appId": bed.wix.app.app_id })).sign();
    let response = assert_refused(post(bed, PATH, webhook).send(), 400, "malformed_message");
    let detail = response.json()["applicationError"]["data"]["detail"].to_string();
    assert!(detail.contains("/webhook"), "{detail}");
    assert!(bed.log.of_request(response.request_id())["cause"].to_string().contains("/webhook"));

    let id = guid();
    let response = post(bed, "/webhook", call(bed, &id).sign()).send().expect(400);
    assert_eq!(response.code(), "malformed_message");
    assert!(response.json()["detail"].to_string().contains("/plugins"), "{response:?}");
    bed.api(NOW, "GET", &format!("/v1/instances/{id}")).send().expect(404);
}

#[test]
fn a_call_is_refused_after_its_end() {
    let id = guid();
    let mut message = call(&BED.bed, &id);
    message.claims["exp"] = (now() + 3).into();
    let body = message.sign();
    post(&BED.bed, PATH, body.clone()).send().expect(200);
    std::thread::sleep(std::time::Duration::from_secs(4));
    assert_refused(post(&BED.bed, PATH, body).send(), 401, "not_valid_now");
    assert_eq!(BED.target.count(&id), 1);
}

#[test]
fn an_ambiguous_path_is_refused() {
    let id = guid();
    let body = call(&BED.bed, &id).sign();
    // The client of the tests, as any, resolves plain dot segments itself.
    for path in [
        "/plugins",
        "/plugins/",
        "/plugins//v1",
        "/plugins/v1//rates",
        "/plugins/v1%2frates",
        "/plugins/v1%5crates",
        "/plugins/%252e%252e/events",
        "/plugins/v1;x",
        "/plugins/@evil.example",
        "/plugins/v1/rates?admin=1",
    ] {
        assert_refused(post(&BED.bed, path, body.clone()).send(), 404, "not_found");
    }
    assert_eq!(BED.target.count(&id), 0);
    post(&BED.bed, "/plugins/v1/a%20b/", body).send().expect(200);
    assert_eq!(BED.target.received(&id).path, "/base/v1/a%20b/");
}

#[test]
fn another_method_is_a_405_in_the_same_form() {
    for method in ["GET", "PUT", "DELETE", "OPTIONS", "PATCH"] {
        let response = BED.bed.request(NOW, method, PATH).send();
        let response = assert_refused(response, 405, "method_not_allowed");
        assert_eq!(response.header("allow"), Some("POST"), "{response:?}");
    }
    BED.bed.request(NOW, "HEAD", PATH).send().expect(405);
}
