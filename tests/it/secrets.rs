//! Secrets at rest: after all flows, neither the store nor the log contains a readable secret.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::harness::{API_KEY, Exchange, Flow, Jar, Proxy, Stage, Wix, Worker, parameter};

/// The secret fields of exchanges between the Worker and Wix.
const FIELDS: [&str; 6] = ["access_token", "refresh_token", "code", "client_secret", "token", "signedInstance"];

/// A file or the log, with its content.
struct Place {
    name: String,
    bytes: Vec<u8>,
}

/// Everything that the Worker has stored, and its log.
fn places(worker: &Worker) -> Vec<Place> {
    let log = ("the log".to_owned(), worker.log.lines().join("\n").into_bytes());
    worker.stored().into_iter().chain([log]).map(|(name, bytes)| Place { name, bytes }).collect()
}

/// The encodings of a value to search for: plain, and in base64 at each of the three alignments. For a long value, two
/// pieces of it, since a file may split the value.
fn forms(secret: &[u8]) -> BTreeSet<Vec<u8>> {
    const PIECE: usize = 48;
    let pieces = if secret.len() > 2 * PIECE {
        vec![&secret[secret.len() / 2..secret.len() / 2 + PIECE], &secret[secret.len() - PIECE..]]
    } else {
        vec![secret]
    };
    let mut forms = BTreeSet::new();
    for piece in pieces {
        forms.insert(piece.to_vec());
        for shift in 0..3 {
            let shifted = [&vec![b'.'; shift], piece].concat();
            for encoded in [STANDARD_NO_PAD.encode(&shifted), URL_SAFE_NO_PAD.encode(&shifted)] {
                // The first and last characters depend on the surrounding bytes.
                forms.insert(encoded.as_bytes()[4..encoded.len() - 4].to_vec());
            }
        }
    }
    forms
}

/// The places that contain a value.
fn found(secret: &[u8], places: &[Place]) -> Vec<String> {
    let forms = forms(secret);
    let holds = |place: &&Place| {
        forms.iter().any(|form| place.bytes.windows(form.len()).any(|window| window == form.as_slice()))
    };
    places.iter().filter(holds).map(|place| place.name.clone()).collect()
}

#[test]
fn the_search_finds_a_value_in_every_encoding() {
    let secret = b"a-secret-of-some-length-0123456789";
    for shift in 0..3 {
        let around = [&b"ab"[..shift], secret, b"and so on"].concat();
        for bytes in
            [around.clone(), STANDARD.encode(&around).into_bytes(), URL_SAFE_NO_PAD.encode(&around).into_bytes()]
        {
            assert_eq!(found(secret, &[Place { name: "here".to_owned(), bytes }]), ["here"], "{shift}");
        }
    }
    let long = "x".repeat(500) + &"0123456789".repeat(50);
    let half = Place { name: "half".to_owned(), bytes: long.as_bytes()[600..].to_vec() };
    assert_eq!(found(long.as_bytes(), &[half]), ["half"]);
    assert_eq!(found(secret, &[Place { name: "here".to_owned(), bytes: b"nothing".to_vec() }]), Vec::<String>::new());
}

/// Collects the secrets of an exchange between the Worker and Wix.
fn secrets_in(exchange: &Exchange, secrets: &mut BTreeSet<String>) {
    for body in [&exchange.request, &exchange.response] {
        let Ok(Value::Object(fields)) = serde_json::from_str::<Value>(body) else { continue };
        secrets.extend(FIELDS.iter().filter_map(|name| fields.get(*name)?.as_str().map(str::to_owned)));
    }
}

