//! Calls to Wix on the caller's behalf: where they go, what goes with them, and what comes back.

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

/// What was proxied.
fn proxied(world: &World) -> Vec<Sent> {
    world.fake.wix().sent().into_iter().filter(|sent| sent.proxied.is_some()).collect()
}

#[test]
fn a_call_goes_to_wix_with_the_instances_token_and_its_answer_comes_back() {
    for method in [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
        let world = installed();
        let path = format!("{PATH}?query=a%20b&c=%2e%2e");
        let response = call(&world, method.clone(), &path).send();
        assert_eq!((response.status, response.json()), (200, json!({"answered": path})));
        assert_eq!(response.header("content-type"), "application/json");
        assert_eq!(response.header("x-wix-request-id"), "1767225601.1234567890");
        assert_eq!(response.header("cache-control"), "no-store");
        let sent = proxied(&world);
        assert_eq!(sent.len(), 1);
        assert_eq!((&sent[0].method, sent[0].url.as_str()), (&method, &*format!("https://www.wixapis.com{path}")));
        assert_eq!(sent[0].authorization.as_deref(), Some("OauthNG.JWS.planted-token.1"));
    }
}

#[test]
fn the_log_has_the_pattern_and_wixs_id_and_nothing_of_the_call() {
    let world = installed();
    call(&world, Method::POST, "/planted/path?planted=1").body("planted").send();
    let line = world.fake.last_log();
    assert_eq!(line["route"], "/v1/instances/{id}/wix/…");
    assert_eq!((&line["instance_id"], &line["outcome"]), (&json!(INSTANCE), &json!("passed_on")));
    assert_eq!(line["wix_request_id"], "1767225601.1234567890");
    assert!(!line.to_string().contains("planted"), "{line}");
}

#[test]
fn head_has_the_head_alone() {
    let world = installed();
    let response = call(&world, Method::HEAD, PATH).send();
    assert_eq!((response.status, response.body.as_str()), (200, ""));
    assert_eq!(proxied(&world)[0].method, Method::HEAD);
}

#[test]
fn a_path_that_could_lead_elsewhere_is_refused() {
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
fn plain_paths_and_every_query_go_as_they_were_written() {
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
        let sent = proxied(&world).pop().unwrap();
        assert_eq!(sent.url, format!("https://www.wixapis.com{path}"));
    }
}

#[test]
fn of_the_callers_headers_the_chosen_ones_go_and_no_other() {
    let world = installed();
    let passed = [
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
    let mut ask = call(&world, Method::POST, PATH).body("{}");
    for (name, value) in passed {
        ask = ask.header(name, value);
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
        ask = ask.header(name, "planted");
    }
    assert_eq!(ask.send().status, 200);
    let sent = proxied(&world).pop().unwrap();
    let names: Vec<(&str, &str)> = sent.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert_eq!(names, passed);
    assert_eq!(sent.authorization.as_deref(), Some("OauthNG.JWS.planted-token.1"));
}

#[test]
fn of_wixs_headers_the_chosen_ones_come_back_and_no_other() {
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
fn wixs_failures_are_the_answer_as_they_are_and_once() {
    for status in [204, 304, 400, 403, 404, 409, 428, 429, 500, 503] {
        let world = installed();
        world.fake.wix().always(PATH, Canned::text(status, "wix's own words").retry_after(7));
        let response = get(&world, PATH);
        assert_eq!((response.status, response.body.as_str()), (status, "wix's own words"));
        assert_eq!(response.header("retry-after"), "7");
        assert_eq!(proxied(&world).len(), 1);
    }
    let world = installed();
    world.fake.wix().always(PATH, Canned::status(700));
    assert_eq!(get(&world, PATH).problem(), (502, "wix_failed".to_owned()));
}

#[test]
fn a_redirect_is_not_followed_and_leads_through_here_or_nowhere() {
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
            assert_eq!(proxied(&world).len(), 1);
        }
    }
}

