//! The app API: who may call, and what instances look like in it.

use http::Method;
use serde_json::{Value, json};

use crate::testing::clock::START;
use crate::testing::jws;
use crate::testing::kv::Op;
use crate::testing::world::{API_KEY, APP_ID, INSTANCE, TestRequest, TestResponse, World, sha256_hex};

const SCOPES: [&str; 5] = ["token", "instances", "events", "proxy", "admin"];

/// A call that succeeds, and the scope that opens it.
struct Call {
    path: String,
    method: Method,
    scope: &'static str,
    body: &'static str,
}

impl Call {
    fn to<'a>(&self, world: &'a World) -> TestRequest<'a> {
        world.call(self.method.clone(), &self.path).body(self.body)
    }
}

fn routes() -> Vec<Call> {
    let own = |path: &str| format!("/v1/instances/{INSTANCE}{path}");
    let call = |path: String, method, scope, body| Call { path, method, scope, body };
    vec![
        call(own("/token"), Method::POST, "token", ""),
        call("/v1/instances".to_owned(), Method::GET, "instances", ""),
        call(own(""), Method::GET, "instances", ""),
        call(own("/finish-configuration"), Method::POST, "events", ""),
        call(own("/bi-events"), Method::POST, "events", r#"{"event_name":"APP_DEPLOYED"}"#),
        call(own("/wix/stores/v1/products"), Method::GET, "proxy", ""),
        call("/v1/identity".to_owned(), Method::POST, "instances", r#"{"access_token":"planted-token"}"#),
    ]
}

fn list(world: &World, query: &str) -> TestResponse {
    world.get(&format!("/v1/instances{query}")).key(API_KEY).send()
}

fn ids(response: &TestResponse) -> Vec<String> {
    assert_eq!(response.status, 200, "{}", response.body);
    let instances = response.json()["instances"].as_array().unwrap().clone();
    instances.iter().map(|instance| instance["instance_id"].as_str().unwrap().to_owned()).collect()
}

fn id(number: usize) -> String {
    format!("aaaaaaaa-bbbb-4ccc-8ddd-{number:012}")
}

/// Instances 1 to `count`, every third removed.
fn populated(count: usize) -> World {
    let world = World::new();
    for number in 1..=count {
        world.webhook(jws::installed(&id(number), START - 100));
        if number.is_multiple_of(3) {
            world.webhook(jws::removed(&id(number), START - 50));
        }
    }
    world
}

#[test]
fn every_route_opens_for_its_scope_and_no_other() {
    let keys: Vec<String> = SCOPES.iter().map(|scope| format!("{scope}:{}:{scope}", sha256_hex(scope))).collect();
    let world = World::with(&[("API_KEYS", &keys.join(","))]);
    world.webhook(jws::installed(INSTANCE, START));
    for call in routes() {
        let (path, wanted) = (&call.path, call.scope);
        for scope in SCOPES {
            let response = call.to(&world).key(scope).send();
            if scope == wanted {
                assert_eq!(response.status, 200, "{path} with {scope}: {}", response.body);
                assert_eq!(world.fake.last_log()["client"], scope);
            } else {
                assert_eq!(response.problem(), (403, "forbidden".to_owned()), "{path} with {scope}");
                let detail = response.json()["detail"].as_str().unwrap().to_owned();
                assert!(detail.contains(&format!("`{wanted}`")), "{detail}");
            }
        }
    }
}

#[test]
fn a_key_without_scopes_opens_all_of_these() {
    let keys = format!("all:{}", sha256_hex("k"));
    let world = World::with(&[("API_KEYS", &keys)]);
    world.webhook(jws::installed(INSTANCE, START));
    for call in routes() {
        assert_eq!(call.to(&world).key("k").send().status, 200, "{}", call.path);
    }
}

#[test]
fn without_a_known_key_nothing_opens() {
    let world = World::new();
    world.webhook(jws::installed(INSTANCE, START));
    let hash = sha256_hex(API_KEY);
    for call in routes() {
        let path = &call.path;
        for header in [
            None,
            Some(String::new()),
            Some("Bearer".to_owned()),
            Some("Bearer ".to_owned()),
            Some(API_KEY.to_owned()),
            Some(format!("Basic {API_KEY}")),
            Some(format!("Bearer {API_KEY}x")),
            Some(format!("Bearer {}", &API_KEY[1..])),
            Some(format!("Bearer {}", API_KEY.to_uppercase())),
            Some(format!("Bearer {hash}")),
            Some(format!("Bearer {API_KEY}, Bearer {API_KEY}")),
            Some(format!("Bearer full:{API_KEY}")),
        ] {
            let ask = call.to(&world);
            let ask = match &header {
                Some(header) => ask.header("authorization", header),
                None => ask,
            };
            let response = ask.send();
            assert_eq!(response.problem(), (401, "unauthorized".to_owned()), "{path} {header:?}");
            assert_eq!(response.header("www-authenticate"), "Bearer");
        }
        let in_query = world.call(call.method, &format!("{path}?key={API_KEY}&authorization={API_KEY}"));
        assert_eq!(in_query.send().status, 401);
    }
    assert!(world.fake.wix().sent().is_empty());
}

#[test]
fn the_scheme_may_be_spelt_in_any_case() {
    let world = World::new();
    for header in [format!("bearer {API_KEY}"), format!("BEARER  {API_KEY}")] {
        assert_eq!(world.get("/v1/instances").header("authorization", &header).send().status, 200, "{header}");
    }
}

#[test]
fn any_of_several_keys_opens() {
    let keys = format!("old:{}:token,new:{}:instances", sha256_hex("old"), sha256_hex("new"));
    let world = World::with(&[("API_KEYS", &keys)]);
    assert_eq!(world.get("/v1/instances").key("new").send().status, 200);
    assert_eq!(world.get("/v1/instances").key("old").send().status, 403);
}

#[test]
fn who_has_no_key_does_not_learn_what_exists() {
    let world = World::new();
    for path in ["/v1/instances/not-a-guid", &format!("/v1/instances/{}", id(1)), "/v1/instances?limit=0"] {
        assert_eq!(world.get(path).send().status, 401, "{path}");
    }
}

#[test]
fn an_empty_list_is_a_list() {
    assert_eq!(list(&World::new(), "").json(), json!({"instances": []}));
}

#[test]
fn a_list_shows_what_the_instances_show() {
    let world = World::new();
    world.connect();
    assert_eq!(list(&world, "").json(), json!({"instances": [world.instance(INSTANCE)]}));
}

#[test]
fn a_list_comes_in_pages_until_there_is_no_next_cursor() {
    let world = populated(7);
    let mut seen = Vec::new();
    let mut query = "?limit=3".to_owned();
    for rest in [4, 1, 0] {
        let page = list(&world, &query);
        seen.extend(ids(&page));
        let cursor = page.json().get("next_cursor").map(|cursor| cursor.as_str().unwrap().to_owned());
        assert_eq!(cursor.is_none(), rest == 0);
        query = format!("?limit=3&cursor={}", cursor.unwrap_or_default());
    }
    assert_eq!(seen, (1..=7).map(id).collect::<Vec<_>>());
    assert_eq!(list(&world, "?limit=7").json().get("next_cursor"), None, "a full last page has none either");
}

#[test]
fn a_list_can_be_of_one_status() {
    let world = populated(7);
    world.webhook(jws::event("Whatever", &id(9), &json!({}), START));
    assert_eq!(ids(&list(&world, "?status=removed")), [id(3), id(6)]);
    assert_eq!(ids(&list(&world, "?status=pending")), [id(9)]);
    assert_eq!(ids(&list(&world, "?status=installed")), [1, 2, 4, 5, 7].map(id));
    assert_eq!(ids(&list(&world, "?status=needs_reconnect")), Vec::<String>::new());
    let page = list(&world, "?status=removed&limit=2");
    assert_eq!(ids(&page), Vec::<String>::new(), "a page may be empty");
    assert!(page.json().get("next_cursor").is_some(), "and there is more");
}

#[test]
fn a_list_of_a_hundred_is_what_nobody_asked_otherwise() {
    let world = World::new();
    let row = json!({"instance_id": INSTANCE, "status": "installed", "auth": "oauth"}).to_string();
    for number in 1..=1001 {
        let row = row.replace(INSTANCE, &id(number));
        world.fake.kv().insert_directly(&format!("v1:instance:{}", id(number)), &row, Some(&row));
    }
    assert_eq!(ids(&list(&world, "")).len(), 100);
    assert_eq!(ids(&list(&world, "?limit=1000")).len(), 1000);
    assert_eq!(ids(&list(&world, "?limit=1")).len(), 1);
}

#[test]
fn a_query_that_makes_no_sense_is_refused() {
    let world = World::new();
    let long = "c".repeat(1025);
    for query in [
        "limit=0",
        "limit=1001",
        "limit=-1",
        "limit=70000",
        "limit=ten",
        "limit=",
        "limit=1.5",
        "limit=1&limit=2",
        "status=gone",
        "status=Installed",
        "status=",
        "cursor=",
        "cursor=a%20b",
        "cursor=a%0a",
        &format!("cursor={long}"),
    ] {
        assert_eq!(list(&world, &format!("?{query}")).problem(), (400, "bad_request".to_owned()), "{query}");
    }
    assert_eq!(list(&world, "?unheard_of=1").status, 200);
}

#[test]
fn an_instance_that_is_not_known_is_a_404_and_a_bad_id_a_400() {
    let world = World::new();
    let get = |id: &str| world.get(&format!("/v1/instances/{id}")).key(API_KEY).send().problem();
    assert_eq!(get(INSTANCE), (404, "unknown_instance".to_owned()));
    for bad in ["x", "", "00000000-0000-0000-0000-000000000000", "%61aaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"] {
        assert_eq!(get(bad), (400, "bad_request".to_owned()), "{bad}");
    }
}

#[test]
fn a_removed_instance_is_still_shown() {
    let world = populated(3);
    assert_eq!(world.instance(&id(3))["status"], "removed");
}

#[test]
fn nothing_that_is_shown_of_an_instance_is_secret() {
    let world = World::new();
    world.connect();
    world.token(INSTANCE);
    for text in [world.instance(INSTANCE).to_string(), list(&world, "").body] {
        assert!(!text.contains("planted") && !text.contains("s1.") && !text.contains(APP_ID), "{text}");
    }
}

#[test]
fn a_store_that_fails_is_a_503() {
    let world = populated(1);
    world.fake.kv().fail_where(|op, _| matches!(op, Op::Get | Op::List));
    assert_eq!(list(&world, "").problem(), (503, "store_failed".to_owned()));
    let one = world.get(&format!("/v1/instances/{}", id(1))).key(API_KEY).send();
    assert_eq!(one.problem(), (503, "store_failed".to_owned()));
    world.fake.kv().clear_faults();
    world.fake.kv().delay_where(|_, _| 5_000);
    let slow = list(&world, "");
    assert_eq!((slow.status, slow.took), (503, 1000));
}

#[test]
fn a_row_that_cannot_be_read_is_folded_anew_or_left_out_and_told_in_the_log() {
    let world = World::new();
    let key = format!("v1:instance:{INSTANCE}");
    for planted in ["", "planted", r#"{"instance_id":"planted"}"#, "[]", r#"{"status":"planted"}"#] {
        world.fake.kv().insert_directly(&key, planted, Some(planted));
        let response = list(&world, "");
        assert_eq!((response.status, response.json()["instances"].clone()), (200, json!([])), "{planted}");
        let log = world.fake.last_log();
        assert_eq!((&log["level"], &log["error"]), (&json!("error"), &json!("row_unreadable")), "{planted}");
        assert!(!log.to_string().contains("planted"));
        assert_eq!(world.token(INSTANCE).problem(), (404, "unknown_instance".to_owned()), "{planted}");
    }
    // With facts beside it, it is made anew.
    world.webhook(jws::installed(INSTANCE, START));
    world.fake.kv().insert_directly(&key, "planted", Some("planted"));
    assert_eq!(list(&world, "").json()["instances"][0]["status"], "installed");
    assert_eq!(world.instance(INSTANCE)["status"], "installed");
    assert_eq!(world.isolate(&[]).token(INSTANCE).status, 200);
    world.webhook(jws::removed(INSTANCE, START + 1));
    let row = world.fake.kv().entries()[&key].clone();
    assert!(row.value.contains("removed") && row.metadata.is_some_and(|text| text.contains("removed")));
}

#[test]
fn every_answer_is_json() {
    let world = World::new();
    world.webhook(jws::installed(INSTANCE, START));
    for call in routes() {
        let response = call.to(&world).key(API_KEY).send();
        assert_eq!(response.header("content-type"), "application/json");
        assert!(matches!(response.json(), Value::Object(_)));
    }
}

#[test]
fn what_is_no_key_opens_nothing() {
    let world = World::with(&[("API_KEYS", &format!("a:{}:token+instances", sha256_hex(" a key ")))]);
    for header in [
        "Bearer",
        "Bearer ",
        "Bearer  ",
        "Bearer \u{a0}",
        "Bearer \u{feff}",
        "Bearer  a key ",
        "Bearer a key",
        "Bearer \t",
    ] {
        let response = world.get("/v1/instances").header("authorization", header).send();
        assert_eq!(response.status, 401, "{header:?}");
    }
    // Not even where its hash is among the entries: a key is printable ASCII and nothing is cut off it.
    for key in ["a key", "a-k\u{e9}y", "key\u{a0}", "\u{feff}key"] {
        let world = World::with(&[("API_KEYS", &format!("a:{}", sha256_hex(key)))]);
        let response = world.get("/v1/instances").header("authorization", &format!("Bearer {key}")).send();
        assert_eq!(response.status, 401, "{key:?}");
    }
    // Between scheme and key there may be several spaces.
    let world = World::new();
    let response = world.get("/v1/instances").header("authorization", &format!("Bearer   {API_KEY}")).send();
    assert_eq!(response.status, 200);
}
