//! Secrets at rest: whatever happens, none of them stands in the store or in the log in a form that can be read.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::harness::{API_KEY, Exchange, Flow, Jar, Proxy, Stage, Wix, Worker, parameter};

/// Fields of what is said between the Worker and Wix that nobody else may read.
const FIELDS: [&str; 6] = ["access_token", "refresh_token", "code", "client_secret", "token", "signedInstance"];

/// A place to look into, and what stands there.
struct Place {
    name: String,
    bytes: Vec<u8>,
}

/// Every file of the Worker's store, and its log.
fn places(worker: &Worker) -> Vec<Place> {
    let mut places = Vec::new();
    collect(&worker.store(), &mut places);
    places.push(Place { name: "the log".to_owned(), bytes: worker.log.lines().join("\n").into_bytes() });
    places
}

fn collect(folder: &Path, places: &mut Vec<Place>) {
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, places);
        } else {
            places.push(Place { name: path.display().to_string(), bytes: fs::read(&path).expect("a file") });
        }
    }
}

/// The forms in which a value could be found: as it is, and inside of base64, wherever it begins there. Of a long one a
/// piece from the middle and one from the end are looked for, since a file may break it anywhere.
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
                // The first and the last characters depend on what stands around it.
                forms.insert(encoded.as_bytes()[4..encoded.len() - 4].to_vec());
            }
        }
    }
    forms
}

/// Where a value is found.
fn found(secret: &[u8], places: &[Place]) -> Vec<String> {
    let forms = forms(secret);
    let holds = |place: &&Place| {
        forms.iter().any(|form| place.bytes.windows(form.len()).any(|window| window == form.as_slice()))
    };
    places.iter().filter(holds).map(|place| place.name.clone()).collect()
}

#[test]
fn the_search_finds_what_is_there_in_every_form() {
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

/// What is secret in an exchange between Worker and Wix.
fn secrets_in(exchange: &Exchange, secrets: &mut BTreeSet<String>) {
    for body in [&exchange.request, &exchange.answer] {
        let Ok(Value::Object(fields)) = serde_json::from_str::<Value>(body) else { continue };
        secrets.extend(FIELDS.iter().filter_map(|name| fields.get(*name)?.as_str().map(str::to_owned)));
    }
}

#[test]
fn no_secret_stands_in_the_store_or_in_the_log() {
    let wix = Wix::start();
    let tap = Proxy::start(&wix.url, |_| {});
    let api_url = tap.url("127.0.0.1");
    let stage = Stage::before(wix, Worker::start, |values| {
        values.with("WIX_API_URL", api_url).with("WIX_APP_SECRET_PREVIOUS", "the-secret-before-0123456789")
    });
    let mut secrets = BTreeSet::from([API_KEY.to_owned(), "the-secret-before-0123456789".to_owned()]);
    secrets.insert(stage.values.get("WIX_APP_SECRET").to_owned());
    let sealing_key = stage.values.get("SEALING_KEYS").split(':').nth(1).expect("a key").to_owned();

    let instances = everything_that_happens(&stage, &mut secrets);

    let exchanges = tap.exchanges();
    for exchange in &exchanges {
        secrets_in(exchange, &mut secrets);
    }
    let kinds = |grant: &str| exchanges.iter().filter(|exchange| exchange.request.contains(grant)).count();
    assert!(kinds("authorization_code") >= 2 && kinds("\"refresh_token\"") >= 1 && kinds("client_credentials") >= 2);
    assert!(secrets.len() >= 12, "only {} secrets were seen", secrets.len());
    assert!(secrets.iter().all(|secret| secret.len() > 12), "too short to be looked for: {secrets:?}");

    let places = places(&stage.worker);
    // The search finds what may be there: each instance's id, in the store and in the log.
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

/// Every flow once, good and bad. Gives the instances it was about.
fn everything_that_happens(stage: &Stage, secrets: &mut BTreeSet<String>) -> [String; 3] {
    let force = |id: &str| {
        stage
            .worker
            .ask("POST", &format!("/v1/instances/{id}/token"))
            .key(API_KEY)
            .json(&json!({ "force": true }))
            .send()
    };
    // Installed by the redirect flow, refreshed, finished, reloaded, healed.
    let site = stage.wix.site();
    let install_token = stage.wix.install_token(&site);
    let mut jar = Jar::default();
    let flow = Flow::begin(stage, &mut jar, Some(&install_token));
    let callback = flow.agree(&site);
    let custom = parameter(&callback, "instanceId");
    jar.get(&callback).expect(302);
    stage.wix.delivered(&custom);
    force(&custom).expect(200);
    stage.api("POST", &format!("/v1/instances/{custom}/finish-configuration")).expect(200);
    jar.get(&callback).expect(302);
    stage.wix.expire(&custom, true);
    force(&custom).expect(200);
    secrets.extend([install_token, flow.state, parameter(&callback, "code")]);
    secrets.extend(jar.0.iter().map(|(_, value)| value.clone()));

    // Known from its webhook, with a token that is kept in the store, an install that fails, and an error of Wix's.
    let plain = stage.wix.installed();
    stage.token(&plain).expect(200);
    let other = Flow::begin(stage, &mut jar, None).state;
    let code = stage.wix.code(&plain);
    jar.get(stage.callback(&code, &custom, &other)).expect(403);
    let third = Flow::begin(stage, &mut jar, None).state;
    jar.get(stage.callback(&code, &plain, &third)).expect(400);
    Jar::default().get(stage.callback(&code, &plain, &other)).expect(403);
    stage.wix.fault(&plain, "oauth2_token", 4, &json!({ "kind": "malformed_json" }));
    force(&plain).expect(502);
    stage.worker.ask("GET", "/v1/instances").key("a-wrong-key-that-is-nobodys").send().expect(401);
    secrets.extend([other, third, code, "a-wrong-key-that-is-nobodys".to_owned()]);

    // Removed.
    let removed = stage.install().instance;
    stage.wix.remove(&removed);
    [custom, plain, removed]
}
