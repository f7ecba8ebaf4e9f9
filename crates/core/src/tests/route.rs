//! The route table: paths, methods, audiences, and the routes for liveness and readiness.

use http::Method;
use serde_json::json;

use crate::routes::{Found, Route};
use crate::testing::Fake;
use crate::testing::clock::START;
use crate::testing::jws;
use crate::testing::wix::Canned;
use crate::testing::world::{API_KEY, DELIVERING, INSTANCE, World};

/// Paths with their methods, first for browsers, probes and Wix, and then for the back end.
fn table() -> Vec<(String, &'static [&'static str])> {
    let own = |path: &str| format!("/v1/instances/{INSTANCE}{path}");
    vec![
        ("/".to_owned(), &["GET", "HEAD"]),
        ("/healthz".to_owned(), &["GET", "HEAD"]),
        ("/readyz".to_owned(), &["GET", "HEAD"]),
        ("/install".to_owned(), &["GET", "HEAD"]),
        ("/redirect".to_owned(), &["GET", "HEAD"]),
        ("/connect".to_owned(), &["GET", "HEAD"]),
        ("/connected".to_owned(), &["GET", "HEAD"]),
        ("/connected/done".to_owned(), &["GET", "HEAD"]),
        ("/webhook".to_owned(), &["POST"]),
        ("/plugins/v1/rates".to_owned(), &["POST"]),
        ("/v1/instances".to_owned(), &["GET", "HEAD"]),
        (own(""), &["GET", "HEAD", "DELETE"]),
        (own("/token"), &["POST"]),
        (own("/finish-configuration"), &["POST"]),
        (own("/bi-events"), &["POST"]),
        ("/v1/identity".to_owned(), &["POST"]),
        ("/v1/handoffs".to_owned(), &["POST"]),
        (own("/events"), &["GET", "HEAD"]),
        (own("/events/evt_1/redeliver"), &["POST"]),
        ("/v1/parked-events".to_owned(), &["GET", "HEAD"]),
        ("/v1/parked-events/redeliver".to_owned(), &["POST"]),
        ("/v1/events/test".to_owned(), &["POST"]),
        ("/v1/reconciliation".to_owned(), &["GET", "HEAD"]),
        ("/v1/statistics".to_owned(), &["GET", "HEAD"]),
        ("/v1/session".to_owned(), &["POST", "DELETE"]),
        ("/v1/export".to_owned(), &["GET", "HEAD"]),
        ("/v1/import".to_owned(), &["POST"]),
        ("/v1/openapi.json".to_owned(), &["GET", "HEAD"]),
        (own("/wix/stores/v1/products"), &["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]),
    ]
}

const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"];

fn method(name: &str) -> Method {
    Method::from_bytes(name.as_bytes()).unwrap()
}

fn misconfigured() -> World {
    World::with(&[("WIX_APP_ID", ""), ("SEALING_KEYS", "planted")])
}

#[test]
fn another_method_is_a_405_that_lists_the_allowed_ones() {
    for world in [World::new(), misconfigured()] {
        for (path, allowed) in table() {
            for name in METHODS {
                let response = world.call(method(name), &path).send();
                if allowed.contains(&name) {
                    assert_ne!(response.status, 405, "{name} {path}");
                } else {
                    assert_eq!(response.status, 405, "{name} {path}");
                    assert_eq!(response.header("allow"), allowed.join(", "), "{name} {path}");
                }
            }
        }
    }
    assert!(World::new().fake.kv().entries().is_empty());
}

#[test]
fn an_unknown_path_is_a_404_for_every_method() {
    let own = |path: &str| format!("/v1/instances/{INSTANCE}{path}");
    for world in [World::new(), misconfigured()] {
        for path in [
            "/nothing",
            "/INSTALL",
            "/webhook/x",
            "/%69nstall",
            "/.env",
            "/v2/instances",
            "/v1",
            "/v1/",
            "/v1/nothing",
            "/v1/instances/a/b/c",
            &own("/tokens"),
            &own("//token"),
        ] {
            for name in METHODS {
                let response = world.call(method(name), path).key(API_KEY).send();
                assert_eq!(response.status, 404, "{name} {path}");
                assert!(!response.has("allow"));
            }
        }
    }
}

#[test]
fn a_404_has_the_content_type_of_its_audience() {
    let world = World::new();
    assert_eq!(world.get("/v1/nothing").send().header("content-type"), "application/problem+json");
    assert_eq!(world.get("/nothing").send().header("content-type"), "text/html; charset=utf-8");
    // A program with a wrong address gets a problem document, not a page.
    for program in [
        world.post("/nothing"),
        world.get("/nothing").header("accept", "application/json"),
        world.get("/nothing").key(API_KEY),
        world.get("//v1/instances"),
        world.get("/V1/instances"),
    ] {
        assert_eq!(program.send().header("content-type"), "application/problem+json");
    }
    let person = world.get("/nothing").header("accept", "text/html,application/json;q=0.9").send();
    assert_eq!(person.header("content-type"), "text/html; charset=utf-8");
}

#[test]
fn a_path_may_end_with_a_slash() {
    let world = World::new();
    assert_eq!(
        world.post("/webhook/").body(jws::installed(INSTANCE, START)).without_deferred_task().send().status,
        200
    );
    assert_eq!(world.fake.last_log()["route"], "/webhook");
    assert_eq!(world.get("/install/").send().status, 302);
    assert_eq!(world.get("/readyz/").send().status, 200);
    let token = world.post(&format!("/v1/instances/{INSTANCE}/token/")).key(API_KEY).send();
    assert_eq!(token.status, 200);
    // A path with an empty id is a 400, not a listing.
    assert_eq!(world.get("/v1/instances/").key(API_KEY).send().status, 400);
    assert_eq!(world.get("//install").send().status, 404);
}

#[test]
fn the_api_refuses_plain_http_at_a_public_host() {
    let world = World::new();
    world.webhook(jws::installed(INSTANCE, START));
    let path = format!("/v1/instances/{INSTANCE}");
    for host in ["app.example", "app.example:8080", "203.0.113.7", "[2001:db8::1]", "localhost.evil.example"] {
        let response = world.get_at(&format!("http://{host}"), &path).key(API_KEY).send();
        assert_eq!(response.problem(), (403, "https_required".to_owned()), "{host}");
    }
    for host in ["localhost:8787", "127.0.0.1", "[::1]:8787", "app.localhost", "wix-edge"] {
        let response = world.get_at(&format!("http://{host}"), &path).key(API_KEY).send();
        assert_eq!(response.status, 200, "{host}");
    }
    let response = world.get(&path).key(API_KEY).send();
    assert_eq!((response.status, response.header("strict-transport-security")), (200, "max-age=31536000"));
}

#[test]
fn readyz_notes_refused_app_credentials_until_wix_accepts_them() {
    const TOKEN: &str = "/oauth2/token";
    let world = World::delivering();
    world.fake.wix().always(TOKEN, Canned::text(401, r#"{"error":"invalid_client"}"#));
    world.webhook(jws::installed(INSTANCE, START));
    assert_eq!(world.token(INSTANCE).problem(), (503, "app_credentials_refused".to_owned()));
    world.fake.clock().advance(7);
    let response = world.get("/readyz").send();
    assert_eq!((response.status, &response.json()["problems"]), (200, &json!([])));
    let note = &response.json()["notes"][0];
    assert_eq!(note["name"], "WIX_APP_SECRET");
    assert_eq!(note["problem"], "Wix refused the app's own credentials 7 s ago");
    assert!(note["fix"].as_str().unwrap().contains("wrangler secret put WIX_APP_SECRET"));
    world.fake.wix().clear_script();
    assert_eq!(world.token(INSTANCE).status, 200);
    assert_eq!(world.get("/readyz").send().json()["notes"], json!([]));
}

#[test]
fn the_log_names_a_route_by_its_pattern() {
    let world = World::new();
    for (path, name) in [
        ("/v1/instances/aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee/token", "/v1/instances/{id}/token"),
        ("/v1/instances/planted/token", "/v1/instances/{id}/token"),
        ("/planted", "unknown"),
        ("/v1/planted", "/v1/…"),
        ("/?planted=1", "/"),
    ] {
        world.post(path).send();
        assert_eq!(world.fake.last_log()["route"], name, "{path}");
    }
    let names: Vec<&str> =
        table().iter().map(|(path, _)| Found::<Fake>::of(&path[1..].split('/').collect::<Vec<_>>()).name()).collect();
    let mut distinct = names.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), names.len(), "{names:?}");
}

#[test]
fn healthz_answers_200_with_any_configuration() {
    for world in [World::new(), misconfigured()] {
        world.fake.kv().fail_where(|_, _| true);
        let response = world.get("/healthz").send();
        assert_eq!(response.status, 200);
        assert_eq!(response.json(), json!({"status": "ok", "version": env!("CARGO_PKG_VERSION")}));
    }
}

#[test]
fn readyz_is_ready_with_a_valid_configuration_and_a_working_kv() {
    let world = World::with(&DELIVERING);
    let response = world.get("/readyz").send();
    assert_eq!((response.status, response.json()), (200, json!({"status": "ready", "problems": [], "notes": []})));
    world.fake.kv().fail_where(|_, _| true);
    let down = world.get("/readyz").send();
    assert_eq!((down.status, &down.json()["problems"][0]["name"]), (503, &json!("INSTANCES")));
    assert_eq!(world.fake.last_log()["error"], "store_failed");
    world.fake.kv().clear_faults();
    world.fake.kv().delay_where(|_, _| 10_000);
    let slow = world.get("/readyz").send();
    assert_eq!((slow.status, slow.took), (503, 1000));
}

#[test]
fn readyz_names_every_fault_and_its_fix() {
    let response = misconfigured().get("/readyz").send();
    assert_eq!(response.status, 503);
    let json = response.json();
    assert_eq!(json["status"], "not_ready");
    let names: Vec<&str> = json["problems"].as_array().unwrap().iter().map(|p| p["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["WIX_APP_ID", "SEALING_KEYS"]);
    assert_eq!(json["problems"][0]["problem"], "it is missing");
    assert!(json["problems"][0]["fix"].as_str().unwrap().contains("Wix app dashboard"));
    assert!(!response.body.contains("planted"));
}

#[test]
fn with_an_invalid_configuration_every_route_but_healthz_is_a_503() {
    let world = misconfigured();
    for (path, allowed) in table() {
        let response = world.call(method(allowed[0]), &path).key(API_KEY).send();
        assert_eq!(response.status, if path == "/healthz" { 200 } else { 503 }, "{path}");
        assert!(!response.body.contains("planted"));
        if !["/", "/healthz", "/readyz"].contains(&path.as_str()) {
            let is_page = response.header("content-type").starts_with("text/html");
            assert!(response.body.contains(if is_page { "not_configured" } else { "/readyz" }), "{path}");
            let log = world.fake.last_log();
            assert_eq!(log["error"], "not_configured");
            let cause = log["cause"].as_str().unwrap();
            assert!(cause.contains("WIX_APP_ID") && cause.contains("SEALING_KEYS"), "{cause}");
            assert!(cause.contains("wrangler"), "{cause}");
        }
    }
    assert!(world.fake.kv().take_changes().is_empty());
}

#[test]
fn the_home_page_shows_whether_the_worker_is_ready() {
    let ready = World::new().get("/").send();
    assert_eq!(ready.status, 200);
    assert!(ready.body.contains("This server is ready"));
    let not_ready = misconfigured().get("/").send();
    assert_eq!(not_ready.status, 503);
    assert!(not_ready.body.contains("WIX_APP_ID") && not_ready.body.contains("not ready"));
    // By the same checks as `/readyz`.
    let world = World::new();
    world.fake.kv().fail_where(|_, _| true);
    let without_kv = world.get("/").send();
    assert_eq!((without_kv.status, world.get("/readyz").send().status), (503, 503));
    assert!(without_kv.body.contains("INSTANCES") && without_kv.body.contains("KV does not answer"));
    assert!(without_kv.body.contains(without_kv.header("x-request-id")), "{}", without_kv.body);
    assert_eq!(world.fake.last_log()["error"], "store_failed");
}

#[test]
fn head_is_get_without_the_body() {
    for world in [World::new(), misconfigured()] {
        for path in ["/", "/healthz", "/readyz"] {
            let get = world.get(path).send();
            let head = world.call(Method::HEAD, path).send();
            assert!(head.body.is_empty() && !get.body.is_empty());
            assert_eq!(head.status, get.status);
            let names = |response: &crate::testing::world::TestResponse| {
                response.headers.iter().filter(|(name, _)| *name != "x-request-id").cloned().collect::<Vec<_>>()
            };
            assert_eq!(names(&head), names(&get));
        }
        for path in ["/install", "/nothing", "/v1/instances", "/webhook"] {
            assert!(world.call(Method::HEAD, path).send().body.is_empty(), "{path}");
        }
    }
}

#[test]
fn in_development_the_clock_may_have_an_offset() {
    let ahead = [("ENVIRONMENT", "development"), ("CLOCK_OFFSET_SECONDS", "5000")];
    let message = || jws::installed(INSTANCE, START + 5000);
    assert_eq!(World::with(&ahead).webhook(message()).status, 200);
    assert_eq!(World::new().webhook(message()).status, 401);
    let behind = [("ENVIRONMENT", "development"), ("CLOCK_OFFSET_SECONDS", "-5000")];
    assert_eq!(World::with(&behind).webhook(jws::installed(INSTANCE, START)).status, 401);
}

#[test]
fn the_table_of_these_tests_has_every_route() {
    let tested: Vec<&str> =
        table().iter().map(|(path, _)| Found::<Fake>::of(&path[1..].split('/').collect::<Vec<_>>()).name()).collect();
    for route in Route::<Fake>::ALL {
        assert!(tested.contains(&route.pattern), "{}", route.pattern);
    }
    let mut patterns: Vec<&str> = Route::<Fake>::ALL.iter().map(|route| route.pattern).collect();
    patterns.dedup();
    assert_eq!(tested.len(), patterns.len());
}
