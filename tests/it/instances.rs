//! The list of instances and a single one, as the app's back end reads them (contract 3).

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::harness::{API_KEY, Message, Stage, guid, now, shared};
use crate::webhook::deliver;

fn list(stage: &Stage, query: &str) -> (Vec<Value>, Option<String>) {
    let answer = stage.api("GET", &format!("/v1/instances{query}")).expect(200);
    let body = answer.json();
    let instances = body["instances"].as_array().unwrap_or_else(|| panic!("no list: {answer:?}")).clone();
    (instances, body.get("next_cursor").map(|cursor| cursor.as_str().expect("a text").to_owned()))
}

/// Every page, to the last.
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
    panic!("there is no last page");
}

fn ids(instances: &[Value]) -> BTreeSet<String> {
    instances.iter().filter_map(|instance| instance["instance_id"].as_str().map(str::to_owned)).collect()
}

/// A stage of its own, since every instance of it is counted: five installed, two removed, one pending.
#[test]
fn pages_hold_every_instance_once_and_the_status_filters() {
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

    // The list and the single record say the same.
    for instance in all(&stage, "", 5) {
        assert_eq!(stage.instance(instance["instance_id"].as_str().expect("an id")), instance);
    }
}

#[test]
fn parameters_that_make_no_sense_are_refused() {
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
        let answer = stage.api("GET", &format!("/v1/instances?{query}")).expect(400);
        assert_eq!(answer.code(), "bad_request", "{query}");
        let name = query.split('=').next().unwrap_or_default();
        assert!(answer.json()["detail"].as_str().is_some_and(|detail| detail.contains(name)), "{answer:?}");
    }
}

#[test]
fn a_made_up_cursor_is_the_callers_fault() {
    let answer = shared().api("GET", "/v1/instances?cursor=made-up");
    assert!(matches!(answer.status, 200 | 400), "{answer:?}");
}

#[test]
fn an_instance_has_the_documented_fields_and_no_secret() {
    let stage = shared();
    let id = stage.install().instance;
    let token = stage.token(&id).expect(200).json();
    let plan = json!({ "vendorProductId": "pro_plan" });
    deliver(stage, Message::new("PaidPlanPurchased", &id, &plan).sign()).expect(200);
    stage.api("POST", &format!("/v1/instances/{id}/finish-configuration")).expect(200);

    let answer = stage.api("GET", &format!("/v1/instances/{id}")).expect(200);
    assert_eq!(answer.header("content-type"), Some("application/json"), "{answer:?}");
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{answer:?}");
    let record = answer.json();
    let fields: BTreeSet<&str> = record.as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
    let expected = [
        "instance_id",
        "status",
        "auth",
        "installed_at",
        "site_id",
        "plan",
        "configured_at",
        "last_event_at",
        "last_token",
    ];
    assert_eq!(fields, BTreeSet::from(expected), "{record}");
    for time in ["installed_at", "configured_at", "last_event_at"] {
        let at = record[time].as_i64().unwrap_or_else(|| panic!("{time} is no time: {record}"));
        assert!((now() - 120..=now() + 1).contains(&at), "{time}: {record}");
    }
    let secret = token["access_token"].as_str().expect("a token");
    assert!(!answer.text().contains(secret) && !answer.text().contains("OAUTH2."), "{record}");
}

#[test]
fn an_unknown_instance_is_not_found_and_what_is_no_id_is_refused() {
    let stage = shared();
    assert_eq!(stage.api("GET", &format!("/v1/instances/{}", guid())).expect(404).code(), "unknown_instance");
    assert_eq!(stage.api("GET", "/v1/instances/x").expect(400).code(), "bad_request");
    for method in ["POST", "DELETE", "PUT"] {
        let answer = stage.api(method, &format!("/v1/instances/{}", guid())).expect(405);
        assert_eq!(answer.header("allow"), Some("GET, HEAD"), "{answer:?}");
    }
}

#[test]
fn the_list_is_not_for_everybody() {
    let stage = shared();
    stage.worker.ask("GET", "/v1/instances").send().expect(401);
    stage.worker.ask("GET", &format!("/v1/instances?key={API_KEY}")).send().expect(401);
}
