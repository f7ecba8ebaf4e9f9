//! The session of the operator's console: sign-in, what it may do, and attacks on it.

use http::Method;
use serde_json::json;

use crate::testing::clock::START;
use crate::testing::jws;
use crate::testing::world::{API_KEY, INSTANCE, SEALING_KEY, TestRequest, TestResponse, World, sha256_hex};

const NAME: &str = "__Host-wix-edge-session";
const PATH: &str = "/v1/instances";

/// Signs in, and returns the cookie as the browser sends it back.
fn sign_in(world: &World) -> String {
    let response = world.post("/v1/session").key(API_KEY).send();
    assert_eq!(response.status, 200, "{}", response.body);
    response.header("set-cookie").split(';').next().unwrap().to_owned()
}

/// A request of the console's page.
fn of_page<'a>(request: TestRequest<'a>, cookie: &str) -> TestRequest<'a> {
    request.header("cookie", cookie).header("sec-fetch-site", "same-origin")
}

fn list(world: &World, cookie: &str) -> TestResponse {
    of_page(world.get(PATH), cookie).send()
}

fn assert_refused(response: &TestResponse, attack: &str) {
    assert_eq!(response.problem(), (401, "unauthorized".to_owned()), "{attack}");
}

/// An isolate with other values of `API_KEYS`.
fn with_keys(world: &World, keys: &str) -> World {
    world.isolate(&[("API_KEYS", keys)])
}

