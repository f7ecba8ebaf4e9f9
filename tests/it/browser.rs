//! An owner installs the app in a real browser: the window that Wix opens closes by itself (Wix's rules 3.3, 6).
//!
//! The scenarios are in `tests/browser/install.mjs`; here stands what must come of them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use leash::Leash;
use serde_json::{Value, json};

use crate::harness::{Answer, Proxy, Stage, ask, path_with_node};

const PATIENCE: Duration = Duration::from_secs(90);

/// `on-install`, so that the BI event is part of it. Beside a browser the machine may be too slow for Wix's 1250 ms:
/// webhooks are sent again within a second.
static STAGE: LazyLock<Stage> = LazyLock::new(|| {
    let stage = Stage::for_many(|values| values.with("FINISH_CONFIGURATION", "on-install"));
    stage.wix.switch(&json!({ "time_scale": 60 }));
    stage
});

/// One test at a time: browsers are large, and some tests change Wix's behaviour.
struct Turn(#[expect(dead_code, reason = "held, not read")] MutexGuard<'static, ()>);

fn turn() -> Turn {
    static TURN: Mutex<()> = Mutex::new(());
    Turn(TURN.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Runs a scenario to its end and gives what it saw.
fn play(_: &Turn, scenario: &str, app_url: Option<&str>) -> Value {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let chrome = std::env::var_os("CHROME").map(PathBuf::from).filter(|path| path.is_file());
    let Some(chrome) = chrome else {
        panic!("CHROME does not name a Chromium or Chrome. `cargo xtask test` looks for one, or says what to install")
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
    let line = node.wait_for_line(PATIENCE, |line| line.starts_with('{') && line.ends_with('}'));
    let line = line.unwrap_or_else(|error| panic!("{scenario}: {error}"));
    serde_json::from_str(&line).unwrap_or_else(|error| panic!("{scenario}: {error}: {line}"))
}

#[test]
fn the_window_closes_by_itself_and_everything_has_come_through() {
    let seen = play(&turn(), "install", None);
    let id = seen["instance"].as_str().expect("an instance");
    let record = STAGE.becomes(id, "auth", "custom");
    assert_eq!(record["status"], "installed", "{record}");
    // The BI event is sent after the response.
    STAGE.wix.bi_events(id, 1);
    STAGE.until(id, |record| record["configured_at"].is_i64());
}

#[test]
fn two_installs_in_two_tabs_both_succeed() {
    let seen = play(&turn(), "two-tabs", None);
    for id in seen["instances"].as_array().expect("two instances") {
        STAGE.becomes(id.as_str().expect("an id"), "auth", "custom");
    }
}

#[test]
fn a_cancelled_consent_installs_nothing() {
    play(&turn(), "cancel", None);
}

/// What Wix does there is not documented; some of its flows send the browser back with an error instead of a code.
#[test]
fn a_cancelled_consent_that_comes_back_is_answered_in_words() {
    let turn = turn();
    STAGE.wix.switch(&json!({ "cancel_answer": "redirect_error" }));
    let seen = play(&turn, "cancel-with-redirect", None);
    STAGE.wix.switch(&json!({ "cancel_answer": "stay" }));
    assert!(seen["text"].as_str().is_some_and(|text| text.contains("start the installation again")), "{seen}");
}

#[test]
fn the_redirect_opened_again_after_the_end_leads_to_the_same_page() {
    play(&turn(), "reload", None);
}

#[test]
fn a_browser_that_did_not_begin_is_turned_away_in_words() {
    let seen = play(&turn(), "other-browser", None);
    let text = seen["text"].as_str().expect("a text");
    assert!(text.contains("another browser") && text.contains("start the installation again from Wix"), "{seen}");
    assert!(text.contains("Request id:"), "{seen}");
}

/// Installs through a proxy, with a window that the test opens itself, and gives what became of the window.
fn install_through(proxy: &Proxy) -> Value {
    let turn = turn();
    let origin = proxy.url("localhost");
    let urls = json!([format!("{}/redirect", STAGE.worker.url), format!("{origin}/redirect")]);
    ask("PATCH", STAGE.wix.at("/_sim/app")).json(&json!({ "redirect_urls": urls })).send().expect(200);
    let token = STAGE.wix.install_token(&STAGE.wix.site());
    play(&turn, "kept-open", Some(&format!("{origin}/install?token={token}")))
}

/// The proof that the tests above can fail: with the header that must not be sent, the window stays.
#[test]
fn with_another_opener_policy_the_window_would_stay_open() {
    let proxy = Proxy::start(&STAGE.worker.url, |answer| {
        answer.headers.retain(|(name, _)| name != "cross-origin-opener-policy");
        answer.headers.push(("cross-origin-opener-policy".to_owned(), "same-origin".to_owned()));
    });
    assert_eq!(install_through(&proxy), json!({ "opener_reachable": false, "end": "open" }));
}

/// And that it is the header alone: the same proxy, changing nothing.
#[test]
fn through_a_proxy_that_changes_nothing_the_window_closes() {
    let proxy = Proxy::start(&STAGE.worker.url, |_| {});
    assert_eq!(install_through(&proxy), json!({ "opener_reachable": true, "end": "closed" }));
}

/// Both flows in a frame of another site's page, as in Wix's dashboard, in a browser without third-party cookies: the status
/// of each callback. `change` is given every answer of the Worker's.
fn framed(change: impl Fn(&mut Answer) + Send + Sync + 'static) -> [u64; 2] {
    let proxy = Proxy::start(&STAGE.worker.url, change);
    let turn = turn();
    let origin = proxy.url("localhost");
    let urls = json!([format!("{}/redirect", STAGE.worker.url), format!("{origin}/redirect")]);
    ask("PATCH", STAGE.wix.at("/_sim/app")).json(&json!({ "redirect_urls": urls })).send().expect(200);
    let token = STAGE.wix.install_token(&STAGE.wix.site());
    ["/install?token=".to_owned() + &token, "/connect".to_owned()].map(|path| {
        // A page of another site than the Worker's, on loopback too: browsers ask before a public page may reach it.
        let frame = format!(
            "<!doctype html><title>Dashboard</title><iframe width=900 height=700 src='{origin}{path}'></iframe>"
        );
        let dashboard = Proxy::start(&STAGE.wix.url, move |answer| {
            answer.headers = vec![("content-type".to_owned(), "text/html".to_owned())];
            answer.body = frame.clone().into();
        });
        let seen = play(&turn, "framed", Some(&dashboard.url("127.0.0.1")));
        let status = seen["status"].as_u64().expect("a status");
        if status < 400 {
            STAGE.becomes(seen["instance"].as_str().expect("an instance"), "status", "installed");
        }
        status
    })
}

#[test]
fn in_a_frame_of_another_site_without_third_party_cookies_both_flows_work() {
    let [redirect, connected] = framed(|_| {});
    assert_eq!(redirect, 302);
    // A page that says so, or the way to it.
    assert!([200, 302].contains(&connected), "{connected}");
}

/// The proof that it is the cookies' partition that lets them.
#[test]
fn in_a_frame_of_another_site_the_flows_would_not_work_with_cookies_that_are_not_partitioned() {
    let seen = framed(|answer| {
        for (name, value) in &mut answer.headers {
            if name == "set-cookie" {
                assert!(value.contains("; Partitioned"), "{value}");
                *value = value.replace("; Partitioned", "");
            }
        }
    });
    assert_eq!(seen, [403, 403]);
}
