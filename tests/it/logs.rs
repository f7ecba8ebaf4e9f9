//! The log: one line of JSON a request, with what an operator needs and nothing that was sent.

use serde_json::{Value, json};

use crate::harness::{Answer, Flow, Jar, Message, Stage, guid, shared};

fn line(stage: &Stage, answer: &Answer) -> Value {
    stage.worker.log.of_request(answer.request_id())
}

#[test]
fn every_request_has_a_line_with_route_method_status_and_time() {
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
        let answer = stage.worker.ask(method, path).send().expect(status);
        let line = line(stage, &answer);
        assert_eq!((&line["route"], &line["method"], &line["status"]), (&json!(route), &json!(method), &json!(status)));
        assert!(line["duration_ms"].is_u64(), "{line}");
        let level = if status < 400 { "info" } else { "warn" };
        assert_eq!(line["level"], level, "{line}");
        assert_eq!(line.get("error").is_some(), status >= 400, "{line}");
        let lines = stage.worker.log.entries();
        let own = lines.iter().filter(|entry| entry["request_id"] == answer.request_id());
        assert_eq!(own.count(), 1, "{line}");
    }
}

#[test]
fn request_ids_are_the_workers_own() {
    let stage = shared();
    let ask = || stage.worker.ask("GET", "/healthz").header("x-request-id", "mine").send();
    let (one, other) = (ask(), ask());
    assert_ne!(one.request_id(), other.request_id());
    assert!(one.request_id().len() >= 16 && one.request_id() != "mine", "{one:?}");
}

#[test]
fn where_wix_was_asked_its_request_id_stands_in_the_line() {
    let stage = shared();
    let id = stage.wix.installed();
    let answer = stage.token(&id).expect(200);
    let calls = stage.wix.calls(&id);
    let entry = line(stage, &answer);
    assert_eq!(entry["wix_request_id"], calls[0]["request_id"], "{entry}");
    assert_eq!((&entry["instance_id"], &entry["client"]), (&json!(id), &json!("back-end")), "{entry}");

    let installed = stage.install();
    let entry = line(stage, &installed.answer);
    let calls = stage.wix.calls(&installed.instance);
    assert_eq!(entry["wix_request_id"], calls[1]["request_id"], "{entry}");
    assert_eq!(entry["instance_id"], installed.instance.as_str(), "{entry}");

    // From memory: nobody was asked.
    let entry = line(stage, &stage.token(&id).expect(200));
    assert_eq!(entry.get("wix_request_id"), None, "{entry}");
}

#[test]
fn a_failure_of_wixs_names_its_cause_and_wixs_request_id() {
    let stage = shared();
    let id = stage.wix.installed();
    stage.wix.fails(&id, "oauth2_token", 10, 500);
    let answer = stage.token(&id).expect(502);
    let entry = line(stage, &answer);
    assert_eq!((&entry["level"], &entry["error"]), (&json!("error"), &json!("wix_failed")), "{entry}");
    assert!(entry["cause"].as_str().is_some_and(|cause| cause.contains("500")), "{entry}");
    let last = stage.wix.calls(&id).pop().expect("a call");
    assert_eq!(entry["wix_request_id"], last["request_id"], "{entry}");
    assert_eq!(answer.json()["request_id"], entry["request_id"]);
}

#[test]
fn an_accepted_webhook_says_what_became_of_it() {
    let stage = shared();
    let id = guid();
    let message = Message::installed(stage, &id).sign();
    for outcome in ["stored", "known"] {
        let answer = stage.worker.ask("POST", "/webhook").body(message.clone()).send().expect(200);
        let entry = line(stage, &answer);
        assert_eq!((&entry["outcome"], &entry["instance_id"]), (&json!(outcome), &json!(id)), "{entry}");
    }
}

#[test]
fn nothing_of_what_was_sent_stands_in_the_log() {
    let stage = shared();
    let canary = |place: &str| format!("canary-{place}-{}", guid());
    let query = canary("query");
    let [path, header, body, key, token, code, issued, cookie, instance] =
        ["path", "header", "body", "key", "token", "code", "state", "cookie", "instance"].map(canary);

    stage.worker.ask("GET", &format!("/?q={query}")).header("user-agent", &header).send().expect(200);
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
        let ask = stage.worker.ask(method, &target).key(&key).header("cookie", format!("a={cookie}"));
        let ask = if method == "POST" { ask.body(format!("{body}.{body}.{body}")) } else { ask };
        ask.header("user-agent", &header).send().expect(status);
    }
    let mut jar = Jar::default();
    let flow = Flow::begin(stage, &mut jar, None);
    jar.get(stage.callback(&code, &guid(), &flow.state)).expect(400);
    stage.api("GET", &format!("/v1/instances?cursor={query}%00")).expect(400);
    stage.api("GET", &format!("/v1/instances/{}/wix/{path}?q={query}", guid())).expect(404);
    stage.api("GET", &format!("/v1/instances/{}/wix/{path}/%2f{path}?q={query}", guid())).expect(400);
    line(stage, &stage.api("GET", &format!("/v1/instances/{instance}?q={query}")).expect(400));

    // The paths stand in wrangler's own lines; the Worker's are looked at.
    let entries: Vec<String> = stage.worker.log.entries().iter().map(Value::to_string).collect();
    for sent in [query, path, header, body, key, token, code, issued, cookie, instance, flow.state] {
        let told: Vec<&String> = entries.iter().filter(|entry| entry.contains(&sent)).collect();
        assert!(told.is_empty(), "{sent}: {told:?}");
    }
    assert!(entries.iter().all(|entry| !entry.contains('?')), "a query string");
}
