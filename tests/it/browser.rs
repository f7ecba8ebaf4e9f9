//! Installs the app in a real browser: the window that Wix opens must close by itself (docs/wix.md 3.3, 6).
//!
//! `tests/browser/install.mjs` has the scenarios, `handoff.mjs` that of two customers of `examples/saas`, and `pages.mjs`
//! opens the pages for site owners. This file has the assertions.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use leash::Leash;
use serde_json::{Value, json};

use crate::harness::{API_KEY, Proxy, Response, Stage, Values, Worker, path_with_node, request};

const TIMEOUT: Duration = Duration::from_mins(5);

/// `on-install`, so that the flow sends the BI event too. With a browser the machine can be too slow for Wix's 1250 ms, so
/// the simulator retries webhooks within a second.
static STAGE: LazyLock<Stage> = LazyLock::new(|| {
    let stage = Stage::with_back_end(Worker::to_share, |values| {
        let values = values.with("FINISH_CONFIGURATION", "on-install");
        values.with("APP_NAME", "Rates & Taxes").with("SUPPORT_URL", "https://app.example/help")
    });
    stage.wix.switch(&json!({ "time_scale": 60 }));
    stage
});

/// Runs the tests one after the other: browsers need much memory, and some tests change Wix's behaviour.
pub struct Turn(#[expect(dead_code, reason = "held, not read")] MutexGuard<'static, ()>);

pub fn turn() -> Turn {
    static TURN: Mutex<()> = Mutex::new(());
    Turn(TURN.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Runs a scenario, and returns its result.
fn play(turn: &Turn, scenario: &str, app_url: Option<&str>) -> Value {
    let addresses = [("WIX_URL", STAGE.wix.url.as_str()), ("APP_URL", app_url.unwrap_or_default())];
    run(turn, &["tests/browser/install.mjs", scenario], &addresses)
}

/// Runs a program with the browser, and returns the JSON that it prints.
pub fn run(_: &Turn, program: &[&str], addresses: &[(&str, &str)]) -> Value {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let chrome = std::env::var_os("CHROME").map(PathBuf::from).filter(|path| path.is_file());
    let Some(chrome) = chrome else {
        panic!("CHROME must be the path of Chromium or Chrome. `cargo xtask test` sets it, or says what to install")
    };
    let mut node = Command::new("node");
    node.args(program).current_dir(root).env("PATH", path_with_node(root)).env("CHROME", chrome);
    node.envs(addresses.iter().copied());
    let mut node = Leash::spawn("the browser", &node, |_| {}).unwrap_or_else(|error| panic!("{error}"));
    let line = node.wait_for_line(TIMEOUT, |line| line.starts_with('{') && line.ends_with('}'));
    let line = line.unwrap_or_else(|error| panic!("{program:?}: {error}"));
    serde_json::from_str(&line).unwrap_or_else(|error| panic!("{program:?}: {error}: {line}"))
}

/// Starts `examples/saas` at a port.
fn saas(port: u16, worker: &str) -> Leash {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut node = Command::new("node");
    node.arg("examples/saas/server.mjs").current_dir(root).env("PATH", path_with_node(root));
    node.env("PORT", port.to_string()).env("WIX_EDGE_URL", worker).env("WIX_EDGE_API_KEY", API_KEY);
    node.env("CUSTOMERS", "ann:pw-a,bob:pw-b");
    let mut node = Leash::spawn("the SaaS", &node, |_| {}).unwrap_or_else(|error| panic!("{error}"));
    let started = node.wait_for_line(TIMEOUT, |line| line.starts_with("listening on"));
    started.unwrap_or_else(|error| panic!("{error}"));
    node
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
    assert!(seen["text"].as_str().is_some_and(|text| text.contains("please start again")), "{seen}");
}

#[test]
fn reloading_the_redirect_shows_the_same_page() {
    play(&turn(), "reload", None);
}

#[test]
fn a_browser_that_did_not_start_the_flow_sees_an_error_page() {
    let seen = play(&turn(), "other-browser", None);
    let text = seen["text"].as_str().expect("a string");
    assert!(text.contains("another browser") && text.contains("then start again"), "{seen}");
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

/// axe-core finds nothing on any page for site owners, in any language, in both themes and two widths.
#[test]
fn the_pages_for_site_owners_are_readable_for_everybody() {
    let turn = turn();
    let nowhere = format!("http://127.0.0.1:{}", leash::free_port().expect("a port"));
    let slow = Worker::under_wrangler(&STAGE.values.clone().with("WIX_API_URL", nowhere));
    let broken = Worker::under_wrangler(&Values::default());
    let addresses = [("APP_URL", &STAGE.worker.url), ("SLOW_URL", &slow.url), ("BROKEN_URL", &broken.url)];
    let seen = run(&turn, &["tests/browser/pages.mjs"], &addresses.map(|(name, url)| (name, url.as_str())));
    assert_eq!((&seen["violations"], &seen["opened"]), (&json!([]), &json!(8 * (6 + 2))));
    let titles = json!({
        "finished": "Rates & Taxes is now on your site",
        "already": "The installation is already complete",
        "failed": "The installation was not completed",
        "expired": "This link has expired",
        "other-browser": "Please use the browser you started in",
        "wait": "Please wait a moment",
        "unavailable": "The app is not available right now",
        "nothing": "There is nothing here",
    });
    assert_eq!(seen["titles"], titles);
}

/// Two customers in two browsers swap links at every step of connecting a shop: neither gets the other's.
#[test]
fn no_customer_gets_the_shop_of_another_by_swapping_links() {
    let turn = turn();
    let port = leash::free_port().expect("a port");
    let saas_url = format!("http://localhost:{port}");
    let stage = Stage::under_wrangler(|values| values.with("AFTER_INSTALL_URL", format!("{saas_url}/connected")));
    let _saas = saas(port, &stage.worker.url);
    // It has no installations, and needs none to refuse a flow.
    let later = Worker::start(&stage.values.clone().with("CLOCK_OFFSET_SECONDS", "660"));
    stage.wix.switch(&json!({ "cancel_answer": "redirect_error" }));
    let addresses = [
        ("WIX_URL", &stage.wix.url),
        ("APP_URL", &stage.worker.url),
        ("LATER_URL", &later.url),
        ("SAAS_URL", &saas_url),
    ];
    let seen = run(&turn, &["tests/browser/handoff.mjs"], &addresses.map(|(name, url)| (name, url.as_str())));

    // What a customer sees who opens the other's link, and then the own one; and how many shops each has then.
    let swaps = [
        ("start", "another customer", "Hello", 1),
        ("consent", "other_browser", "Hello", 2),
        ("callback", "other_browser", "Hello", 3),
        ("end", "another customer", "used up", 3),
    ];
    let list = |value: &Value| value.as_array().expect("a list").clone();
    let played = list(&seen["swaps"]);
    assert_eq!(played.len(), swaps.len());
    for (swap, (step, others, own, count)) in played.iter().zip(swaps) {
        assert_eq!(swap["step"], step);
        for (field, expected) in [("texts", others), ("afterwards", own)] {
            for text in list(&swap[field]) {
                assert!(
                    text.as_str().is_some_and(|text| text.contains(expected)),
                    "{field} must have {expected}: {swap}"
                );
            }
        }
        let [anns, bobs] = [list(&swap["shops"][0]), list(&swap["shops"][1])];
        assert_eq!([anns.len(), bobs.len()], [count, count], "{swap}");
        assert!(anns.iter().all(|shop| !bobs.contains(shop)), "{swap}");
    }
    for shops in list(&seen["shops"]) {
        assert_eq!([list(&shops["before"]).len(), list(&shops["after"]).len()], [3, 4], "{shops}");
    }
    for error in ["denied", "expired"] {
        let text = seen["failures"][error].as_str().expect("a text");
        assert!(text.contains(&format!("The shop was not connected ({error})")), "{text}");
    }
    assert_eq!(seen["findings"], json!([]), "the Worker must not break Wix's rules");
}
