//! Installs the app in a real browser: the window that Wix opens must close by itself (docs/wix.md 3.3, 6).
//!
//! `tests/browser/install.mjs` has the scenarios. This file has the assertions.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use leash::Leash;
use serde_json::{Value, json};

use crate::harness::{Proxy, Response, Stage, path_with_node, request};

const TIMEOUT: Duration = Duration::from_secs(90);

/// `on-install`, so that the flow sends the BI event too. With a browser the machine can be too slow for Wix's 1250 ms, so
/// the simulator retries webhooks within a second.
static STAGE: LazyLock<Stage> = LazyLock::new(|| {
    let stage = Stage::with_back_end(|values| values.with("FINISH_CONFIGURATION", "on-install"));
    stage.wix.switch(&json!({ "time_scale": 60 }));
    stage
});

/// Runs the tests one after the other: browsers need much memory, and some tests change Wix's behaviour.
struct Turn(#[expect(dead_code, reason = "held, not read")] MutexGuard<'static, ()>);

fn turn() -> Turn {
    static TURN: Mutex<()> = Mutex::new(());
    Turn(TURN.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Runs a scenario, and returns its result.
fn play(_: &Turn, scenario: &str, app_url: Option<&str>) -> Value {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let chrome = std::env::var_os("CHROME").map(PathBuf::from).filter(|path| path.is_file());
    let Some(chrome) = chrome else {
        panic!("CHROME must be the path of Chromium or Chrome. `cargo xtask test` sets it, or says what to install")
    };
    let mut node = Command::new("node");
    node.arg("tests/browser/install.mjs")
        .arg(scenario)
        .current_dir(root)
        .env("PATH", path_with_node(root))
        .env("CHROME", chrome)
        .env("WIX_URL", &STAGE.wix.url)
        .env("APP_URL", app_url.unwrap_or_default());
    let mut node = Leash::spawn("the browser", &node, |_| {}).unwrap_or_else(|error| panic!("{error}"));
    let line = node.wait_for_line(TIMEOUT, |line| line.starts_with('{') && line.ends_with('}'));
    let line = line.unwrap_or_else(|error| panic!("{scenario}: {error}"));
    serde_json::from_str(&line).unwrap_or_else(|error| panic!("{scenario}: {error}: {line}"))
}

#[test]
fn an_install_closes_its_window_and_sends_the_bi_event() {
    let seen = play(&turn(), "install", None);
    let id = seen["instance"].as_str().expect("an instance");
    let record = STAGE.wait_for_field(id, "auth", "custom");
    assert_eq!(record["status"], "installed", "{record}");
    // A deferred task sends the BI event.
    STAGE.wix.bi_events(id, 1);
    STAGE.wait_until(id, |record| record["configured_at"].is_i64());
}

#[test]
fn two_installs_in_two_tabs_both_succeed() {
    let seen = play(&turn(), "two-tabs", None);
    for id in seen["instances"].as_array().expect("two instances") {
        STAGE.wait_for_field(id.as_str().expect("an id"), "auth", "custom");
    }
}

#[test]
fn a_cancelled_consent_installs_nothing() {
    play(&turn(), "cancel", None);
}

/// Wix does not document this case. Some of its flows redirect the browser with an error instead of a code.
#[test]
fn a_redirect_after_a_cancelled_consent_shows_an_error_page() {
    let turn = turn();
    STAGE.wix.switch(&json!({ "cancel_answer": "redirect_error" }));
    let seen = play(&turn, "cancel-with-redirect", None);
    STAGE.wix.switch(&json!({ "cancel_answer": "stay" }));
    assert!(seen["text"].as_str().is_some_and(|text| text.contains("start the installation again")), "{seen}");
}

#[test]
fn reloading_the_redirect_shows_the_same_page() {
    play(&turn(), "reload", None);
}

#[test]
fn a_browser_that_did_not_start_the_flow_sees_an_error_page() {
    let seen = play(&turn(), "other-browser", None);
    let text = seen["text"].as_str().expect("a string");
    assert!(text.contains("another browser") && text.contains("start the installation again from Wix"), "{seen}");
    assert!(text.contains("Request id:"), "{seen}");
}

#[test]
fn the_page_shows_an_event_as_failing_and_then_as_delivered() {
    let turn = turn();
    let seen = play(&turn, "events", None);
    STAGE.wix.switch(&json!({ "app_answer": "200" }));
    let result = seen["result"].as_str().expect("a string");
    let attempt = result.split("(attempt ").nth(1).and_then(|rest| rest.split(',').next()?.parse::<u32>().ok());
    assert!(attempt.is_some_and(|attempt| attempt > 1), "{result}");
}

/// Installs through a proxy in a window that the test opens. Returns the final state of the window.
fn install_through(proxy: &Proxy) -> Value {
    let turn = turn();
    let origin = proxy.url("localhost");
    let urls = json!([format!("{}/redirect", STAGE.worker.url), format!("{origin}/redirect")]);
    request("PATCH", STAGE.wix.at("/_sim/app")).json(&json!({ "redirect_urls": urls })).send().expect(200);
    let token = STAGE.wix.install_token(&STAGE.wix.site());
    play(&turn, "kept-open", Some(&format!("{origin}/install?token={token}")))
}

/// Proves that the tests above can fail: with a wrong header, the window stays open.
#[test]
fn with_another_opener_policy_the_window_stays_open() {
    let proxy = Proxy::start(&STAGE.worker.url, |response| {
        response.headers.retain(|(name, _)| name != "cross-origin-opener-policy");
        response.headers.push(("cross-origin-opener-policy".to_owned(), "same-origin".to_owned()));
    });
    assert_eq!(install_through(&proxy), json!({ "opener_reachable": false, "end": "open" }));
}

/// Proves that the header is the cause: the same proxy without the change.
#[test]
fn through_a_proxy_that_changes_nothing_the_window_closes() {
    let proxy = Proxy::start(&STAGE.worker.url, |_| {});
    assert_eq!(install_through(&proxy), json!({ "opener_reachable": true, "end": "closed" }));
}

/// Runs both flows in an iframe on a page of another site, as in Wix's dashboard, in a browser without third-party
/// cookies. Returns the status of each callback. The proxy passes every response of the Worker to `change`.
fn run_in_frame(change: impl Fn(&mut Response) + Send + Sync + 'static) -> [u64; 2] {
    let proxy = Proxy::start(&STAGE.worker.url, change);
    let turn = turn();
    let origin = proxy.url("localhost");
    let urls = json!([format!("{}/redirect", STAGE.worker.url), format!("{origin}/redirect")]);
    request("PATCH", STAGE.wix.at("/_sim/app")).json(&json!({ "redirect_urls": urls })).send().expect(200);
    let token = STAGE.wix.install_token(&STAGE.wix.site());
    ["/install?token=".to_owned() + &token, "/connect".to_owned()].map(|path| {
        // The page of the other site is on loopback too: a public page may not request loopback without permission.
        let frame = format!(
            "<!doctype html><title>Dashboard</title><iframe width=900 height=700 src='{origin}{path}'></iframe>"
        );
        let dashboard = Proxy::start(&STAGE.wix.url, move |response| {
            response.headers = vec![("content-type".to_owned(), "text/html".to_owned())];
            response.body = frame.clone().into();
        });
        let seen = play(&turn, "framed", Some(&dashboard.url("127.0.0.1")));
        let status = seen["status"].as_u64().expect("a status");
        if status < 400 {
            STAGE.wait_for_field(seen["instance"].as_str().expect("an instance"), "status", "installed");
        }
        status
    })
}

#[test]
fn both_flows_work_in_a_third_party_frame() {
    let [redirect, connected] = run_in_frame(|_| {});
    assert_eq!(redirect, 302);
    // The page at the end of the flow, or the redirect to it.
    assert!([200, 302].contains(&connected), "{connected}");
}

/// Proves that `Partitioned` is the cause.
#[test]
fn without_partitioned_cookies_both_flows_fail_in_a_third_party_frame() {
    let seen = run_in_frame(|response| {
        for (name, value) in &mut response.headers {
            if name == "set-cookie" {
                assert!(value.contains("; Partitioned"), "{value}");
                *value = value.replace("; Partitioned", "");
            }
        }
    });
    assert_eq!(seen, [403, 403]);
}
