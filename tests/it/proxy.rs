//! Calls to Wix through the Worker: to Wix alone, with the instance's token, and nothing of the caller's own.

use std::sync::LazyLock;

use serde_json::json;

use crate::harness::{API_KEY, Ask, Heard, Stage, Upstream, Values, Wix, Worker, api_key, guid};

/// A Worker whose Wix API is one that the tests look into; webhooks come from the simulator.
pub struct Proxied {
    pub stage: Stage,
    pub upstream: Upstream,
}

static SHARED: LazyLock<Proxied> = LazyLock::new(|| Proxied::start(Worker::start_now));

impl Proxied {
    pub fn start(start: fn(&Values) -> Worker) -> Self {
        let upstream = Upstream::start();
        let url = upstream.url.clone();
        let stage = Stage::before(Wix::start(), start, |values| {
            values
                .with("WIX_API_URL", url)
                .with("API_KEYS", format!("{},{}:token", api_key("all", API_KEY), api_key("t", "t")))
        });
        Self { stage, upstream }
    }

    pub fn call(&self, method: &str, id: &str, path: &str) -> Ask {
        self.stage.worker.ask(method, &format!("/v1/instances/{id}/wix{path}")).key(API_KEY)
    }

    /// The calls to a path.
    fn heard(&self, target: &str) -> Vec<Heard> {
        self.upstream.heard().into_iter().filter(|heard| heard.target == target).collect()
    }
}

#[test]
fn every_method_passes_with_the_instances_token() {
    let proxied = &*SHARED;
    let id = proxied.stage.wix.installed();
    for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] {
        let path = format!("/{}/a%20b?c=d%2F..&e", guid());
        let ask = proxied.call(method, &id, &path);
        let has_body = !matches!(method, "GET" | "HEAD");
        let answer = if has_body { ask.json(&json!({ "a": 1 })) } else { ask }.send().expect(200);
        if method != "HEAD" {
            assert_eq!(answer.json()["length"], if has_body { 7 } else { 0 }, "{answer:?}");
        }
        let heard = proxied.heard(&path);
        assert_eq!((heard.len(), heard[0].method.as_str()), (1, method), "{heard:?}");
        assert_eq!(heard[0].length, if has_body { 7 } else { 0 }, "{heard:?}");
        let token = heard[0].headers["authorization"].to_str().expect("text");
        assert!(token.starts_with("token-"), "{token}");
        let line = proxied.stage.worker.log.of_request(answer.request_id());
        assert_eq!((&line["route"], &line["instance_id"]), (&json!("/v1/instances/{id}/wix/…"), &json!(id)), "{line}");
        assert_eq!((&line["outcome"], &line["wix_request_id"]), (&json!("passed_on"), &json!("upstream.1")), "{line}");
        assert!(!line.to_string().contains(&path[1..20]), "{line}");
    }
    proxied.call("OPTIONS", &id, "/a").send().expect(405);
    proxied.stage.worker.ask("GET", &format!("/v1/instances/{id}/wix/a")).send().expect(401);
    proxied.stage.worker.ask("GET", &format!("/v1/instances/{id}/wix/a")).key("t").send().expect(403);
    proxied.call("GET", &guid(), "/a").send().expect(404);
}

/// The runtime writes a value that is not ASCII into its own log where it is made a header.
#[test]
fn headers_of_wixs_that_are_not_ascii_come_neither_back_nor_into_the_log() {
    let proxied = &*SHARED;
    let id = proxied.stage.wix.installed();
    let answer = proxied.call("GET", &id, "/accents").send().expect(200);
    assert_eq!(answer.header("content-disposition"), None, "{answer:?}");
    assert_eq!(answer.text(), "{}");
    let mine = proxied.call("POST", &id, "/a").header("accept-language", "told-\u{e9}").body("{}").send();
    mine.expect(200);
    proxied.stage.worker.log.of_request(answer.request_id());
    for line in proxied.stage.worker.log.lines() {
        assert!(!line.contains("told-"), "{line}");
    }
}

#[test]
fn a_path_that_could_lead_elsewhere_reaches_nobody() {
    let proxied = &*SHARED;
    let id = proxied.stage.wix.installed();
    let mark = guid();
    for path in [
        "/../M",
        "/M/../M",
        "/M/%2e%2e/M",
        "/M/%2E%2e/%2e%2E/%2e%2e/%2e%2e/%2e%2e/M",
        "/M/.%2e/M",
        "/./M",
        "//127.0.0.1:1/M",
        "//M",
        "/M//M",
        "/@127.0.0.1:1/M",
        "/M@127.0.0.1",
        "/:1/M",
        "/http://127.0.0.1:1/M",
        "/M%2f..%2fM",
        "/M%2F%2e%2e",
        "/M%5c..%5cM",
        "/..%5c/M",
        "/M%00",
        "/M%0d%0aa:%20b",
        "/%252e%252e/M",
        "/..;/M",
    ] {
        let answer = proxied.call("GET", &id, &path.replace('M', &mark)).send();
        // What stands before the Worker may have resolved the dots: then it asks for another path, or for none at Wix.
        let dots = ["/../", "/./", "/%2e", "/.%2e"].iter().any(|dots| path.to_lowercase().contains(dots));
        assert!(answer.status == 400 || (dots && matches!(answer.status, 200 | 404)), "{path}: {answer:?}");
    }
    let reached: Vec<Heard> = proxied
        .upstream
        .heard()
        .into_iter()
        .filter(|heard| heard.target.contains(&mark) && heard.target[1..] != mark)
        .collect();
    assert!(reached.is_empty(), "{reached:?}");
}

