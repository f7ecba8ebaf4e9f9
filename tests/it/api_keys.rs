//! API keys of the app API, and their scopes.

use serde_json::json;

use crate::harness::{API_KEY, Worker, api_key, guid, shared};

#[test]
fn without_a_valid_key_every_response_is_the_same_401() {
    let stage = shared();
    let id = stage.wix.new_instance();
    for path in [format!("/v1/instances/{id}/token"), format!("/v1/instances/{}/token", guid())] {
        let request = || stage.worker.request("POST", &path);
        let mut bodies = Vec::new();
        for request in [
            request(),
            request().key("wrong"),
            request().key(""),
            request().header("authorization", API_KEY),
            request().header("authorization", format!("Basic {API_KEY}")),
            request().key(&API_KEY.to_uppercase()),
            request().key(&API_KEY[..API_KEY.len() - 1]),
        ] {
            let response = request.send().expect(401);
            assert_eq!(response.header("www-authenticate"), Some("Bearer"), "{response:?}");
            let mut body = response.json();
            body["request_id"] = json!("any");
            bodies.push(body);
        }
        assert!(bodies.iter().all(|body| *body == bodies[0]), "{bodies:#?}");
        assert!(!bodies[0].to_string().contains(&id), "{:?}", bodies[0]);
    }
    assert_eq!(stage.wix.called_endpoints(&id), Vec::<String>::new());
}

#[test]
fn a_key_is_accepted_only_for_the_routes_of_its_scope() {
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
            let response = worker.request(method, &path).key(&format!("key-{scope}")).send();
            if scope == needed {
                assert!(matches!(response.status, 200 | 400 | 404), "{response:?}");
            } else {
                assert_eq!(response.status, 403, "{response:?}");
                assert!(
                    response.json()["detail"].as_str().is_some_and(|detail| detail.contains(needed)),
                    "{response:?}"
                );
            }
        }
        worker.request(method, &path).key(API_KEY).send().expect(401);
    }
}

/// An operator rotates a key without a failed request: both keys are valid until no client uses the old one.
#[test]
fn a_client_can_have_two_keys_at_a_time() {
    let stage = shared();
    let keys = [api_key("client-of-two", "old-key"), api_key("client-of-two", "new-key"), api_key("back-end", API_KEY)];
    let worker = Worker::start(&stage.values.clone().with("API_KEYS", keys.join(",")));
    for key in ["old-key", "new-key"] {
        let response = worker.request("GET", "/v1/instances").key(key).send().expect(200);
        let entry = worker.log.of_request(response.request_id());
        assert_eq!(entry["client"], "client-of-two", "{entry}");
    }
    worker.request("GET", "/v1/instances").key("older-key").send().expect(401);

    let worker = worker.restart(&stage.values.clone().with("API_KEYS", keys[1..].join(",")));
    worker.request("GET", "/v1/instances").key("new-key").send().expect(200);
    worker.request("GET", "/v1/instances").key("old-key").send().expect(401);
}
