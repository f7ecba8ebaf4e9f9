//! Another Worker of the account calls the app API through a service binding, with the npm package. It gets no address of
//! wix-edge, so its calls cannot take the network.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use serde_json::{Value, json};
use workerd::{Counts, Entry, Setup, Worker};

use crate::harness::{
    API_KEY, Jar, NOW, Response, Testbed, Values, bundled, example_worker, external, guid, parameter,
};

/// The callers' binding `WIX_EDGE` is the Worker.
static BED: LazyLock<Testbed> = LazyLock::new(|| {
    let back_end = |values: Values| values.with("AFTER_INSTALL_URL", "https://shop.example/connected");
    Testbed::with_workers(back_end, |setup| with_example(with_caller(setup)))
});

/// A Worker that makes one call of the package for each path.
fn with_caller(setup: Setup) -> Setup {
    let caller = Worker::script("2026-10-20", &bundled("clients/js/test/caller.mjs"));
    setup.worker("caller", caller.service("WIX_EDGE", NOW.0).text("WIX_EDGE_API_KEY", API_KEY))
}

/// `examples/worker-binding`; and again with a key that is not in `API_KEYS`.
fn with_example(setup: Setup) -> Setup {
    let worker = example_worker(NOW.0);
    let with_wrong_key = worker.clone().text("WIX_EDGE_API_KEY", "wrong");
    setup.worker("example", worker.text("WIX_EDGE_API_KEY", API_KEY)).worker("example with a wrong key", with_wrong_key)
}

fn request(bed: &Testbed, path: &str) -> Response {
    bed.request_to("caller", "GET", path).send()
}

#[test]
fn the_binding_returns_tokens() {
    let id = BED.wix.new_instance();
    let token = request(&BED, &format!("/token/{id}")).expect(200).json();
    assert_eq!(token, BED.token(NOW, &id).expect(200).json());
    let headers = request(&BED, &format!("/sdk/{id}")).expect(200).json();
    assert_eq!(headers["Authorization"], token["access_token"]);
    assert_eq!(BED.wix.calls(&id).len(), 1);
}

#[test]
fn the_binding_forwards_calls_to_wix() {
    let id = BED.wix.new_instance();
    let response = request(&BED, &format!("/wix/{id}")).expect(200);
    assert_eq!(response.json()["instance"]["instanceId"], json!(id));
    let upload = BED.request_to("caller", "POST", &format!("/upload/{id}"));
    upload.json(&json!({ "eventName": "APP_UPGRADED" })).send().expect(200);
    assert_eq!(BED.wix.bi_events(&id, 1)[0]["event_name"], "APP_UPGRADED");
}

#[test]
fn the_binding_takes_an_installation_over() {
    let mut jar = Jar::default();
    let callback = external(BED.url(), &mut jar, "?ref=7", &BED.wix.site(), "agree");
    let handoff = parameter(&jar.get(&callback).expect(302).location(), "handoff");
    let answer = request(&BED, &format!("/handoff/{handoff}")).expect(200).json();
    assert_eq!((&answer["ref"], &answer["flow"]), (&json!("7"), &json!("connect")), "{answer}");
    assert_eq!(answer["instance_id"], parameter(&callback, "instanceId"));
    let again = request(&BED, &format!("/handoff/{handoff}")).expect(500).json();
    assert_eq!((&again["status"], &again["code"]), (&json!(422), &json!("not_genuine")));
    // A browser cannot use the binding.
    let refused = request(&BED, "/connect/7").expect(500).json();
    assert!(refused["message"].as_str().is_some_and(|text| text.contains("url must be set")), "{refused}");
}

#[test]
fn an_error_response_is_an_exception_in_the_caller() {
    let response = request(&BED, &format!("/token/{}", guid())).expect(500).json();
    assert_eq!((&response["status"], &response["code"]), (&json!(404), &json!("unknown_instance")));
}

