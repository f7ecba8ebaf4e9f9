//! The log: one JSON line for each request, without any part of the request.

use serde_json::{Value, json};

use crate::harness::{Flow, Jar, Message, Response, Stage, guid, shared};

fn line(stage: &Stage, response: &Response) -> Value {
    stage.worker.log.of_request(response.request_id())
}

#[test]
fn each_request_logs_one_line_with_route_method_status_and_duration() {
    let stage = shared();
    let id = guid();
    for (method, path, route, status) in [
        ("GET", "/", "/", 200),
        ("GET", "/healthz", "/healthz", 200),
        ("GET", "/readyz", "/readyz", 200),
        ("GET", "/install", "/install", 302),
        ("GET", "/redirect", "/redirect", 403),
        ("POST", "/webhook", "/webhook", 400),
        ("DELETE", "/webhook", "/webhook", 405),
        ("GET", "/v1/instances", "/v1/instances", 401),
        ("GET", &format!("/v1/instances/{id}"), "/v1/instances/{id}", 401),
        ("POST", &format!("/v1/instances/{id}/token"), "/v1/instances/{id}/token", 401),
        ("GET", "/v1/nothing", "/v1/…", 404),
        ("GET", "/nothing", "unknown", 404),
    ] {
        let response = stage.worker.request(method, path).send().expect(status);
        let line = line(stage, &response);
        assert_eq!((&line["route"], &line["method"], &line["status"]), (&json!(route), &json!(method), &json!(status)));
        assert!(line["duration_ms"].is_u64(), "{line}");
        let level = if status < 400 { "info" } else { "warn" };
        assert_eq!(line["level"], level, "{line}");
        assert_eq!(line.get("error").is_some(), status >= 400, "{line}");
        let lines = stage.worker.log.entries();
        let own = lines.iter().filter(|entry| entry["request_id"] == response.request_id());
        assert_eq!(own.count(), 1, "{line}");
    }
}

#[test]
fn the_worker_generates_its_request_ids() {
    let stage = shared();
    let request = || stage.worker.request("GET", "/healthz").header("x-request-id", "mine").send();
    let (one, other) = (request(), request());
    assert_ne!(one.request_id(), other.request_id());
    assert!(one.request_id().len() >= 16 && one.request_id() != "mine", "{one:?}");
}

#[test]
fn the_line_of_a_request_that_called_wix_has_wixs_request_id() {
    let stage = shared();
    let id = stage.wix.new_instance();
    let response = stage.token(&id).expect(200);
    let calls = stage.wix.calls(&id);
    let entry = line(stage, &response);
    assert_eq!(entry["wix_request_id"], calls[0]["request_id"], "{entry}");
    assert_eq!((&entry["instance_id"], &entry["client"]), (&json!(id), &json!("back-end")), "{entry}");

    let installed = stage.install();
    let entry = line(stage, &installed.response);
    let calls = stage.wix.calls(&installed.instance);
    assert_eq!(entry["wix_request_id"], calls[1]["request_id"], "{entry}");
    assert_eq!(entry["instance_id"], installed.instance.as_str(), "{entry}");

    // A token from memory: no call to Wix.
    let entry = line(stage, &stage.token(&id).expect(200));
    assert_eq!(entry.get("wix_request_id"), None, "{entry}");
}

#[test]
fn the_line_of_a_failure_of_wix_has_the_cause_and_wixs_request_id() {
    let stage = shared();
    let id = stage.wix.new_instance();
    stage.wix.fail_with(&id, "oauth2_token", 10, 500);
    let response = stage.token(&id).expect(502);
    let entry = line(stage, &response);
    assert_eq!((&entry["level"], &entry["error"]), (&json!("error"), &json!("wix_failed")), "{entry}");
    assert!(entry["cause"].as_str().is_some_and(|cause| cause.contains("500")), "{entry}");
    let last = stage.wix.calls(&id).pop().expect("a call");
    assert_eq!(entry["wix_request_id"], last["request_id"], "{entry}");
    assert_eq!(response.json()["request_id"], entry["request_id"]);
}

#[test]
fn the_line_of_an_accepted_webhook_has_its_outcome() {
    let stage = shared();
    let id = guid();
    let message = Message::installed(stage, &id).sign();
    for outcome in ["stored", "known"] {
        let response = stage.worker.request("POST", "/webhook").body(message.clone()).send().expect(200);
        let entry = line(stage, &response);
        assert_eq!((&entry["outcome"], &entry["instance_id"]), (&json!(outcome), &json!(id)), "{entry}");
    }
}

#[test]
fn the_log_has_no_part_of_a_request() {
    let stage = shared();
    let canary = |place: &str| format!("canary-{place}-{}", guid());
    let query = canary("query");
    let [path, header, body, key, token, code, issued, cookie, instance] =
        ["path", "header", "body", "key", "token", "code", "state", "cookie", "instance"].map(canary);

    stage.worker.request("GET", &format!("/?q={query}")).header("user-agent", &header).send().expect(200);
    for (method, target, status) in [
        ("GET", format!("/{path}?q={query}"), 404),
        ("GET", format!("/v1/{path}"), 404),
        ("GET", format!("/install?token={token}&q={query}"), 302),
        ("GET", format!("/redirect?code={code}&state={issued}&instanceId={instance}"), 403),
        ("POST", format!("/webhook?q={query}"), 400),
        ("GET", format!("/v1/instances/{instance}"), 401),
        ("POST", format!("/v1/instances/{instance}/token?q={query}"), 401),
        ("POST", format!("/v1/instances/{instance}/wix/{path}?q={query}"), 401),
        ("POST", format!("/v1/identity?q={query}"), 401),
        ("GET", format!("/v1/instances?cursor={query}%00"), 401),
    ] {
        let request = stage.worker.request(method, &target).key(&key).header("cookie", format!("a={cookie}"));
        let request = if method == "POST" { request.body(format!("{body}.{body}.{body}")) } else { request };
        request.header("user-agent", &header).send().expect(status);
    }
    let mut jar = Jar::default();
    let flow = Flow::begin(stage, &mut jar, None);
    jar.get(stage.callback(&code, &guid(), &flow.state)).expect(400);
    stage.api("GET", &format!("/v1/instances?cursor={query}%00")).expect(400);
    stage.api("GET", &format!("/v1/instances/{}/wix/{path}?q={query}", guid())).expect(404);
    stage.api("GET", &format!("/v1/instances/{}/wix/{path}/%2f{path}?q={query}", guid())).expect(400);
    line(stage, &stage.api("GET", &format!("/v1/instances/{instance}?q={query}")).expect(400));

    // Only the Worker's lines: wrangler's have the paths.
    let entries: Vec<String> = stage.worker.log.entries().iter().map(Value::to_string).collect();
    for sent in [query, path, header, body, key, token, code, issued, cookie, instance, flow.state] {
        let leaks: Vec<&String> = entries.iter().filter(|entry| entry.contains(&sent)).collect();
        assert!(leaks.is_empty(), "{sent}: {leaks:?}");
    }
    assert!(entries.iter().all(|entry| !entry.contains('?')), "the log must not have a query string");
}
