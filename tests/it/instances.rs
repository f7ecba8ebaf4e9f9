//! `GET /v1/instances` and `GET /v1/instances/{id}`.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::harness::{API_KEY, Message, Stage, guid, now, shared};
use crate::webhook::deliver;

fn list(stage: &Stage, query: &str) -> (Vec<Value>, Option<String>) {
    let response = stage.api("GET", &format!("/v1/instances{query}")).expect(200);
    let body = response.json();
    let instances = body["instances"].as_array().unwrap_or_else(|| panic!("must be a list: {response:?}")).clone();
    (instances, body.get("next_cursor").map(|cursor| cursor.as_str().expect("a string").to_owned()))
}

/// The instances of all pages.
fn all(stage: &Stage, query: &str, limit: usize) -> Vec<Value> {
    let mut found = Vec::new();
    let mut cursor = String::new();
    for _ in 0..100 {
        let (page, next) = list(stage, &format!("?limit={limit}{query}{cursor}"));
        assert!(page.len() <= limit, "{} on a page of {limit}", page.len());
        found.extend(page);
        let Some(next) = next else { return found };
        let next: String = url::form_urlencoded::byte_serialize(next.as_bytes()).collect();
        cursor = format!("&cursor={next}");
    }
    panic!("the list must end after at most 100 pages");
}

fn ids(instances: &[Value]) -> BTreeSet<String> {
    instances.iter().filter_map(|instance| instance["instance_id"].as_str().map(str::to_owned)).collect()
}

/// Uses its own stage, since it counts all instances: five installed, two removed, one pending.
#[test]
fn the_pages_list_each_instance_once_and_status_filters_them() {
    let stage = Stage::with(|values| values);
    assert_eq!(list(&stage, ""), (Vec::new(), None));

    let (mut installed, mut removed) = (BTreeSet::new(), BTreeSet::new());
    for number in 0..7 {
        let id = guid();
        deliver(&stage, Message::installed(&stage, &id).at(now() - 50).sign()).expect(200);
        if number < 2 {
            deliver(&stage, Message::removed(&stage, &id).sign()).expect(200);
            removed.insert(id);
        } else {
            installed.insert(id);
        }
    }
    let pending = guid();
    deliver(&stage, Message::new("Unknown", &pending, &json!({})).sign()).expect(200);
    let everything: BTreeSet<String> = installed.iter().chain(&removed).cloned().chain([pending.clone()]).collect();

    for limit in [1, 2, 3, 7, 8, 9, 1000] {
        let found = all(&stage, "", limit);
        assert_eq!(found.len(), 8, "limit {limit}");
        assert_eq!(ids(&found), everything, "limit {limit}");
    }
    for limit in [1, 3, 100] {
        assert_eq!(ids(&all(&stage, "&status=installed", limit)), installed, "limit {limit}");
        assert_eq!(ids(&all(&stage, "&status=removed", limit)), removed, "limit {limit}");
        assert_eq!(ids(&all(&stage, "&status=pending", limit)), BTreeSet::from([pending.clone()]), "limit {limit}");
        assert_eq!(all(&stage, "&status=needs_reconnect", limit), Vec::<Value>::new(), "limit {limit}");
    }
    let (page, next) = list(&stage, "?limit=8");
    assert_eq!((page.len(), next), (8, None), "a full last page has no cursor");
    assert!(list(&stage, "?limit=7").1.is_some());

    // The list and the single instance must agree.
    for instance in all(&stage, "", 5) {
        assert_eq!(stage.instance(instance["instance_id"].as_str().expect("an id")), instance);
    }
}

#[test]
fn invalid_parameters_are_refused() {
    let stage = shared();
    for query in [
        "limit=0",
        "limit=1001",
        "limit=-1",
        "limit=x",
        "limit=",
        "limit=1.5",
        "limit=1&limit=2",
        "status=gone",
        "status=",
        "status=Installed",
        "cursor=",
        "cursor=%0a",
        "status=installed&status=removed",
    ] {
        let response = stage.api("GET", &format!("/v1/instances?{query}")).expect(400);
        assert_eq!(response.code(), "bad_request", "{query}");
        let name = query.split('=').next().unwrap_or_default();
        assert!(response.json()["detail"].as_str().is_some_and(|detail| detail.contains(name)), "{response:?}");
    }
}

#[test]
fn an_invalid_cursor_causes_no_server_error() {
    let response = shared().api("GET", "/v1/instances?cursor=made-up");
    assert!(matches!(response.status, 200 | 400), "{response:?}");
}

#[test]
fn an_instance_has_the_documented_fields_and_no_secret() {
    let stage = shared();
    let id = stage.install().instance;
    let token = stage.token(&id).expect(200).json();
    let plan = json!({ "vendorProductId": "pro_plan" });
    deliver(stage, Message::new("PaidPlanPurchased", &id, &plan).sign()).expect(200);
    stage.api("POST", &format!("/v1/instances/{id}/finish-configuration")).expect(200);

    let response = stage.api("GET", &format!("/v1/instances/{id}")).expect(200);
    assert_eq!(response.header("content-type"), Some("application/json"), "{response:?}");
    assert_eq!(response.header("cache-control"), Some("no-store"), "{response:?}");
    let record = response.json();
    let fields: BTreeSet<&str> = record.as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
    let expected = [
        "instance_id",
        "status",
        "auth",
        "installed_at",
        "site_id",
        "plan",
        "is_free",
        "configured_at",
        "last_event_at",
        "last_token",
    ];
    assert_eq!(fields, BTreeSet::from(expected), "{record}");
    for time in ["installed_at", "configured_at", "last_event_at"] {
        let at = record[time].as_i64().unwrap_or_else(|| panic!("{time} must be a time: {record}"));
        assert!((now() - 120..=now() + 1).contains(&at), "{time}: {record}");
    }
    let secret = token["access_token"].as_str().expect("a token");
    assert!(!response.text().contains(secret) && !response.text().contains("OAUTH2."), "{record}");
}

#[test]
fn an_unknown_instance_is_404_and_an_invalid_id_400() {
    let stage = shared();
    assert_eq!(stage.api("GET", &format!("/v1/instances/{}", guid())).expect(404).code(), "unknown_instance");
    assert_eq!(stage.api("GET", "/v1/instances/x").expect(400).code(), "bad_request");
    for method in ["POST", "PUT"] {
        let response = stage.api(method, &format!("/v1/instances/{}", guid())).expect(405);
        assert_eq!(response.header("allow"), Some("GET, HEAD, DELETE"), "{response:?}");
    }
}

#[test]
fn the_list_needs_a_key_in_the_authorization_header() {
    let stage = shared();
    stage.worker.request("GET", "/v1/instances").send().expect(401);
    stage.worker.request("GET", &format!("/v1/instances?key={API_KEY}")).send().expect(401);
}