#[test]
fn neither_store_nor_log_contains_a_secret() {
    let wix = Wix::start();
    let tap = Proxy::start(&wix.url, |_| {});
    let api_url = tap.url("127.0.0.1");
    let stage = Stage::with_wix(wix, Worker::start, |values| {
        values.with("WIX_API_URL", api_url).with("WIX_APP_SECRET_PREVIOUS", "the-secret-before-0123456789")
    });
    let mut secrets = BTreeSet::from([API_KEY.to_owned(), "the-secret-before-0123456789".to_owned()]);
    secrets.insert(stage.values.get("WIX_APP_SECRET").to_owned());
    let sealing_key = stage.values.get("SEALING_KEYS").split(':').nth(1).expect("a key").to_owned();

    let instances = run_all_flows(&stage, &mut secrets);

    let exchanges = tap.exchanges();
    for exchange in &exchanges {
        secrets_in(exchange, &mut secrets);
    }
    let kinds = |grant: &str| exchanges.iter().filter(|exchange| exchange.request.contains(grant)).count();
    assert!(kinds("authorization_code") >= 2 && kinds("\"refresh_token\"") >= 1 && kinds("client_credentials") >= 2);
    assert!(secrets.len() >= 12, "only {} secrets were seen", secrets.len());
    assert!(secrets.iter().all(|secret| secret.len() > 12), "too short for a search: {secrets:?}");

    let places = places(&stage.worker);
    // A control: the search finds the instance ids, which store and log may contain.
    for id in &instances {
        let found = found(id.as_bytes(), &places);
        assert!(found.contains(&"the log".to_owned()) && found.len() >= 2, "{id} is only in {found:?}");
    }
    for secret in &secrets {
        assert_eq!(found(secret.as_bytes(), &places), Vec::<String>::new(), "{secret}");
    }
    let key = STANDARD.decode(&sealing_key).expect("base64");
    assert_eq!(found(&key, &places), Vec::<String>::new(), "the sealing key");
}

/// Runs each flow once, successfully and with failures. Returns the instances.
fn run_all_flows(stage: &Stage, secrets: &mut BTreeSet<String>) -> [String; 3] {
    let force = |id: &str| {
        stage
            .worker
            .request("POST", &format!("/v1/instances/{id}/token"))
            .key(API_KEY)
            .json(&json!({ "force": true }))
            .send()
    };
    // Redirect flow, refresh, finish-configuration, reload, and a lost refresh token.
    let site = stage.wix.site();
    let install_token = stage.wix.install_token(&site);
    let mut jar = Jar::default();
    let flow = Flow::begin(stage, &mut jar, Some(&install_token));
    let callback = flow.consent(&site);
    let custom = parameter(&callback, "instanceId");
    jar.get(&callback).expect(302);
    stage.wix.wait_for_deliveries(&custom);
    force(&custom).expect(200);
    stage.api("POST", &format!("/v1/instances/{custom}/finish-configuration")).expect(200);
    jar.get(&callback).expect(302);
    stage.wix.revoke_tokens(&custom, true);
    force(&custom).expect(200);
    secrets.extend([install_token, flow.state, parameter(&callback, "code")]);
    secrets.extend(jar.0.iter().map(|(_, value)| value.clone()));

    // Webhook only, a token in KV, failing callbacks, and an error of Wix.
    let plain = stage.wix.new_instance();
    stage.token(&plain).expect(200);
    let other = Flow::begin(stage, &mut jar, None).state;
    let code = stage.wix.code(&plain);
    jar.get(stage.callback(&code, &custom, &other)).expect(403);
    let third = Flow::begin(stage, &mut jar, None).state;
    jar.get(stage.callback(&code, &plain, &third)).expect(400);
    Jar::default().get(stage.callback(&code, &plain, &other)).expect(403);
    stage.wix.add_fault(&plain, "oauth2_token", 4, &json!({ "kind": "malformed_json" }));
    force(&plain).expect(502);
    stage.worker.request("GET", "/v1/instances").key("a-wrong-key-that-is-nobodys").send().expect(401);
    secrets.extend([other, third, code, "a-wrong-key-that-is-nobodys".to_owned()]);

    // Removal.
    let removed = stage.install().instance;
    stage.wix.remove(&removed);
    [custom, plain, removed]
}
