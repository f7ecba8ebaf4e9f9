//! Misconfiguration: `/readyz` and the log name each faulty value with its remedy, and show no secret.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::harness::{API_KEY, Values, Wix, Worker, assert_browser_headers, guid, values_for};

fn problems(worker: &Worker) -> Vec<Value> {
    let response = worker.request("GET", "/readyz").send().expect(503);
    assert_eq!(response.json()["status"], "not_ready", "{response:?}");
    let problems = response.json()["problems"]
        .as_array()
        .cloned()
        .unwrap_or_else(|| panic!("problems must be a list: {response:?}"));
    for problem in &problems {
        for field in ["name", "problem", "fix"] {
            assert!(problem[field].as_str().is_some_and(|text| !text.is_empty()), "{field} is missing: {problem}");
        }
    }
    problems
}

fn names(problems: &[Value]) -> BTreeSet<&str> {
    problems.iter().filter_map(|problem| problem["name"].as_str()).collect()
}

#[test]
fn each_missing_value_is_named_with_its_remedy() {
    let worker = Worker::start(&Values::default().without_store());
    let found = problems(&worker);
    let fixes = [
        ("WIX_APP_ID", "Wix app dashboard"),
        ("WIX_PUBLIC_KEYS", "Wix app dashboard"),
        ("WIX_APP_SECRET", "wrangler secret put WIX_APP_SECRET"),
        ("SEALING_KEYS", "wrangler secret put SEALING_KEYS"),
        ("API_KEYS", "wrangler secret put API_KEYS"),
        ("INSTANCES", "wrangler kv namespace create INSTANCES"),
    ];
    assert_eq!(names(&found), fixes.iter().map(|(name, _)| *name).collect(), "{found:?}");
    for (name, fix) in fixes {
        let problem = found.iter().find(|problem| problem["name"] == name).expect("a problem");
        assert!(problem["fix"].as_str().is_some_and(|text| text.contains(fix)), "{problem}");
    }

    worker.request("GET", "/healthz").send().expect(200);
    let page = worker.request("GET", "/").send().expect(503);
    assert_browser_headers(&page);
    for (name, _) in fixes {
        assert!(page.text().contains(name), "{page:?}");
    }
    let id = guid();
    for (method, path) in [
        ("GET", "/install"),
        ("GET", "/redirect?code=c&state=s"),
        ("POST", "/webhook"),
        ("POST", "/plugins/v1/rates"),
        ("GET", "/v1/instances"),
        ("GET", &format!("/v1/instances/{id}")),
        ("POST", &format!("/v1/instances/{id}/token")),
        ("POST", &format!("/v1/instances/{id}/finish-configuration")),
    ] {
        let response = worker.request(method, path).key(API_KEY).send().expect(503);
        let is_page = response.header("content-type").is_some_and(|kind| kind.starts_with("text/html"));
        assert!(response.text().contains(if is_page { "not_configured" } else { "/readyz" }), "{response:?}");
        let line = worker.log.of_request(response.request_id());
        assert_eq!(line["error"], "not_configured", "{line}");
        for (name, fix) in fixes {
            let cause = line["cause"].as_str().unwrap_or_default();
            assert!(cause.contains(name) && cause.contains(fix), "{line}");
        }
    }
    worker.request("GET", "/nothing").send();
    worker.request("GET", "/webhook").send().expect(405);
}

/// Three malformed values for each name. Each round uses one for every name, so that one Worker must report all names.
const BAD: [(&str, [&str; 3]); 25] = [
    ("WIX_APP_ID", ["not-a-guid", "11111111-2222-4333-8444-55555555555", "11111111222243338444555555555555x"]),
    ("WIX_PUBLIC_KEYS", ["no*base64", "bm8ga2V5IGF0IGFsbA==", "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE"]),
    ("WIX_APP_SECRET", ["shorty7", "two words 0123", "tab\there-0123"]),
    ("WIX_APP_SECRET_PREVIOUS", ["former7", "former words 0123", "\u{7f}former-0123"]),
    (
        "SEALING_KEYS",
        ["sealed-without-colon", "k1:c2VhbGVkLXNob3J0", "sealed key:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="],
    ),
    ("API_KEYS", ["plain-key-pasted-here", "back-end:abcdef0123", "back end:00"]),
    ("PUBLIC_URL", ["http://app.example", "https://app.example/path", "app.example"]),
    ("WIX_API_URL", ["http://www.wixapis.com", "https://user:word@localhost", "ftp://localhost"]),
    ("WIX_SITE_URL", ["http://www.wix.com", "https://www.wix.com/?a=b", "localhost:1"]),
    ("AFTER_INSTALL_URL", ["javascript:alert(1)", "/welcome", "http://app.example/welcome"]),
    ("WIX_SHARE_URL_ID", ["share", "11111111-2222-4333-8444-55555555555", "https://www.wix.com/app-installer"]),
    ("FINISH_CONFIGURATION", ["sometimes", "On-Install", "true"]),
    ("ENVIRONMENT", ["staging", "Production", "dev"]),
    ("EVENTS_URL", ["http://app.example/events", "https://user:word@app.example", "app.example"]),
    ("PLUGINS_URL", ["http://app.example/plugins", "https://app.example/?a=b", "app.example"]),
    ("EVENTS_SECRETS", ["secret-without-prefix", "whsec_c2hvcnQtc2VjcmV0", "whsec_secret*secret"]),
    ("EVENTS_KEEP_HOURS", ["0", "721", "3 days"]),
    ("EVENTS_RETAIN_HOURS", ["169", "-1", "2.5"]),
    ("RECHECK_HOURS", ["-1", "1.5", "8761"]),
    ("RETENTION_DAYS", ["-1", "1.5", "36501"]),
    ("WIX_RATE_LIMIT", ["-1", "1.5", "100001"]),
    ("APP_NAME", ["two\tcolumns", "a\u{7f}b", "a\u{1f}b"]),
    ("SUPPORT_URL", ["http://app.example/help", "help@app.example", "javascript:alert(1)"]),
    ("LOG_LEVEL", ["debug", "Warn", "0"]),
    ("EVENTS_TYPES", ["wix.*.order", "order created", "*.created"]),
];

