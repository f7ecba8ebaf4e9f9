//! Requests of a client that the Worker forwards to Wix: their URLs and headers, and the responses.

use http::Method;
use serde_json::json;

use crate::testing::clock::START;
use crate::testing::jws;
use crate::testing::wix::{Canned, Sent};
use crate::testing::world::{API_KEY, INSTANCE, TestRequest, TestResponse, World};

const TOKEN: &str = "/oauth2/token";
const PATH: &str = "/stores/v1/products";
const REPLAY: &str = "wix-edge-replay";

fn installed() -> World {
    let world = World::new();
    world.webhook(jws::installed(INSTANCE, START - 10));
    world
}

fn own(path: &str) -> String {
    format!("/v1/instances/{INSTANCE}/wix{path}")
}

fn call<'a>(world: &'a World, method: Method, path: &str) -> TestRequest<'a> {
    world.call(method, &own(path)).key(API_KEY)
}

fn get(world: &World, path: &str) -> TestResponse {
    call(world, Method::GET, path).send()
}

/// The forwarded requests.
fn forwarded(world: &World) -> Vec<Sent> {
    world.fake.wix().sent().into_iter().filter(|sent| sent.streamed.is_some()).collect()
}

#[test]
fn a_request_is_forwarded_with_the_instances_token_and_the_response_returned() {
    for method in [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
        let world = installed();
        let path = format!("{PATH}?query=a%20b&c=%2e%2e");
        let response = call(&world, method.clone(), &path).send();
        assert_eq!((response.status, response.json()), (200, json!({"answered": path})));
        assert_eq!(response.header("content-type"), "application/json");
        assert_eq!(response.header("x-wix-request-id"), "1767225601.1234567890");
        assert_eq!(response.header("cache-control"), "no-store");
        let sent = forwarded(&world);
        assert_eq!(sent.len(), 1);
        assert_eq!((&sent[0].method, sent[0].url.as_str()), (&method, &*format!("https://www.wixapis.com{path}")));
        assert_eq!(sent[0].authorization.as_deref(), Some("OauthNG.JWS.planted-token.1"));
    }
}

#[test]
fn the_log_of_a_forwarded_request_has_pattern_and_request_id_only() {
    let world = installed();
    call(&world, Method::POST, "/planted/path?planted=1").body("planted").send();
    let line = world.fake.last_log();
    assert_eq!(line["route"], "/v1/instances/{id}/wix/…");
    assert_eq!((&line["instance_id"], &line["outcome"]), (&json!(INSTANCE), &json!("passed_on")));
    assert_eq!(line["wix_request_id"], "1767225601.1234567890");
    assert!(!line.to_string().contains("planted"), "{line}");
}

#[test]
fn a_forwarded_head_request_has_no_body() {
    let world = installed();
    let response = call(&world, Method::HEAD, PATH).send();
    assert_eq!((response.status, response.body.as_str()), (200, ""));
    assert_eq!(forwarded(&world)[0].method, Method::HEAD);
}

#[test]
fn an_ambiguous_path_is_refused() {
    let world = installed();
    for path in [
        "/..",
        "/../token",
        "/a/..",
        "/a/../b",
        "/a/./b",
        "/.",
        "/%2e",
        "/%2E%2e/b",
        "/a/.%2e/b",
        "/a/%2e./b",
        "/a%2eb",
        "/a%2fb",
        "/a/%2f../b",
        "/a%2F..%2Fb",
        "/a%5cb",
        "/a%5C..%5Cb",
        "/a/..%5c/b",
        "/a\\b",
        "/\\evil.example/a",
        "/a/..\\b",
        "/%252e%252e/b",
        "//evil.example/a",
        "//evil.example",
        "/a//b",
        "///",
        "/",
        "/@evil.example/",
        "/a@evil.example",
        "/:8443/a",
        "/a:b",
        "/https://evil.example/",
        "/a;b",
        "/..;/b",
        "/%c0%ae%c0%ae/x",
        "/a%c0%afb",
        "/a%ffb",
        "/a%c2%85b",
        "/a%ef%bc%8fb",
        "/%ef%bc%8e%ef%bc%8e/x",
        "/a%00b",
        "/a%0ab",
        "/a%0d%0aHost:%20evil.example",
        "/a%7fb",
        "/a%",
        "/a%4",
        "/a%zz",
        "/a%u002e",
        "/a b",
        "/é",
        "/a|b",
        "/a\"b",
        "/a<b",
        "/a[b",
        "/%ef%bc%8e\u{ff0e}",
    ] {
        for method in [Method::GET, Method::POST] {
            let response = call(&world, method, path).send();
            assert_eq!(response.problem(), (400, "bad_request".to_owned()), "{path}");
        }
    }
    let long = format!("/{}", "a".repeat(9_000));
    assert_eq!(get(&world, &long).status, 400);
    assert_eq!(get(&world, &format!("/a?{}", "b".repeat(9_000))).status, 400);
    for path in ["", "?a=/b"] {
        assert_eq!(get(&world, path).status, 404, "{path}");
    }
    assert!(world.fake.wix().sent().is_empty());
}

