//! The operator's console: static assets of the Worker, in a real browser.
//!
//! `tests/browser/console.mjs` has the scenarios. Some replace the app API by a fake one in the browser's network, so that
//! any number of installations and any trouble can be shown.

use std::path::Path;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use workerd::Entry;

use crate::browser::{run, turn};
use crate::harness::{API_KEY, NOW, Stage, TIMEOUT, Testbed, Values, Worker, api_key, guid, shared};

/// The key of the operator.
const ADMIN_KEY: &str = "it-key-of-the-operator-0123456789abcdef";

/// A Worker that delivers events to the simulator, with a key of the scope `admin`.
static STAGE: LazyLock<Stage> = LazyLock::new(|| {
    let keys = format!("{}:admin,{}", api_key("operator", ADMIN_KEY), api_key("back-end", API_KEY));
    let stage = Stage::with_back_end(Worker::to_share, |values| values.with("API_KEYS", keys));
    stage.wix.switch(&json!({ "time_scale": 60 }));
    stage
});

/// Runs a scenario, and returns its result.
fn play(scenario: &[&str], variables: &[(&str, &str)]) -> Value {
    run(&turn(), &[&["tests/browser/console.mjs"], scenario].concat(), variables)
}

/// Runs a scenario with a fake API in the browser.
fn pretend(scenario: &[&str]) -> Value {
    play(scenario, &[("APP_URL", &shared().worker.url)])
}

/// Runs a scenario against the Worker's API.
fn operate(scenario: &str) -> Value {
    let (app, wix) = (STAGE.worker.url.as_str(), STAGE.wix.url.as_str());
    play(&[scenario], &[("APP_URL", app), ("WIX_URL", wix), ("ADMIN_KEY", ADMIN_KEY), ("OTHER_KEY", API_KEY)])
}

#[test]
fn the_page_has_its_own_headers() {
    for path in ["/console", "/console/app.js", "/console/app.css", "/console/icon.svg"] {
        let response = shared().worker.request("GET", path).send().expect(200);
        let policy = response.header("content-security-policy").unwrap_or_default();
        for rule in [
            "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; ",
            "form-action 'none'; frame-ancestors 'none'; ",
            "require-trusted-types-for 'script'; trusted-types 'none'",
        ] {
            assert!(policy.contains(rule), "{path}: {response:?}");
        }
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-opener-policy", "unsafe-none"),
            ("cross-origin-resource-policy", "same-origin"),
            ("strict-transport-security", "max-age=31536000"),
            ("cache-control", "no-store"),
        ] {
            assert_eq!(response.header(name), Some(value), "{path}: {response:?}");
        }
        assert_eq!(response.header("x-frame-options"), None, "{path}: {response:?}");
        assert!(response.header("permissions-policy").is_some(), "{response:?}");
        // Only the Worker gives a request id.
        assert_eq!(response.header("x-request-id"), None, "{response:?}");
    }
    let page = shared().worker.request("GET", "/console").send().expect(200);
    assert!(page.header("content-type").is_some_and(|kind| kind.starts_with("text/html")), "{page:?}");
    shared().worker.request("HEAD", "/console").send().expect(200);
    shared().worker.request("POST", "/console").send().expect(405);
    shared().worker.request("GET", "/console/none").send().expect(404);
    let slash = shared().worker.request("GET", "/console/").send().expect(307);
    assert_eq!(slash.header("location"), Some("/console"), "{slash:?}");
}

#[test]
fn every_other_path_reaches_the_worker() {
    let requests = [
        ("GET", "/", 200),
        ("GET", "/healthz", 200),
        ("GET", "/readyz", 200),
        ("POST", "/webhook", 400),
        ("GET", "/webhook", 405),
        ("POST", "/plugins/shipping", 400),
        ("GET", "/v1/instances", 401),
        ("GET", "/v1/openapi.json", 200),
        ("GET", "/install", 302),
        ("GET", "/console.html", 404),
        ("GET", "/consoles", 404),
        ("GET", "/_headers", 404),
        ("GET", "/nothing", 404),
        ("POST", "/nothing", 404),
    ];
    for (method, path, status) in requests {
        let response = shared().worker.request(method, path).send().expect(status);
        assert_eq!(shared().worker.log.of_request(response.request_id())["status"], status, "{response:?}");
    }
}