/// The names whose values are secret, even malformed ones.
const SECRET: [&str; 5] = ["WIX_APP_SECRET", "WIX_APP_SECRET_PREVIOUS", "SEALING_KEYS", "API_KEYS", "EVENTS_SECRETS"];

#[test]
fn each_malformed_value_is_named_and_no_secret_is_shown() {
    let wix = Wix::start();
    for round in 0..3 {
        let values = BAD.iter().fold(values_for(&wix), |values, (name, bad)| values.with(name, bad[round]));
        let worker = Worker::start(&values);
        let found = problems(&worker);
        assert_eq!(names(&found), BAD.iter().map(|(name, _)| *name).collect(), "round {round}: {found:?}");

        let page = worker.request("GET", "/").send().expect(503);
        let response = worker.request("GET", "/install").send().expect(503);
        worker.log.of_request(response.request_id());
        let shown = format!("{found:?}{}{}{}", page.text(), response.text(), worker.log.lines().join("\n"));
        for (name, bad) in BAD.iter().filter(|(name, _)| SECRET.contains(name)) {
            assert!(!shown.contains(bad[round]), "{name} is shown in round {round}: {shown}");
        }
    }
}

#[test]
fn a_single_malformed_value_is_the_only_one_named() {
    let wix = Wix::start();
    for (name, value) in [("CLOCK_OFFSET_SECONDS", "5"), ("SEALING_KEYS", "k:QQ==")] {
        let worker = Worker::start(&values_for(&wix).with("ENVIRONMENT", "production").with(name, value));
        let found = problems(&worker);
        assert_eq!(names(&found), BTreeSet::from([name]), "{found:?}");
        worker.request("POST", "/webhook").send().expect(503);
        worker.request("GET", "/healthz").send().expect(200);
    }
}

#[test]
fn a_complete_configuration_is_ready_and_an_empty_value_counts_as_missing() {
    let wix = Wix::start();
    let values = ["PUBLIC_URL", "AFTER_INSTALL_URL", "FINISH_CONFIGURATION", "WIX_APP_SECRET_PREVIOUS"];
    let values = values.iter().fold(values_for(&wix), |all, name| all.with(name, ""));
    let worker = Worker::start(&values.clone().with("ENVIRONMENT", "production"));
    let response = worker.request("GET", "/readyz").send().expect(200);
    let ready = response.json();
    assert_eq!((&ready["status"], &ready["problems"]), (&json!("ready"), &json!([])));
    let notes: Vec<&Value> = ready["notes"].as_array().into_iter().flatten().map(|note| &note["name"]).collect();
    assert_eq!(notes, ["EVENTS_URL"], "the objects are bound, and there is no target");
    let page = worker.request("GET", "/").send().expect(200);
    assert_browser_headers(&page);
    let health = worker.request("GET", "/healthz").send().expect(200).json();
    assert_eq!(health["status"], "ok", "{health}");
    assert!(health["version"].is_string(), "{health}");
    drop(worker);

    let worker = Worker::start(&values.with("WIX_APP_SECRET", "").with("API_KEYS", " "));
    assert_eq!(names(&problems(&worker)), BTreeSet::from(["API_KEYS", "WIX_APP_SECRET"]));
}

/// With preview addresses, each uploaded version would stay reachable, with old code and revoked keys, on the same KV.
#[test]
fn the_shipped_configuration_has_no_preview_addresses_and_limits_flows() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/wrangler.toml")).expect("wrangler.toml");
    let table: toml::Table = text.parse().expect("TOML");
    assert_eq!(table.get("preview_urls").and_then(toml::Value::as_bool), Some(false));
    let limits = table.get("ratelimits").and_then(toml::Value::as_array).expect("a rate limiter");
    assert_eq!(limits[0].get("name").and_then(toml::Value::as_str), Some("RATE_LIMITER"));
}