#[test]
fn plain_paths_and_all_queries_are_forwarded_unchanged() {
    let world = installed();
    for path in [
        "/a",
        "/a/",
        "/oauth/access/",
        "/contacts/v4/contacts/a%40b.example",
        "/a/...",
        "/a/b.c_d~e-f",
        "/a/$batch!*'(x),y=z&w+v",
        "/caf%C3%A9/%E2%82%AC",
        "/a%20b",
        "/a?b=../../c&d=//evil.example&e=%0d%0a&f=@g:h",
        "/a?https://evil.example/",
        "/a?",
    ] {
        assert_eq!(get(&world, path).status, 200, "{path}");
        let sent = forwarded(&world).pop().unwrap();
        assert_eq!(sent.url, format!("https://www.wixapis.com{path}"));
    }
}

#[test]
fn only_listed_request_headers_are_forwarded() {
    let world = installed();
    let listed = [
        ("accept", "application/json"),
        ("accept-language", "de"),
        ("content-encoding", "gzip"),
        ("content-language", "de"),
        ("content-type", "application/json"),
        ("if-match", "\"1\""),
        ("if-none-match", "\"2\""),
        ("range", "bytes=0-1"),
        ("x-wix-consistent", "planted"),
    ];
    let mut request = call(&world, Method::POST, PATH).body("{}");
    for (name, value) in listed {
        request = request.header(name, value);
    }
    for name in [
        "cookie",
        "host",
        "connection",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "expect",
        "cf-connecting-ip",
        "cf-ray",
        "cf-worker",
        "x-forwarded-for",
        "x-forwarded-proto",
        "x-real-ip",
        "forwarded",
        "via",
        "origin",
        "referer",
        "user-agent",
        "accept-encoding",
        "wix-site-id",
        "wix-account-id",
        "x-request-id",
        "x-http-method-override",
        "x-anything",
    ] {
        request = request.header(name, "planted");
    }
    assert_eq!(request.send().status, 200);
    let sent = forwarded(&world).pop().unwrap();
    let names: Vec<(&str, &str)> = sent.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert_eq!(names, listed);
    assert_eq!(sent.authorization.as_deref(), Some("OauthNG.JWS.planted-token.1"));
}

#[test]
fn only_listed_response_headers_are_returned() {
    let world = installed();
    let response = Canned::ok(&json!({}))
        .header("etag", "\"1\"")
        .header("x-wix-consistent", "consistent")
        .header("set-cookie", "a=b")
        .header("connection", "keep-alive, x-anything")
        .header("content-encoding", "gzip")
        .header("content-length", "999")
        .header("access-control-allow-origin", "*")
        .header("server", "planted")
        .header("cache-control", "public")
        .header("x-anything", "planted");
    world.fake.wix().queue(PATH, [response]);
    let response = get(&world, PATH);
    let mut names: Vec<&str> = response.headers.iter().map(|(name, _)| *name).collect();
    names.sort_unstable();
    let wanted = [
        "cache-control",
        "content-type",
        "etag",
        "strict-transport-security",
        "x-content-type-options",
        "x-request-id",
        "x-wix-consistent",
        "x-wix-request-id",
    ];
    assert_eq!(names, wanted);
    assert_eq!(response.header("cache-control"), "no-store");
}

#[test]
fn an_error_of_wix_is_returned_unchanged_and_not_retried() {
    for status in [204, 304, 400, 403, 404, 409, 428, 429, 500, 503] {
        let world = installed();
        world.fake.wix().always(PATH, Canned::text(status, "the words of wix").retry_after(7));
        let response = get(&world, PATH);
        assert_eq!((response.status, response.body.as_str()), (status, "the words of wix"));
        assert_eq!(response.header("retry-after"), "7");
        assert_eq!(forwarded(&world).len(), 1);
    }
    let world = installed();
    world.fake.wix().always(PATH, Canned::status(700));
    assert_eq!(get(&world, PATH).problem(), (502, "wix_failed".to_owned()));
}