/// `cargo xtask build` copies the files as they are, so that the page shows what the sources say.
#[test]
fn the_files_are_those_of_the_sources() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("console");
    for (path, file) in [("/console", "console.html"), ("/console/app.js", "console/app.js")] {
        let source = std::fs::read_to_string(root.join(file)).expect("a source");
        assert_eq!(shared().worker.request("GET", path).send().expect(200).text(), source);
    }
}

#[test]
fn axe_core_finds_nothing_in_any_view_theme_and_width() {
    for theme in ["light", "dark"] {
        for width in ["desktop", "phone"] {
            let seen = pretend(&["views", theme, width]);
            assert_eq!(seen["found"], json!([]), "{theme} {width}");
            assert!(seen["count"].as_u64().is_some_and(|count| count >= 13), "{seen}");
        }
    }
}

#[test]
fn everything_can_be_done_by_keyboard() {
    assert_eq!(pretend(&["keyboard"]), json!({ "erased": true }));
}

/// The times from a click to the drawn page. On an idle machine they are far below.
#[track_caller]
fn is_responsive(seen: &Value) {
    let times = seen["milliseconds"].as_array().expect("times");
    assert!(times.iter().all(|time| time.as_u64().is_some_and(|time| time < 3000)), "{seen}");
}

#[test]
fn ten_thousand_installations_stay_responsive() {
    is_responsive(&pretend(&["large"]));
}

/// The page's calls go to a Worker with a KV of its own.
#[test]
fn the_workers_own_list_of_ten_thousand_installations_stays_responsive() {
    let bed = Testbed::with_isolates(&[NOW], |values| values);
    let first = bed.wix.new_instance();
    let [row] = bed.kv.entries("v1:instance:").try_into().expect("one row");
    let text = String::from_utf8(row.value.clone()).expect("ASCII");
    bed.kv.seed((1..10_000).map(|_| guid()).map(|id| {
        let metadata = row.metadata.as_ref().map(|metadata| metadata.replace(&first, &id));
        Entry::new(row.key.replace(&first, &id), text.replace(&first, &id), metadata)
    }));
    let variables = [("APP_URL", shared().worker.url.as_str()), ("API_URL", bed.url()), ("API_KEY", API_KEY)];
    let seen = play(&["listed"], &variables);
    assert_eq!(seen["ids"], 400, "four pages of a hundred: {seen}");
    is_responsive(&seen);
}

#[test]
fn the_chart_its_table_and_the_totals_have_the_same_numbers() {
    pretend(&["numbers"]);
}

#[test]
fn each_line_of_the_health_says_what_the_evidence_proves() {
    pretend(&["health"]);
}

#[test]
fn the_timeline_has_events_tokens_the_bi_event_and_the_comparison() {
    pretend(&["timeline"]);
}

#[test]
fn texts_from_outside_never_become_markup() {
    pretend(&["hostile"]);
}

#[test]
fn every_trouble_is_explained_and_the_operator_keeps_the_place() {
    pretend(&["trouble"]);
}

#[test]
fn the_operator_signs_in_repairs_erases_and_signs_out() {
    assert_eq!(operate("day")["violations"], json!([]));
    let lines = STAGE.worker.log.entries();
    let of =
        |route: &str| lines.iter().filter(|line| line["route"] == route).map(|line| line["client"].clone()).collect();
    let clients: Vec<Value> = of("/v1/instances/{id}/events/{event_id}/redeliver");
    assert!(!clients.is_empty() && clients.iter().all(|client| client == "operator"), "{clients:?}");
}

