//! The app API: access by keys and scopes, and the form of instances.

use http::Method;
use serde_json::{Value, json};

use crate::testing::clock::START;
use crate::testing::jws;
use crate::testing::kv::Op;
use crate::testing::world::{API_KEY, APP_ID, INSTANCE, TestRequest, TestResponse, VICTIM, World, sha256_hex};

const SCOPES: [&str; 5] = ["token", "instances", "events", "proxy", "admin"];

/// A request that succeeds, and the scope that it needs.
struct Call {
    path: String,
    method: Method,
    scope: &'static str,
    body: &'static str,
}

impl Call {
    fn request<'a>(&self, world: &'a World) -> TestRequest<'a> {
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
        call("/v1/reconciliation".to_owned(), Method::GET, "instances", ""),
    ]
}

/// Further ones, where events are delivered.
fn routes_with_objects() -> Vec<Call> {
    let own = |path: &str| format!("/v1/instances/{INSTANCE}{path}");
    let call = |path: String, method, scope, body| Call { path, method, scope, body };
    vec![
        call(own("/events"), Method::GET, "events", ""),
        call("/v1/parked-events".to_owned(), Method::GET, "events", ""),
        call("/v1/parked-events/redeliver".to_owned(), Method::POST, "events", ""),
        call("/v1/events/test".to_owned(), Method::POST, "events", ""),
        call("/v1/statistics".to_owned(), Method::GET, "instances", ""),
        call("/v1/session".to_owned(), Method::POST, "admin", ""),
        call("/v1/export".to_owned(), Method::GET, "admin", ""),
        call("/v1/import".to_owned(), Method::POST, "admin", ""),
        call(own(""), Method::DELETE, "admin", ""),
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

/// An isolate with the instances 1 to `count`, every third of them removed.
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
fn each_route_needs_its_scope() {
    let keys: Vec<String> = SCOPES.iter().map(|scope| format!("{scope}:{}:{scope}", sha256_hex(scope))).collect();
    let world = World::delivering_with(&[("API_KEYS", &keys.join(","))]);
    world.webhook(jws::installed(INSTANCE, START));
    for call in routes().into_iter().chain(routes_with_objects()) {
        let (path, wanted) = (&call.path, call.scope);
        for scope in SCOPES {
            let response = call.request(&world).key(scope).without_deferred_task().send();
            if scope == wanted {
                assert!(matches!(response.status, 200 | 202 | 204), "{path} with {scope}: {}", response.body);
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
fn a_key_without_scopes_may_call_every_route() {
    let keys = format!("all:{}", sha256_hex("k"));
    let world = World::with(&[("API_KEYS", &keys)]);
    world.webhook(jws::installed(INSTANCE, START));
    for call in routes() {
        assert_eq!(call.request(&world).key("k").send().status, 200, "{}", call.path);
    }
}

#[test]
fn without_a_known_key_every_route_is_a_401() {
    let world = World::new();
    world.webhook(jws::installed(INSTANCE, START));
    let hash = sha256_hex(API_KEY);
    for call in routes().into_iter().chain(routes_with_objects()) {
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
            let request = call.request(&world);
            let request = match &header {
                Some(header) => request.header("authorization", header),
                None => request,
            };
            let response = request.send();
            assert_eq!(response.problem(), (401, "unauthorized".to_owned()), "{path} {header:?}");
            assert_eq!(response.header("www-authenticate"), "Bearer");
        }
        let in_query = world.call(call.method, &format!("{path}?key={API_KEY}&authorization={API_KEY}"));
        assert_eq!(in_query.send().status, 401);
    }
    assert!(world.fake.wix().sent().is_empty());
}

#[test]
fn the_scheme_of_authorization_is_case_insensitive() {
    let world = World::new();
    for header in [format!("bearer {API_KEY}"), format!("BEARER  {API_KEY}")] {
        assert_eq!(world.get("/v1/instances").header("authorization", &header).send().status, 200, "{header}");
    }
}

#[test]
fn each_of_several_keys_has_its_own_scopes() {
    let keys = format!("old:{}:token,new:{}:instances", sha256_hex("old"), sha256_hex("new"));
    let world = World::with(&[("API_KEYS", &keys)]);
    assert_eq!(world.get("/v1/instances").key("new").send().status, 200);
    assert_eq!(world.get("/v1/instances").key("old").send().status, 403);
}

#[test]
fn without_a_key_a_client_cannot_tell_which_instances_exist() {
    let world = World::new();
    for path in ["/v1/instances/not-a-guid", &format!("/v1/instances/{}", id(1)), "/v1/instances?limit=0"] {
        assert_eq!(world.get(path).send().status, 401, "{path}");
    }
}

#[test]
fn a_list_of_no_instances_is_an_empty_array() {
    assert_eq!(list(&World::new(), "").json(), json!({"instances": []}));
}

#[test]
fn a_list_shows_the_same_fields_as_an_instance() {
    let world = World::new();
    world.connect();
    assert_eq!(list(&world, "").json(), json!({"instances": [world.instance(INSTANCE)]}));
}

#[test]
fn a_list_has_pages_and_the_last_has_no_next_cursor() {
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
    assert_eq!(list(&world, "?limit=7").json().get("next_cursor"), None, "a full last page has no cursor either");
}

#[test]
fn a_list_can_be_filtered_by_status() {
    let world = populated(7);
    world.webhook(jws::event("AnyEvent", &id(9), &json!({}), START));
    assert_eq!(ids(&list(&world, "?status=removed")), [id(3), id(6)]);
    assert_eq!(ids(&list(&world, "?status=pending")), [id(9)]);
    assert_eq!(ids(&list(&world, "?status=installed")), [1, 2, 4, 5, 7].map(id));
    assert_eq!(ids(&list(&world, "?status=needs_reconnect")), Vec::<String>::new());
    let page = list(&world, "?status=removed&limit=2");
    assert_eq!((ids(&page), page.json().get("next_cursor")), (vec![id(3), id(6)], None));
}

/// The pages of a listing with a filter, and how many listings of KV each costs.
fn filtered(world: &World, query: &str) -> Vec<(Vec<String>, usize)> {
    let (mut pages, mut cursor) = (Vec::new(), String::new());
    loop {
        world.fake.kv().take_counts();
        let page = list(world, &format!("?{query}{cursor}"));
        let [reads, writes, deletes, listings] = world.fake.kv().take_counts();
        assert_eq!([reads, writes, deletes], [0; 3]);
        pages.push((ids(&page), listings));
        let Some(next) = page.json()["next_cursor"].as_str().map(str::to_owned) else { return pages };
        cursor = format!("&cursor={}", next.replace(':', "%3A"));
        assert!(pages.len() <= 100, "the list must end");
    }
}

#[test]
fn a_rare_status_is_found_without_empty_pages() {
    let world = World::new();
    // Of 10,000 installations, those that a hundred divides were removed.
    world.webhook(jws::installed(&id(1), START - 100));
    world.webhook(jws::installed(&id(2), START - 100));
    world.webhook(jws::removed(&id(2), START - 50));
    let row = |number| world.fake.kv().entries()[&format!("v1:instance:{}", id(number))].clone();
    let (installed, removed) = (row(1), row(2));
    for number in 1..=10_000 {
        let (like, entry) = if number % 100 == 0 { (2, &removed) } else { (1, &installed) };
        let own = |text: &str| text.replace(&id(like), &id(number));
        let metadata = entry.metadata.as_deref().map(own);
        let key = format!("v1:instance:{}", id(number));
        world.fake.kv().insert_directly(&key, &own(&entry.value), metadata.as_deref());
    }
    let all: Vec<String> = (1..=100).map(|number| id(number * 100)).collect();
    assert_eq!(filtered(&world, "status=removed"), [(all.clone(), 10)]);
    assert_eq!(filtered(&world, "status=needs_reconnect"), [(vec![], 10)]);
    let fifth = filtered(&world, "status=removed&search=aaaaaaaa-bbbb-4ccc-8ddd-000000005");
    assert_eq!(fifth, [(all[49..59].to_vec(), 1)]);
    for limit in [3, 10, 11, 99, 100, 101, 1000] {
        let pages = filtered(&world, &format!("status=removed&limit={limit}"));
        assert!(pages.iter().all(|(page, _)| page.len() <= limit));
        assert_eq!(pages.iter().flat_map(|(page, _)| page.clone()).collect::<Vec<_>>(), all, "limit {limit}");
        assert!(pages.iter().all(|(page, _)| !page.is_empty()), "limit {limit}: {pages:?}");
        let listings: usize = pages.iter().map(|(_, listings)| listings).sum();
        assert!(listings <= pages.len() + 10, "limit {limit}: {listings} listings for {} pages", pages.len());
    }
    // Most installations have the usual status: a page costs one listing.
    let page = list(&world, "?status=installed&limit=5");
    assert_eq!(ids(&page), [1, 2, 3, 4, 5].map(id));
    let next = page.json()["next_cursor"].as_str().unwrap().to_owned();
    let page = list(&world, &format!("?status=installed&limit=5&cursor={next}"));
    assert_eq!(ids(&page), [6, 7, 8, 9, 10].map(id));
}

#[test]
fn a_list_can_be_searched_by_the_beginning_of_the_id() {
    let world = populated(25);
    world.webhook(jws::installed(VICTIM, START));
    world.fake.kv().take_counts();
    for (search, wanted) in [
        ("aaaaaaaa-bbbb-4ccc-8ddd-00000000000", (1..=9).collect::<Vec<_>>()),
        ("AAAAAAAA-BBBB-4CCC-8DDD-00000000002", (20..=25).collect()),
        (&id(7), vec![7]),
        ("aaaaaaaa-bbbb-4ccc-8ddd-1", vec![]),
        ("-", vec![]),
    ] {
        let page = list(&world, &format!("?search={search}"));
        assert_eq!(ids(&page), wanted.into_iter().map(id).collect::<Vec<_>>(), "{search}");
        assert_eq!(page.json().get("next_cursor"), None);
        assert_eq!(world.fake.kv().take_counts(), [0, 0, 0, 1], "{search}");
    }
    assert_eq!(ids(&list(&world, "?search=b")), [VICTIM]);
    assert_eq!(ids(&list(&world, "?search=&limit=1000")).len(), 26);
    // With a status and page by page.
    let query = "?search=aaaaaaaa-bbbb-4ccc-8ddd-00000000001&status=removed&limit=2";
    let first = list(&world, query);
    assert_eq!(ids(&first), [12, 15].map(id));
    let cursor = first.json()["next_cursor"].as_str().unwrap().to_owned();
    let next = list(&world, &format!("{query}&cursor={cursor}"));
    assert_eq!(ids(&next), [id(18)]);
    assert_eq!(next.json().get("next_cursor"), None);
}

#[test]
fn an_invalid_search_is_a_400() {
    let world = populated(1);
    for search in ["g", "*", "%20", "aaaa%20", "a:", "a%2F", "%00", "%C3%A4", "a&search=a", "a".repeat(37).as_str()] {
        let response = list(&world, &format!("?search={search}"));
        assert_eq!(response.problem(), (400, "bad_request".to_owned()), "{search}");
    }
    assert_eq!(list(&world, &format!("?search={}", "a".repeat(36))).status, 200);
}

#[test]
fn a_page_has_100_instances_by_default() {
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
fn an_invalid_query_is_a_400() {
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
fn an_unknown_instance_is_a_404_and_an_invalid_id_a_400() {
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
fn an_instance_in_the_api_shows_no_secret() {
    let world = World::new();
    world.connect();
    world.token(INSTANCE);
    for text in [world.instance(INSTANCE).to_string(), list(&world, "").body] {
        assert!(!text.contains("planted") && !text.contains("s1.") && !text.contains(APP_ID), "{text}");
    }
}

#[test]
fn a_failure_of_kv_is_a_503() {
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
fn an_unreadable_row_is_folded_again_or_left_out_and_logged() {
    let world = World::new();
    let key = format!("v1:instance:{INSTANCE}");
    for unreadable in ["", "planted", r#"{"instance_id":"planted"}"#, "[]", r#"{"status":"planted"}"#] {
        world.fake.kv().insert_directly(&key, unreadable, Some(unreadable));
        let response = list(&world, "");
        assert_eq!((response.status, response.json()["instances"].clone()), (200, json!([])), "{unreadable}");
        let log = world.fake.last_log();
        assert_eq!((&log["level"], &log["error"]), (&json!("error"), &json!("row_unreadable")), "{unreadable}");
        assert!(!log.to_string().contains("planted"));
        assert_eq!(world.token(INSTANCE).problem(), (404, "unknown_instance".to_owned()), "{unreadable}");
    }
    // Where the instance has facts, the row is folded from them again.
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
fn every_response_of_the_api_is_json() {
    let world = World::new();
    world.webhook(jws::installed(INSTANCE, START));
    for call in routes() {
        let response = call.request(&world).key(API_KEY).send();
        assert_eq!(response.header("content-type"), "application/json");
        assert!(matches!(response.json(), Value::Object(_)));
    }
}

#[test]
fn a_malformed_key_is_a_401() {
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
    // Even if its hash is in an entry: a key must be printable ASCII, and no character of it is trimmed.
    for key in ["a key", "a-k\u{e9}y", "key\u{a0}", "\u{feff}key"] {
        let world = World::with(&[("API_KEYS", &format!("a:{}", sha256_hex(key)))]);
        let response = world.get("/v1/instances").header("authorization", &format!("Bearer {key}")).send();
        assert_eq!(response.status, 401, "{key:?}");
    }
    // Several spaces between the scheme and the key are accepted.
    let world = World::new();
    let response = world.get("/v1/instances").header("authorization", &format!("Bearer   {API_KEY}")).send();
    assert_eq!(response.status, 200);
}
