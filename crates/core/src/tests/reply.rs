//! Properties of every response: headers, pages, problem documents.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{Method, StatusCode};
use sha2::{Digest as _, Sha256};

use crate::testing::clock::START;
use crate::testing::jws;
use crate::testing::world::{API_KEY, INSTANCE, TestResponse, World};
use crate::web::{Body, Reply};

/// Responses to a browser, of every kind.
fn browser_responses(world: &World) -> Vec<(&'static str, TestResponse)> {
    let broken = world.isolate(&[("WIX_APP_ID", "")]);
    vec![
        ("home", world.get("/").send()),
        ("install", world.get("/install").send()),
        ("redirect", world.connect()),
        ("refused", world.get("/redirect").send()),
        ("unknown", world.get("/nothing").send()),
        ("method", world.post("/install").send()),
        ("head", world.call(Method::HEAD, "/").send()),
        ("home, not configured", broken.get("/").send()),
        ("install, not configured", broken.get("/install").send()),
    ]
}

fn all_responses() -> Vec<(&'static str, TestResponse)> {
    let world = World::new();
    let mut all = browser_responses(&world);
    all.push(("webhook", world.webhook(jws::installed(INSTANCE, START))));
    all.push(("bad webhook", world.webhook("x")));
    all.push(("bad plugin call", world.post("/plugins/v1/rates").body("x").send()));
    all.push(("no plugin path", world.post("/plugins").send()));
    all.push(("healthz", world.get("/healthz").send()));
    all.push(("readyz", world.get("/readyz").send()));
    all.push(("list", world.get("/v1/instances").key(API_KEY).send()));
    all.push(("token", world.token(INSTANCE)));
    all.push(("no key", world.get("/v1/instances").send()));
    all.push(("unknown path of the api", world.get("/v1/nothing").send()));
    all
}

#[test]
fn every_response_has_no_store_nosniff_and_its_own_request_id() {
    let mut ids = Vec::new();
    for (name, response) in all_responses() {
        assert_eq!(response.header("cache-control"), "no-store", "{name}");
        assert_eq!(response.header("x-content-type-options"), "nosniff", "{name}");
        let id = response.header("x-request-id");
        assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{name}: {id}");
        ids.push(id.to_owned());
    }
    let count = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), count, "every response must have its own id");
}

#[test]
fn a_page_lets_wix_close_the_window_and_sends_no_referrer() {
    for (name, response) in browser_responses(&World::new()) {
        assert_eq!(response.header("cross-origin-opener-policy"), "unsafe-none", "{name}");
        assert_eq!(response.header("referrer-policy"), "no-referrer", "{name}");
        let policy = response.header("content-security-policy");
        for part in ["default-src 'none'", "base-uri 'none'", "form-action 'none'"] {
            assert!(policy.contains(part), "{name}: {policy}");
        }
        for part in ["unsafe", "*", "script-src", "http"] {
            assert!(!policy.contains(part), "{name}: {policy}");
        }
        assert!(
            !response.has("x-frame-options") && !policy.contains("frame-ancestors"),
            "{name}: Wix may show the page in a frame"
        );
    }
}

#[test]
fn a_page_has_only_the_style_that_its_policy_allows() {
    for (name, response) in browser_responses(&World::new()) {
        if response.body.is_empty() {
            continue;
        }
        assert_eq!(response.header("content-type"), "text/html; charset=utf-8", "{name}");
        assert_eq!(response.body.matches("<style>").count(), 1, "{name}");
        let (_, rest) = response.body.split_once("<style>").unwrap();
        let (style, _) = rest.split_once("</style>").unwrap();
        let hash = format!("style-src 'sha256-{}'", STANDARD.encode(Sha256::digest(style)));
        let policy = response.header("content-security-policy");
        assert!(policy.split("; ").any(|part| part == hash), "{name}: {policy} must have {hash}");
        for part in
            ["<script", "style=", " src=", "<link", "<img", "<form", "javascript:", "onclick", "@import", "url("]
        {
            assert!(!response.body.contains(part), "{name}: {part}");
        }
    }
}

#[test]
fn a_page_shows_the_request_id_of_its_log_line() {
    let world = World::new();
    let response = world.get("/redirect").send();
    let id = response.header("x-request-id");
    assert!(response.body.contains(id));
    assert_eq!(world.fake.last_log()["request_id"], id);
}

#[test]
fn an_api_error_is_a_problem_of_rfc_9457() {
    let world = World::new();
    for (response, status, code) in [
        (world.get("/v1/instances").send(), 401, "unauthorized"),
        (world.get("/v1/nothing").send(), 404, "not_found"),
        (world.post("/v1/instances").send(), 405, "method_not_allowed"),
        (world.get("/v1/instances?limit=0").key(API_KEY).send(), 400, "bad_request"),
        (world.token(INSTANCE), 404, "unknown_instance"),
    ] {
        assert_eq!(response.status, status);
        assert_eq!(response.header("content-type"), "application/problem+json");
        let problem = response.json();
        assert_eq!(problem["type"], format!("/problems#{code}"));
        assert_eq!(problem["code"], code);
        assert_eq!(problem["status"], status);
        assert_eq!(problem["request_id"], response.header("x-request-id"));
        for field in ["title", "detail"] {
            assert!(!problem[field].as_str().unwrap().is_empty(), "{code}: {field}");
        }
    }
}

#[test]
fn wix_and_probes_get_short_json() {
    let world = World::new();
    let refused = world.webhook("x");
    assert_eq!(refused.header("content-type"), "application/json");
    assert_eq!(refused.json()["code"], "malformed_message");
    assert_eq!(refused.json()["request_id"], refused.header("x-request-id"));
}

#[test]
fn every_header_is_printable_ascii() {
    for (name, response) in all_responses() {
        for (header, value) in &response.headers {
            assert!(value.bytes().all(|byte| (0x20..0x7f).contains(&byte)), "{name}: {header}: {value:?}");
            assert_eq!(*header, header.to_lowercase());
        }
    }
}

#[test]
fn text_in_a_page_is_escaped() {
    let world = World::with(&[("AFTER_INSTALL_URL", "https://<script>.example"), ("WIX_APP_ID", "<script>")]);
    assert!(!world.get("/").send().body.contains("<script"));
}

#[test]
fn a_value_that_json_cannot_express_is_a_500() {
    let keys_of_lists = std::collections::BTreeMap::from([(vec![1], 2)]);
    let reply = Reply::<()>::json(StatusCode::OK, &keys_of_lists);
    let Body::Text(text) = reply.body else { panic!("the body must be text") };
    assert_eq!((reply.status, text.as_str()), (StatusCode::INTERNAL_SERVER_ERROR, r#"{"code":"internal"}"#));
}