/// A call of the example's one route, with a signed instance.
fn site(worker: &str, instance: &str) -> Response {
    BED.request_to(worker, "GET", "/api/site").header("x-wix-instance", instance).send()
}

fn signed(id: &str, overrides: &Value) -> String {
    let body = json!({ "instance_id": id, "overrides": overrides });
    BED.wix.post("/_sim/signed-instance", &body)["instance"].as_str().expect("a value").to_owned()
}

#[test]
fn the_example_answers_the_owner_alone() {
    let id = BED.wix.new_instance();
    let owner = signed(&id, &json!({}));
    let response = site("example", &owner).expect(200).json();
    assert!(response["name"].as_str().is_some_and(|name| !name.is_empty()), "{response}");
    assert_eq!(response["free"], json!(true));

    BED.request_to("example", "GET", "/api/site").send().expect(401);
    site("example", &format!("{owner}x")).expect(401);
    site("example", &signed(&id, &json!({ "uid": null }))).expect(401);
    site("example", &signed(&id, &json!({ "permissions": "" }))).expect(403);
    BED.request_to("example", "GET", "/").send().expect(404);
}

#[test]
fn the_example_answers_each_failure() {
    let id = BED.wix.new_instance();
    let owner = signed(&id, &json!({}));
    let response = site("example with a wrong key", &owner).expect(500).json();
    assert_eq!(response["error"], "The service is misconfigured.");
    // The identity makes the installation known. Wix knows none, and refuses a token.
    site("example", &signed(&guid(), &json!({ "uid": guid() }))).expect(409);

    BED.wix.fail_with(&id, "oauth2_token", 1000, 503);
    let response = site("example", &owner).expect(503);
    assert!(response.header("retry-after").is_some(), "{response:?}");
    BED.wix.remove_faults(&id);

    BED.wix.refuse_with(&id, "app_instance", 1, 403);
    site("example", &owner).expect(502);

    let refused = BED.wix.new_instance();
    BED.wix.refuse_with(&refused, "oauth2_token", 2, 404);
    site("example", &signed(&refused, &json!({}))).expect(409);

    BED.wix.remove(&id);
    site("example", &owner).expect(410);
}

/// The cases of `clients/js/test/events.mjs`, which run in Node.
#[test]
fn verify_event_has_the_same_outcomes_in_workerd_as_in_node() {
    let outcomes = request(&BED, "/events").expect(200).json();
    let outcomes = outcomes.as_array().expect("a list");
    assert!(outcomes.len() > 100, "{}", outcomes.len());
    for outcome in outcomes {
        assert_eq!(outcome["outcome"], outcome["wanted"], "{}", outcome["name"]);
    }
}

/// Uses its own test bed, since it counts all instances.
#[test]
fn ten_thousand_instances_are_ten_pages_of_one_kv_operation() {
    const COUNT: usize = 10_000;
    let bed = Testbed::with_workers(|values| values, with_caller);
    let first = bed.wix.new_instance();
    let [row] = bed.kv.entries("v1:instance:").try_into().expect("one row");
    // Copies the row under other ids, without assumptions about its other content.
    let ids: BTreeSet<String> = (1..COUNT).map(|_| guid()).chain([first.clone()]).collect();
    let text = String::from_utf8(row.value.clone()).expect("ASCII");
    bed.kv.seed(ids.iter().map(|id| {
        let metadata = row.metadata.as_ref().map(|metadata| metadata.replace(&first, id));
        Entry::new(row.key.replace(&first, id), text.replace(&first, id), metadata)
    }));

    bed.kv.clear_operations();
    let listed = request(&bed, "/all").expect(200).json();
    let listed: Vec<&str> = listed.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    assert_eq!(listed.len(), COUNT);
    assert_eq!(listed.into_iter().collect::<BTreeSet<_>>(), ids.iter().map(String::as_str).collect());
    assert_eq!(bed.kv.counts(), Counts { lists: 10, ..Counts::default() });
}
