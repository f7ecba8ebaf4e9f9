//! Who may use the app API: known keys, each for what its scopes say (contract 2 and 3).

use serde_json::json;

use crate::harness::{API_KEY, Worker, api_key, guid, shared};

#[test]
fn without_a_good_key_nothing_is_told() {
    let stage = shared();
    let id = stage.wix.installed();
    for path in [format!("/v1/instances/{id}/token"), format!("/v1/instances/{}/token", guid())] {
        let ask = || stage.worker.ask("POST", &path);
        let mut bodies = Vec::new();
        for ask in [
            ask(),
            ask().key("wrong"),
            ask().key(""),
            ask().header("authorization", API_KEY),
            ask().header("authorization", format!("Basic {API_KEY}")),
            ask().key(&API_KEY.to_uppercase()),
            ask().key(&API_KEY[..API_KEY.len() - 1]),
        ] {
            let answer = ask.send().expect(401);
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"), "{answer:?}");
            let mut body = answer.json();
            body["request_id"] = json!("any");
            bodies.push(body);
        }
        assert!(bodies.iter().all(|body| *body == bodies[0]), "{bodies:#?}");
        assert!(!bodies[0].to_string().contains(&id), "{:?}", bodies[0]);
    }
    assert_eq!(stage.wix.called(&id), Vec::<String>::new());
}

#[test]
fn a_key_opens_what_its_scopes_say_and_no_more() {
    let stage = shared();
    let names = ["token", "instances", "events", "proxy", "admin"];
    let keys: Vec<String> =
        names.iter().map(|scope| format!("{}:{scope}", api_key(scope, &format!("key-{scope}")))).collect();
    let worker = Worker::start(&stage.values.clone().with("API_KEYS", keys.join(", ")));
    let id = guid();
    for (method, path, needed) in [
        ("POST", format!("/v1/instances/{id}/token"), "token"),
        ("GET", "/v1/instances".to_owned(), "instances"),
        ("GET", format!("/v1/instances/{id}"), "instances"),
        ("POST", format!("/v1/instances/{id}/finish-configuration"), "events"),
        ("POST", format!("/v1/instances/{id}/bi-events"), "events"),
        ("POST", "/v1/identity".to_owned(), "instances"),
        ("GET", format!("/v1/instances/{id}/wix/a"), "proxy"),
    ] {
        for scope in names {
            let answer = worker.ask(method, &path).key(&format!("key-{scope}")).send();
            if scope == needed {
                assert!(matches!(answer.status, 200 | 400 | 404), "{answer:?}");
            } else {
                assert_eq!(answer.status, 403, "{answer:?}");
                assert!(answer.json()["detail"].as_str().is_some_and(|detail| detail.contains(needed)), "{answer:?}");
            }
        }
        worker.ask(method, &path).key(API_KEY).send().expect(401);
    }
}

/// So that a key can be changed without a failed request: the new one beside the old one, until nobody uses that any more.
#[test]
fn a_client_may_have_two_keys_at_a_time() {
    let stage = shared();
    let keys = [api_key("client-of-two", "old-key"), api_key("client-of-two", "new-key"), api_key("back-end", API_KEY)];
    let worker = Worker::start(&stage.values.clone().with("API_KEYS", keys.join(",")));
    for key in ["old-key", "new-key"] {
        let answer = worker.ask("GET", "/v1/instances").key(key).send().expect(200);
        let entry = worker.log.of_request(answer.request_id());
        assert_eq!(entry["client"], "client-of-two", "{entry}");
    }
    worker.ask("GET", "/v1/instances").key("older-key").send().expect(401);

    let worker = worker.restart(&stage.values.clone().with("API_KEYS", keys[1..].join(",")));
    worker.ask("GET", "/v1/instances").key("new-key").send().expect(200);
    worker.ask("GET", "/v1/instances").key("old-key").send().expect(401);
}