#[test]
fn an_admin_key_is_exchanged_for_a_cookie() {
    let world = World::new();
    let response = world.post("/v1/session").key(API_KEY).send();
    assert_eq!(response.json(), json!({ "expires_at": START + 28_800 }));
    assert_eq!(response.header("cache-control"), "no-store");
    let cookie = response.header("set-cookie");
    let (pair, attributes) = cookie.split_once("; ").unwrap();
    assert_eq!(attributes, "Max-Age=28800; Path=/; Secure; HttpOnly; SameSite=Strict");
    let value = pair.strip_prefix(NAME).unwrap().strip_prefix('=').unwrap();
    assert!(value.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')), "{value}");
    assert!(world.fake.kv().entries().is_empty(), "nothing is stored");
    let listed = list(&world, pair);
    assert_eq!(listed.status, 200);
    assert_eq!(world.fake.last_log()["client"], "full", "the log names the API key");
    assert!(!listed.has("set-cookie"), "a session is not prolonged");
    assert!(!world.fake.last_log().to_string().contains(value));
}

#[test]
fn only_an_admin_key_signs_in() {
    let keys: Vec<String> = ["token", "instances", "events", "proxy"]
        .iter()
        .map(|scope| format!("{scope}:{}:{scope}", sha256_hex(scope)))
        .chain([format!("usual:{}", sha256_hex("usual"))])
        .collect();
    let world = World::with(&[("API_KEYS", &keys.join(","))]);
    for key in ["token", "instances", "events", "proxy", "usual"] {
        let response = world.post("/v1/session").key(key).send();
        assert_eq!(response.problem(), (403, "forbidden".to_owned()), "{key}");
        assert!(!response.has("set-cookie"));
    }
    assert_refused(&world.post("/v1/session").key("unknown").send(), "an unknown key");
}

#[test]
fn a_session_reads_and_administers_but_gets_no_token() {
    let world = World::delivering();
    world.webhook(jws::installed(INSTANCE, START));
    let cookie = sign_in(&world);
    let own = |path: &str| format!("/v1/instances/{INSTANCE}{path}");
    for (method, path, wanted) in [
        (Method::GET, PATH.to_owned(), 200),
        (Method::GET, own(""), 200),
        (Method::GET, "/v1/statistics".to_owned(), 200),
        (Method::GET, "/v1/reconciliation".to_owned(), 200),
        (Method::GET, own("/events"), 200),
        (Method::GET, "/v1/parked-events".to_owned(), 200),
        (Method::POST, "/v1/parked-events/redeliver".to_owned(), 202),
        (Method::POST, "/v1/events/test".to_owned(), 202),
        (Method::POST, own("/finish-configuration"), 200),
        (Method::GET, "/v1/export".to_owned(), 200),
        (Method::POST, own("/token"), 403),
        (Method::GET, own("/wix/stores/v1/products"), 403),
        (Method::POST, own("/wix/stores/v1/products"), 403),
        (Method::DELETE, own(""), 204),
    ] {
        let response = of_page(world.call(method.clone(), &path), &cookie).send();
        assert_eq!(response.status, wanted, "{method} {path}: {}", response.body);
    }
}

/// A key that has `admin` alone gives its session what the console needs.
#[test]
fn the_scopes_of_a_session_are_always_the_same() {
    let world = World::with(&[("API_KEYS", &format!("only:{}:admin", sha256_hex(API_KEY)))]);
    assert_eq!(world.get(PATH).key(API_KEY).send().status, 403);
    assert_eq!(list(&world, &sign_in(&world)).status, 200);
}

#[test]
fn a_session_ends_after_eight_hours() {
    let world = World::new();
    let cookie = sign_in(&world);
    world.fake.clock().advance(28_799);
    assert_eq!(list(&world, &cookie).status, 200);
    world.fake.clock().advance(1);
    assert_refused(&list(&world, &cookie), "expired");
}

#[test]
fn a_session_is_not_exchanged_for_another_one() {
    let world = World::new();
    let cookie = sign_in(&world);
    let response = of_page(world.post("/v1/session"), &cookie).send();
    assert_refused(&response, "a session in place of a key");
    assert!(!response.has("set-cookie"));
    let value = cookie.split_once('=').unwrap().1;
    assert_refused(&world.post("/v1/session").key(value).send(), "the value as a key");
    assert_refused(&world.get(PATH).key(value).send(), "the value as a key");
}

/// Each of these requests comes from a page of another site, or from a page that is no `fetch` of the console.
#[test]
fn a_request_of_another_site_has_no_session() {
    let world = World::new();
    let cookie = sign_in(&world);
    let routes = [
        (Method::GET, PATH.to_owned()),
        (Method::POST, "/v1/parked-events/redeliver".to_owned()),
        (Method::POST, "/v1/events/test".to_owned()),
        (Method::DELETE, format!("/v1/instances/{INSTANCE}")),
    ];
    let mut count = 0;
    for site in [
        None,
        Some("cross-site"),
        Some("same-site"),
        Some("none"),
        Some(""),
        Some("Same-Origin"),
        Some("same-origin "),
        Some("\"same-origin\""),
        Some("same-origin, same-origin"),
        Some("cross-site, same-origin"),
    ] {
        for (method, path) in &routes {
            let request = world.call(method.clone(), path).header("cookie", &cookie);
            // A form sends its own content type and the origin of its page.
            let request = request.header("content-type", "text/plain").header("origin", "https://evil.example");
            let request = match site {
                Some(site) => request.header("sec-fetch-site", site),
                None => request,
            };
            assert_refused(&request.send(), &format!("{site:?} {method} {path}"));
            count += 1;
        }
    }
    let repeated = world.get(PATH).header("cookie", &cookie);
    let repeated = repeated.header("sec-fetch-site", "same-origin").header("sec-fetch-site", "cross-site");
    assert_refused(&repeated.send(), "two headers");
    assert_eq!(count, 40);
    assert!(world.fake.kv().take_changes().is_empty());
}

#[test]
fn an_authorization_header_decides_alone() {
    let world = World::new();
    let cookie = sign_in(&world);
    for header in ["", "Bearer", "Bearer ", "Bearer unknown", "Basic dXNlcg=="] {
        let response = of_page(world.get(PATH), &cookie).header("authorization", header).send();
        assert_refused(&response, header);
    }
    let keys = format!("few:{}:token,full:{}:admin", sha256_hex("few"), sha256_hex(API_KEY));
    let world = World::with(&[("API_KEYS", &keys)]);
    let cookie = sign_in(&world);
    assert_eq!(of_page(world.get(PATH), &cookie).key("few").send().status, 403, "its scopes are not joined");
}

#[test]
fn a_session_ends_with_its_key() {
    let hash = sha256_hex(API_KEY);
    let world = World::new();
    let cookie = sign_in(&world);
    let other = sha256_hex("another-key");
    for (keys, attack) in [
        (format!("other:{other}:admin"), "removed"),
        (format!("full:{other}:admin"), "replaced"),
        (format!("renamed:{hash}:admin"), "renamed"),
        (format!("full:{hash}"), "without admin"),
        (format!("full:{hash}:token+instances+events+proxy"), "without admin"),
        (format!("full:{hash}:instances,other:{other}:admin"), "without admin, beside another"),
    ] {
        assert_refused(&list(&with_keys(&world, &keys), &cookie), attack);
    }
    for keys in [
        format!("full:{hash}:admin"),
        format!("other:{other}:admin,full:{hash}:token+admin"),
        format!("full:{other}:admin,full:{hash}:admin"),
    ] {
        assert_eq!(list(&with_keys(&world, &keys), &cookie).status, 200, "{keys}");
    }
}

#[test]
fn a_session_of_another_worker_is_refused() {
    let world = World::new();
    let cookie = sign_in(&world);
    let other = format!("k1:{}", SEALING_KEY.replace('B', "C"));
    let app = "22222222-2222-4333-8444-555555555555";
    assert_refused(&list(&world.isolate(&[("SEALING_KEYS", &other)]), &cookie), "another sealing key");
    assert_refused(&list(&world.isolate(&[("WIX_APP_ID", app)]), &cookie), "another app with the same keys");
    let rotated = format!("{},k0:{SEALING_KEY}", other.replace("k1", "k2"));
    assert_eq!(list(&world.isolate(&[("SEALING_KEYS", &rotated)]), &cookie).status, 200, "a rotation");
}

#[test]
fn the_cookies_of_flows_and_of_the_console_are_not_confused() {
    let world = World::new();
    let cookie = sign_in(&world);
    let value = cookie.split_once('=').unwrap().1;
    let (state, flow) = world.begin_install();
    let flow_value = flow.split_once('=').unwrap().1;
    for (value, attack) in [(state.as_str(), "the state of a flow"), (flow_value, "the cookie of a flow")] {
        assert_refused(&list(&world, &format!("{NAME}={value}")), attack);
    }
    let flow_name = flow.split_once('=').unwrap().0;
    for (state, cookie, attack) in [
        (value, cookie.clone(), "a session as a state"),
        (state.as_str(), format!("{flow_name}={value}"), "a session as the cookie of a flow"),
        (state.as_str(), cookie.clone(), "a session beside a state"),
    ] {
        let response = world.callback(state, &cookie, INSTANCE).send();
        assert_eq!(response.status, 403, "{attack}");
    }
    assert_eq!(world.callback(&state, &format!("{cookie}; {flow}"), INSTANCE).send().status, 302);
    assert_eq!(list(&world, &format!("{flow}; {cookie}")).status, 200);
}

#[test]
fn the_cookie_is_found_among_others_and_must_be_the_only_one_of_its_name() {
    let world = World::new();
    let cookie = sign_in(&world);
    let value = cookie.split_once('=').unwrap().1;
    let many = "c=1; other_cookie=2; ".repeat(50);
    for header in
        [format!("{many}{cookie}"), format!("{cookie};a=b"), format!("a; ;=; {cookie} ; x{NAME}=1; {NAME}x=1")]
    {
        assert_eq!(list(&world, &header).status, 200, "{header}");
    }
    for header in [
        format!("{cookie}; {cookie}"),
        format!("{NAME}=; {cookie}"),
        format!("{cookie}; {NAME}=x"),
        format!("{NAME}="),
        NAME.to_owned(),
        format!("{}={value}", NAME.to_lowercase()),
        format!("wix-edge-session={value}"),
        format!("x={NAME}={value}"),
        format!("\"{cookie}\""),
        format!("{NAME}=\"{value}\""),
        format!("{NAME} ={value}"),
        format!("{cookie}, {cookie}"),
        String::new(),
    ] {
        assert_refused(&list(&world, &header), &header);
    }
    let two = world.get(PATH).header("cookie", &cookie).header("cookie", &cookie);
    assert_refused(&two.header("sec-fetch-site", "same-origin").send(), "two headers");
}

#[test]
fn a_forged_value_is_refused() {
    let world = World::new();
    let cookie = sign_in(&world);
    for at in NAME.len() + 1..cookie.len() {
        let mut forged = cookie.clone().into_bytes();
        forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
        assert_refused(&list(&world, &String::from_utf8(forged).unwrap()), &format!("character {at}"));
    }
    for value in
        ["A".repeat(10_000), cookie.split_once('=').unwrap().1.repeat(2), format!("full.{}", sha256_hex(API_KEY))]
    {
        assert_refused(&list(&world, &format!("{NAME}={value}")), &value);
    }
}

#[test]
fn the_console_signs_out_with_any_cookie_or_none() {
    let world = World::new();
    let cookie = sign_in(&world);
    world.fake.clock().advance(10);
    for (cookie, client) in [(Some(cookie.as_str()), true), (Some("__Host-wix-edge-session=x"), false), (None, false)] {
        let request = world.call(Method::DELETE, "/v1/session").header("sec-fetch-site", "same-origin");
        let response = match cookie {
            Some(cookie) => request.header("cookie", cookie),
            None => request,
        }
        .send();
        assert_eq!((response.status, response.body.as_str()), (204, ""));
        let cleared = format!("{NAME}=; Max-Age=0; Path=/; Secure; HttpOnly; SameSite=Strict");
        assert_eq!(response.header("set-cookie"), cleared);
        assert_eq!(world.fake.last_log().get("client").is_some(), client);
    }
    world.fake.clock().advance(28_800);
    assert_eq!(of_page(world.call(Method::DELETE, "/v1/session"), &cookie).send().status, 204, "expired");
}

#[test]
fn plain_http_to_a_public_host_has_no_session() {
    let world = World::new();
    let cookie = sign_in(&world);
    let response = of_page(world.get_at("http://app.example", PATH), &cookie).send();
    assert_eq!(response.problem(), (403, "https_required".to_owned()));
    assert_eq!(of_page(world.get_at("http://localhost:8787", PATH), &cookie).send().status, 200);
}

/// A browser of the operator opens the pages of installations with the cookie, and they do not look at it.
#[test]
fn other_routes_ignore_the_cookie() {
    let world = World::new();
    let cookie = sign_in(&world);
    for path in ["/", "/readyz", "/install"] {
        let with = of_page(world.get(path), &cookie).send();
        assert_eq!(with.status, world.get(path).send().status, "{path}");
        assert!(world.fake.last_log().get("client").is_none());
    }
}