#[test]
fn headers_are_chosen_in_both_directions() {
    let proxied = &*SHARED;
    let id = proxied.stage.wix.installed();
    let path = format!("/{}", guid());
    let mut ask = proxied.call("POST", &id, &path).body("{}");
    for (name, value) in [
        ("content-type", "application/json"),
        ("accept", "application/json"),
        ("accept-language", "de"),
        ("if-match", "\"1\""),
        ("x-wix-consistent", "c"),
        ("cookie", "mine=1"),
        ("wix-site-id", "mine"),
        ("wix-account-id", "mine"),
        ("x-forwarded-for", "192.0.2.1"),
        ("forwarded", "for=192.0.2.1"),
        ("cf-connecting-ip", "192.0.2.1"),
        ("referer", "https://mine.example/"),
        ("user-agent", "mine"),
        ("te", "trailers"),
        ("x-mine", "mine"),
    ] {
        ask = ask.header(name, value);
    }
    let answer = ask.send().expect(200);
    let heard = proxied.heard(&path).pop().expect("a call");
    // Besides the chosen ones, what the runtime writes for the connection, and marks as a Worker's call.
    let known = [
        "accept",
        "accept-encoding",
        "accept-language",
        "authorization",
        "cache-control",
        "cf-worker",
        "connection",
        "content-length",
        "content-type",
        "host",
        "if-match",
        // With `cache-control`, what `no-store` makes the runtime send.
        "pragma",
        "user-agent",
        "x-wix-consistent",
    ];
    for (name, value) in &heard.headers {
        let value = value.to_str().expect("text");
        assert!(known.contains(&name.as_str()), "{name}: {value}");
        assert!(!value.contains("mine") && !value.contains("192.0.2.1") && !value.contains(API_KEY), "{name}: {value}");
    }
    for (name, value) in
        [("accept-language", "de"), ("if-match", "\"1\""), ("x-wix-consistent", "c"), ("content-length", "2")]
    {
        assert_eq!(heard.headers[name], value);
    }
    assert!(heard.headers["user-agent"].to_str().expect("text").starts_with("wix-edge/"));

    for (name, value) in [
        ("etag", Some("\"1\"")),
        ("x-wix-request-id", Some("upstream.1")),
        ("cache-control", Some("no-store")),
        ("set-cookie", None),
        ("x-other", None),
    ] {
        assert_eq!(answer.header(name), value, "{answer:?}");
    }
}

#[test]
fn failures_and_redirects_of_wixs_are_passed_on() {
    let proxied = &*SHARED;
    let id = proxied.stage.wix.installed();
    for status in [204, 304, 400, 403, 404, 429, 500, 503] {
        let answer = proxied.call("GET", &id, &format!("/status/{status}")).send().expect(status);
        assert_eq!(answer.header("retry-after"), Some("7"), "{answer:?}");
    }
    let own = format!("/v1/instances/{id}/wix/b?c");
    for (to, location) in [("/b?c", Some(own.as_str())), ("http://127.0.0.1:1/b", None), ("//evil.example/b", None)] {
        let answer = proxied.call("GET", &id, &format!("/moved?to={to}")).send().expect(307);
        assert_eq!(answer.header("location"), location, "{answer:?}");
    }
}

#[test]
fn a_compressed_answer_can_be_read() {
    let proxied = &*SHARED;
    let id = proxied.stage.wix.installed();
    let answer = proxied.call("GET", &id, "/gzip").send().expect(200);
    assert_eq!((answer.header("content-encoding"), answer.text().as_str()), (None, r#"{"a":1}"#), "{answer:?}");
}

/// A stage of its own: the first token that is given out is the one that is dead.
#[test]
fn a_dead_token_is_replaced_and_the_call_made_once_more_if_its_body_was_kept() {
    let proxied = Proxied::start(Worker::start);
    let id = proxied.stage.wix.installed();
    let long = vec![b'l'; 100_000];
    let answer = proxied.call("POST", &id, "/dead").body(long.clone()).send().expect(401);
    assert_eq!((answer.text().as_str(), answer.header("wix-edge-replay").is_some()), ("dead", true), "{answer:?}");
    assert_eq!(proxied.call("POST", &id, "/dead").body(long).send().expect(200).json()["length"], 100_000);
    assert_eq!(tokens(&proxied), ["token-1", "token-2"]);

    let calls: [(&str, Option<&str>, bool); 4] =
        [("DELETE", None, false), ("PUT", None, false), ("PUT", Some("kept"), false), ("POST", Some("kept"), true)];
    for (method, body, chunked) in calls {
        let proxied = Proxied::start(Worker::start);
        let id = proxied.stage.wix.installed();
        let ask = proxied.call(method, &id, "/dead");
        let ask = if let Some(body) = body { ask.body(body) } else { ask };
        let answer = if chunked { ask.chunked() } else { ask }.send().expect(200);
        assert_eq!(answer.json()["length"], body.map_or(0, str::len));
        assert_eq!(tokens(&proxied), ["token-1", "token-2"]);
        let line = proxied.stage.worker.log.of_request(answer.request_id());
        assert_eq!(line["outcome"], "passed_on_again", "{line}");
    }
}

fn tokens(proxied: &Proxied) -> Vec<String> {
    let token = |heard: &Heard| heard.headers["authorization"].to_str().expect("text").to_owned();
    proxied.upstream.heard().iter().map(token).collect()
}