#[test]
fn a_dead_token_is_replaced_and_the_call_made_once_more() {
    let kept = "k".repeat(64 * 1024);
    for (body, chunked) in [("", false), ("{}", false), (kept.as_str(), false), ("{}", true), (kept.as_str(), true)] {
        let world = installed();
        world.token(INSTANCE);
        world.fake.wix().take_paths();
        world.fake.wix().queue(PATH, [Canned::status(401)]);
        let ask = call(&world, Method::POST, PATH).body(body);
        let response = if chunked { ask.chunked() } else { ask }.send();
        assert_eq!((response.status, response.has(REPLAY)), (200, false));
        let sent = world.fake.wix().sent();
        assert_eq!(sent.iter().map(Sent::path).collect::<Vec<_>>(), [PATH, TOKEN, PATH]);
        assert_ne!(sent[0].authorization, sent[2].authorization);
        assert_eq!((sent[0].body.as_slice(), sent[2].body.as_slice()), (body.as_bytes(), body.as_bytes()));
        assert_eq!((sent[2].proxied, sent[2].method.clone()), (Some(false), Method::POST));
        assert_eq!(world.fake.last_log()["outcome"], "passed_on_again");
    }
}

#[test]
fn a_long_body_is_handed_on_unread_and_sent_once() {
    let long = "l".repeat(64 * 1024 + 1);
    for chunked in [false, true] {
        let world = installed();
        let body = long.as_str();
        let ask = || {
            let ask = call(&world, Method::POST, PATH).body(body);
            if chunked { ask.chunked() } else { ask }
        };
        assert_eq!(ask().send().status, 200);
        let sent = proxied(&world).pop().unwrap();
        assert_eq!((sent.proxied, sent.body.as_slice()), (Some(true), body.as_bytes()));

        world.fake.wix().take_paths();
        world.fake.wix().queue(PATH, [Canned::text(401, "wix's own words")]);
        let response = ask().send();
        assert_eq!((response.status, response.body.as_str()), (401, "wix's own words"));
        assert_eq!(response.header(REPLAY), "no; a new token is ready, send it again");
        assert!(!response.has("www-authenticate"));
        assert_eq!(world.fake.last_log()["outcome"], "not_replayed");
        assert_eq!(ask().send().status, 200, "it is ready");
        assert_eq!(world.fake.wix().take_paths(), [PATH, TOKEN, PATH]);
    }
}

#[test]
fn a_401_that_is_not_the_tokens_costs_one_token_a_minute() {
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
fn a_body_where_there_is_none_or_that_breaks_off_is_refused() {
    let world = installed();
    for method in [Method::GET, Method::HEAD] {
        assert_eq!(call(&world, method, PATH).body("x").send().status, 400);
    }
    assert_eq!(call(&world, Method::POST, PATH).body("x").broken().send().problem().0, 400);
    assert!(proxied(&world).is_empty());
}

#[test]
fn an_instance_without_a_token_is_told_as_by_the_token_route() {
    let world = World::new();
    assert_eq!(get(&world, PATH).problem(), (404, "unknown_instance".to_owned()));
    world.webhook(jws::installed(INSTANCE, START - 10));
    world.fake.wix().always(TOKEN, Canned::status(404));
    assert_eq!(get(&world, PATH).problem(), (409, "needs_reconnect".to_owned()));
    world.webhook(jws::removed(INSTANCE, START));
    assert_eq!(get(&world, PATH).problem(), (410, "removed_instance".to_owned()));
    assert!(proxied(&world).is_empty());
}

#[test]
fn wix_has_15_seconds_for_the_head_and_longer_for_a_long_body() {
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
fn where_no_new_token_is_to_be_had_wixs_401_of_a_long_body_is_the_answer_all_the_same() {
    let long = "l".repeat(64 * 1024 + 1);
    for (mint, told) in [(Canned::status(404), "no; send it again"), (Canned::text(403, "<html>"), "no; send it again")]
    {
        let world = installed();
        world.token(INSTANCE);
        world.fake.wix().always(TOKEN, mint);
        world.fake.wix().queue(PATH, [Canned::text(401, "wix's own words")]);
        let response = call(&world, Method::POST, PATH).body(long.as_str()).send();
        assert_eq!((response.status, response.body.as_str()), (401, "wix's own words"));
        assert_eq!(response.header(REPLAY), told);
        assert!(world.fake.last_log().get("error").is_some(), "and what failed is in the log");
    }
}

#[test]
fn never_holds_for_proxied_bi_events_too() {
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
    assert!(proxied(&world).is_empty());
    assert_eq!(call(&world, Method::POST, BI).body(r#"{"eventName":"APP_UPGRADED"}"#).send().status, 200);
    assert_eq!(call(&installed(), Method::POST, BI).body(finished).send().status, 200);
}