#[test]
fn a_redirect_is_not_followed_and_its_location_is_rewritten_or_dropped() {
    for (location, wanted) in [
        ("https://www.wixapis.com/a/b?c=d#e", Some(own("/a/b?c=d"))),
        ("/a", Some(own("/a"))),
        ("next?d", Some(own("/stores/v1/next?d"))),
        ("../a", Some(own("/stores/a"))),
        ("//www.wixapis.com/a", Some(own("/a"))),
        ("https://evil.example/a", None),
        ("//evil.example/a", None),
        ("\\\\evil.example/a", None),
        ("http://www.wixapis.com/a", None),
        ("https://www.wixapis.com:8443/a", None),
        ("https://user@www.wixapis.com/a", None),
        ("https://www.wixapis.com@evil.example/a", None),
        ("javascript:alert(1)", None),
        ("/a/%2e%2e%2fb", None),
        ("/", None),
        ("https://[", None),
    ] {
        for status in [201, 301, 302, 307, 308] {
            let world = installed();
            world.fake.wix().queue(PATH, [Canned::text(status, "").header("location", location)]);
            let response = get(&world, PATH);
            assert_eq!(response.status, status);
            let shown = response.headers.iter().find(|(name, _)| *name == "location").map(|(_, value)| value.clone());
            assert_eq!(shown, wanted, "{location}");
            assert_eq!(forwarded(&world).len(), 1);
        }
    }
}

#[test]
fn after_a_401_the_request_is_replayed_with_a_new_token() {
    let longest = "k".repeat(64 * 1024);
    for (body, chunked) in
        [("", false), ("{}", false), (longest.as_str(), false), ("{}", true), (longest.as_str(), true)]
    {
        let world = installed();
        world.token(INSTANCE);
        world.fake.wix().take_paths();
        world.fake.wix().queue(PATH, [Canned::status(401)]);
        let request = call(&world, Method::POST, PATH).body(body);
        let response = if chunked { request.chunked() } else { request }.send();
        assert_eq!((response.status, response.has(REPLAY)), (200, false));
        let sent = world.fake.wix().sent();
        assert_eq!(sent.iter().map(Sent::path).collect::<Vec<_>>(), [PATH, TOKEN, PATH]);
        assert_ne!(sent[0].authorization, sent[2].authorization);
        assert_eq!((sent[0].body.as_slice(), sent[2].body.as_slice()), (body.as_bytes(), body.as_bytes()));
        assert_eq!((sent[2].streamed, sent[2].method.clone()), (Some(false), Method::POST));
        assert_eq!(world.fake.last_log()["outcome"], "passed_on_again");
    }
}

#[test]
fn a_long_body_is_streamed_and_not_replayed() {
    let long = "l".repeat(64 * 1024 + 1);
    for chunked in [false, true] {
        let world = installed();
        let body = long.as_str();
        let request = || {
            let request = call(&world, Method::POST, PATH).body(body);
            if chunked { request.chunked() } else { request }
        };
        assert_eq!(request().send().status, 200);
        let sent = forwarded(&world).pop().unwrap();
        assert_eq!((sent.streamed, sent.body.as_slice()), (Some(true), body.as_bytes()));

        world.fake.wix().take_paths();
        world.fake.wix().queue(PATH, [Canned::text(401, "the words of wix")]);
        let response = request().send();
        assert_eq!((response.status, response.body.as_str()), (401, "the words of wix"));
        assert_eq!(response.header(REPLAY), "no; a new token is ready, send it again");
        assert!(!response.has("www-authenticate"));
        assert_eq!(world.fake.last_log()["outcome"], "not_replayed");
        assert_eq!(request().send().status, 200, "the new token is ready");
        assert_eq!(world.fake.wix().take_paths(), [PATH, TOKEN, PATH]);
    }
}

#[test]
fn a_401_that_a_new_token_does_not_end_costs_one_token_a_minute() {
    let world = installed();
    world.token(INSTANCE);
    world.fake.wix().take_paths();
    world.fake.wix().always(PATH, Canned::status(401));
    for calls in [vec![PATH, TOKEN, PATH], vec![PATH], vec![PATH]] {
        assert_eq!(get(&world, PATH).status, 401);
        assert_eq!(world.fake.wix().take_paths(), calls);
    }
    world.fake.clock().advance(60);
    assert_eq!(get(&world, PATH).status, 401);
    assert_eq!(world.fake.wix().take_paths(), [PATH, TOKEN, PATH]);
}