/// The Worker's clock goes ahead for the hour after which an event is parked, and comes back before it is sent again.
#[test]
fn a_parked_event_is_sent_again_and_its_installation_erased() {
    let keys = format!("{}:admin,{}", api_key("operator", ADMIN_KEY), api_key("back-end", API_KEY));
    let stage = Stage::with_back_end(Worker::under_wrangler, |values| {
        values.with("API_KEYS", keys).with("EVENTS_KEEP_HOURS", "1")
    });
    let [id, _, removed] = std::array::from_fn(|_| stage.wix.new_instance());
    stage.wix.remove(&removed);
    let until = |stage: &Stage, what: &str, path: &str, is_true: fn(&Value) -> bool| {
        let end = Instant::now() + TIMEOUT;
        loop {
            let answer = stage.worker.request("GET", path).key(API_KEY).send().json();
            if is_true(&answer) {
                break;
            }
            assert!(Instant::now() < end, "{what} must happen: {answer}");
            std::thread::sleep(Duration::from_millis(100));
        }
    };
    let events = format!("/v1/instances/{id}/events");
    until(&stage, "delivery", &events, |page| {
        page["events"]
            .as_array()
            .is_some_and(|all| all.len() == 2 && all.iter().all(|event| event["state"] == "delivered"))
    });
    stage.wix.switch(&json!({ "app_answer": "503" }));
    stage.wix.post("/_sim/webhooks", &json!({ "event_type": "wix.ecom.v1.order_approved", "instance_id": id }));
    until(&stage, "the refusal", &events, |page| page["events"][0]["last_answer"] == 503);

    let stage = stage.restart(|values| values.with("CLOCK_OFFSET_SECONDS", "3700"));
    until(&stage, "parking", "/v1/parked-events", |page| page["instances"][0]["parked"] == 1);
    let stage = stage.restart(|values| values.with("CLOCK_OFFSET_SECONDS", ""));
    stage.wix.switch(&json!({ "app_answer": "200" }));

    let variables =
        [("APP_URL", stage.worker.url.as_str()), ("ADMIN_KEY", ADMIN_KEY), ("OTHER_KEY", API_KEY), ("PARKED_ID", &id)];
    assert_eq!(play(&["repair"], &variables), json!({ "installs": 3, "removals": 1 }));
}

/// Each request of another origin is refused, with the session's cookie or without it.
#[test]
fn no_other_origin_can_use_the_session() {
    let seen = operate("attack");
    for host in ["127.0.0.1", "localhost"] {
        let answered = &seen["answered"][host];
        assert_eq!(answered["accepted"], json!([]), "{host}: {seen}");
        assert!(answered["requests"].as_u64().is_some_and(|count| count >= 20), "{host}: {seen}");
    }
    // To another port of its own host a browser sends the cookie, so that only `Sec-Fetch-Site` protects there.
    assert!(seen["withCookie"].as_u64().is_some_and(|count| count >= 20), "{seen}");
}

#[test]
fn no_page_can_frame_the_console() {
    let seen = operate("framing");
    assert_eq!(seen, json!({ "with its headers": false, "without them": true }));
}

#[test]
fn a_worker_without_a_configuration_explains_it_in_the_console() {
    let worker = Worker::under_wrangler(&Values::default().with("WIX_APP_ID", "not-a-guid"));
    let seen = play(&["misconfigured"], &[("APP_URL", &worker.url)]);
    let ready = worker.request("GET", "/readyz").send().expect(503).json();
    for fault in ready["problems"].as_array().expect("a list") {
        for view in ["overview", "list"] {
            let shown = seen[view].as_str().expect("a text");
            let fix = fault["fix"].as_str().expect("a text").replace('`', "");
            assert!(shown.contains(fault["name"].as_str().expect("a text")) && shown.contains(&fix), "{view}: {fault}");
        }
    }
    assert_eq!(seen["violations"], json!([]));
}