#[test]
fn a_body_of_a_get_request_or_a_broken_body_is_a_400() {
    let world = installed();
    for method in [Method::GET, Method::HEAD] {
        assert_eq!(call(&world, method, PATH).body("x").send().status, 400);
    }
    assert_eq!(call(&world, Method::POST, PATH).body("x").broken().send().problem().0, 400);
    assert!(forwarded(&world).is_empty());
}

#[test]
fn an_instance_without_a_token_has_the_errors_of_the_token_route() {
    let world = World::new();
    assert_eq!(get(&world, PATH).problem(), (404, "unknown_instance".to_owned()));
    world.webhook(jws::installed(INSTANCE, START - 10));
    world.fake.wix().always(TOKEN, Canned::status(404));
    assert_eq!(get(&world, PATH).problem(), (409, "needs_reconnect".to_owned()));
    world.webhook(jws::removed(INSTANCE, START));
    assert_eq!(get(&world, PATH).problem(), (410, "removed_instance".to_owned()));
    assert!(forwarded(&world).is_empty());
}

#[test]
fn the_deadline_is_15_seconds_and_later_for_a_long_body() {
    let world = installed();
    world.fake.wix().always(PATH, Canned::hang());
    let response = get(&world, PATH);
    assert_eq!((response.problem(), response.took), ((504, "wix_timeout".to_owned()), 15_000));
    let megabyte = "m".repeat(1024 * 1024);
    let response = call(&world, Method::PUT, PATH).body(megabyte.as_str()).send();
    assert_eq!((response.status, response.took), (504, 19_000));
    let response = call(&world, Method::PUT, PATH).body(megabyte.as_str()).chunked().send();
    assert_eq!((response.status, response.took), (504, 615_000));
    world.fake.wix().always(PATH, Canned::unreachable());
    assert_eq!(get(&world, PATH).problem(), (502, "wix_failed".to_owned()));
}

#[test]
fn if_no_new_token_is_issued_a_streamed_request_returns_wixs_401() {
    let long = "l".repeat(64 * 1024 + 1);
    for (token_response, replay) in
        [(Canned::status(404), "no; send it again"), (Canned::text(403, "<html>"), "no; send it again")]
    {
        let world = installed();
        world.token(INSTANCE);
        world.fake.wix().always(TOKEN, token_response);
        world.fake.wix().queue(PATH, [Canned::text(401, "the words of wix")]);
        let response = call(&world, Method::POST, PATH).body(long.as_str()).send();
        assert_eq!((response.status, response.body.as_str()), (401, "the words of wix"));
        assert_eq!(response.header(REPLAY), replay);
        assert!(world.fake.last_log().get("error").is_some(), "the failure must be in the log");
    }
}

#[test]
fn with_never_a_forwarded_bi_event_is_refused_too() {
    const BI: &str = "/apps/v1/bi-event";
    let never = || {
        let world = World::with(&[("FINISH_CONFIGURATION", "never")]);
        world.webhook(jws::installed(INSTANCE, START - 10));
        world
    };
    let finished = r#"{"eventName":"APP_FINISHED_CONFIGURATION"}"#;
    let world = never();
    for path in [BI, "/apps/v1/bi-event/", "/apps/v1/bi%2Devent", "/Apps/V1/BI-Event", "/apps/v1/bi-event?x=1"] {
        let response = call(&world, Method::POST, path).body(finished).send();
        assert_eq!(response.problem(), (409, "finish_configuration_disabled".to_owned()), "{path}");
    }
    let escaped = r#"{"eventName":"\u0041PP_FINISHED_CONFIGURATION"}"#;
    assert_eq!(call(&world, Method::POST, BI).body(escaped).send().status, 409);
    let twice = r#"{"eventName":"APP_UPGRADED","eventName":"APP_FINISHED_CONFIGURATION"}"#;
    let long = format!(r#"{{"eventName":"APP_FINISHED_CONFIGURATION","eventData":{{"a":"{}"}}}}"#, "a".repeat(70_000));
    for body in [twice, &long, "", "\u{1f}\u{8b}compressed", "[]"] {
        assert_eq!(call(&world, Method::POST, BI).body(body).send().status, 400, "{}", &body[..body.len().min(40)]);
    }
    assert!(forwarded(&world).is_empty());
    assert_eq!(call(&world, Method::POST, BI).body(r#"{"eventName":"APP_UPGRADED"}"#).send().status, 200);
    assert_eq!(call(&installed(), Method::POST, BI).body(finished).send().status, 200);
}
