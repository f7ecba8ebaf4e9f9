//! The proxy: forwards calls to Wix only, with the instance's token and chosen headers.

use std::sync::LazyLock;

use serde_json::json;

use crate::harness::{API_KEY, Request, Stage, Upstream, UpstreamCall, Values, Wix, Worker, api_key, guid};

/// A Worker that forwards to a recording upstream instead of Wix's API. The simulator sends the webhooks.
pub struct Proxied {
    pub stage: Stage,
    pub upstream: Upstream,
}

static SHARED: LazyLock<Proxied> = LazyLock::new(|| Proxied::start(Worker::start));

impl Proxied {
    pub fn start(start: fn(&Values) -> Worker) -> Self {
        let upstream = Upstream::start();
        let url = upstream.url.clone();
        let stage = Stage::with_wix(Wix::start(), start, |values| {
            values
                .with("WIX_API_URL", url)
                .with("API_KEYS", format!("{},{}:token", api_key("all", API_KEY), api_key("t", "t")))
        });
        Self { stage, upstream }
    }

    pub fn call(&self, method: &str, id: &str, path: &str) -> Request {
        self.stage.worker.request(method, &format!("/v1/instances/{id}/wix{path}")).key(API_KEY)
    }

    /// The received calls to a path.
    fn received(&self, target: &str) -> Vec<UpstreamCall> {
        self.upstream.received().into_iter().filter(|received| received.target == target).collect()
    }
}

#[test]
fn every_method_is_forwarded_with_the_instances_token() {
    let proxied = &*SHARED;
    let id = proxied.stage.wix.new_instance();
    for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] {
        let path = format!("/{}/a%20b?c=d%2F..&e", guid());
        let request = proxied.call(method, &id, &path);
        let has_body = !matches!(method, "GET" | "HEAD");
        let response = if has_body { request.json(&json!({ "a": 1 })) } else { request }.send().expect(200);
        if method != "HEAD" {
            assert_eq!(response.json()["length"], if has_body { 7 } else { 0 }, "{response:?}");
        }
        let received = proxied.received(&path);
        assert_eq!((received.len(), received[0].method.as_str()), (1, method), "{received:?}");
        assert_eq!(received[0].length, if has_body { 7 } else { 0 }, "{received:?}");
        let token = received[0].headers["authorization"].to_str().expect("ASCII");
        assert!(token.starts_with("token-"), "{token}");
        let line = proxied.stage.worker.log.of_request(response.request_id());
        assert_eq!((&line["route"], &line["instance_id"]), (&json!("/v1/instances/{id}/wix/…"), &json!(id)), "{line}");
        assert_eq!((&line["outcome"], &line["wix_request_id"]), (&json!("passed_on"), &json!("upstream.1")), "{line}");
        assert!(!line.to_string().contains(&path[1..20]), "{line}");
    }
    proxied.call("OPTIONS", &id, "/a").send().expect(405);
    proxied.stage.worker.request("GET", &format!("/v1/instances/{id}/wix/a")).send().expect(401);
    proxied.stage.worker.request("GET", &format!("/v1/instances/{id}/wix/a")).key("t").send().expect(403);
    proxied.call("GET", &guid(), "/a").send().expect(404);
}

/// The runtime logs the value of a header that is not ASCII.
#[test]
fn wixs_headers_outside_ascii_are_neither_returned_nor_logged() {
    let proxied = &*SHARED;
    let id = proxied.stage.wix.new_instance();
    let response = proxied.call("GET", &id, "/accents").send().expect(200);
    assert_eq!(response.header("content-disposition"), None, "{response:?}");
    assert_eq!(response.text(), "{}");
    let mine = proxied.call("POST", &id, "/a").header("accept-language", "leak-\u{e9}").body("{}").send();
    mine.expect(200);
    proxied.stage.worker.log.of_request(response.request_id());
    for line in proxied.stage.worker.log.lines() {
        assert!(!line.contains("leak-"), "{line}");
    }
}

#[test]
fn an_ambiguous_path_is_not_forwarded() {
    let proxied = &*SHARED;
    let id = proxied.stage.wix.new_instance();
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
        let response = proxied.call("GET", &id, &path.replace('M', &mark)).send();
        // wrangler's proxy may resolve dot segments first. Then the Worker sees another path, or one outside the proxy.
        let dots = ["/../", "/./", "/%2e", "/.%2e"].iter().any(|dots| path.to_lowercase().contains(dots));
        assert!(response.status == 400 || (dots && matches!(response.status, 200 | 404)), "{path}: {response:?}");
    }
    let reached: Vec<UpstreamCall> = proxied
        .upstream
        .received()
        .into_iter()
        .filter(|received| received.target.contains(&mark) && received.target[1..] != mark)
        .collect();
    assert!(reached.is_empty(), "{reached:?}");
}

#[test]
fn only_chosen_headers_are_forwarded_in_both_directions() {
    let proxied = &*SHARED;
    let id = proxied.stage.wix.new_instance();
    let path = format!("/{}", guid());
    let mut request = proxied.call("POST", &id, &path).body("{}");
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
        request = request.header(name, value);
    }
    let response = request.send().expect(200);
    let received = proxied.received(&path).pop().expect("a call");
    // The chosen headers, and those that the runtime adds to each call of a Worker.
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
        // `cache: no-store` makes the runtime send `cache-control` and `pragma`.
        "pragma",
        "user-agent",
        "x-wix-consistent",
    ];
    for (name, value) in &received.headers {
        let value = value.to_str().expect("ASCII");
        assert!(known.contains(&name.as_str()), "{name}: {value}");
        assert!(!value.contains("mine") && !value.contains("192.0.2.1") && !value.contains(API_KEY), "{name}: {value}");
    }
    for (name, value) in
        [("accept-language", "de"), ("if-match", "\"1\""), ("x-wix-consistent", "c"), ("content-length", "2")]
    {
        assert_eq!(received.headers[name], value);
    }
    assert!(received.headers["user-agent"].to_str().expect("ASCII").starts_with("wix-edge/"));

    for (name, value) in [
        ("etag", Some("\"1\"")),
        ("x-wix-request-id", Some("upstream.1")),
        ("cache-control", Some("no-store")),
        ("set-cookie", None),
        ("x-other", None),
    ] {
        assert_eq!(response.header(name), value, "{response:?}");
    }
}

#[test]
fn wixs_errors_and_redirects_are_forwarded() {
    let proxied = &*SHARED;
    let id = proxied.stage.wix.new_instance();
    for status in [204, 304, 400, 403, 404, 429, 500, 503] {
        let response = proxied.call("GET", &id, &format!("/status/{status}")).send().expect(status);
        assert_eq!(response.header("retry-after"), Some("7"), "{response:?}");
    }
    let own = format!("/v1/instances/{id}/wix/b?c");
    for (to, location) in [("/b?c", Some(own.as_str())), ("http://127.0.0.1:1/b", None), ("//evil.example/b", None)] {
        let response = proxied.call("GET", &id, &format!("/moved?to={to}")).send().expect(307);
        assert_eq!(response.header("location"), location, "{response:?}");
    }
}

#[test]
fn a_compressed_response_is_decompressed() {
    let proxied = &*SHARED;
    let id = proxied.stage.wix.new_instance();
    let response = proxied.call("GET", &id, "/gzip").send().expect(200);
    assert_eq!((response.header("content-encoding"), response.text().as_str()), (None, r#"{"a":1}"#), "{response:?}");
}

/// Uses its own stage: the upstream rejects only the first token that it issues.
#[test]
fn after_a_401_a_buffered_call_is_replayed_with_a_new_token() {
    let proxied = Proxied::start(Worker::start);
    let id = proxied.stage.wix.new_instance();
    let long = vec![b'l'; 100_000];
    let response = proxied.call("POST", &id, "/dead").body(long.clone()).send().expect(401);
    assert_eq!(
        (response.text().as_str(), response.header("wix-edge-replay").is_some()),
        ("dead", true),
        "{response:?}"
    );
    assert_eq!(proxied.call("POST", &id, "/dead").body(long).send().expect(200).json()["length"], 100_000);
    assert_eq!(tokens(&proxied), ["token-1", "token-2"]);

    let calls: [(&str, Option<&str>, bool); 4] =
        [("DELETE", None, false), ("PUT", None, false), ("PUT", Some("short"), false), ("POST", Some("short"), true)];
    for (method, body, chunked) in calls {
        let proxied = Proxied::start(Worker::start);
        let id = proxied.stage.wix.new_instance();
        let request = proxied.call(method, &id, "/dead");
        let request = if let Some(body) = body { request.body(body) } else { request };
        let response = if chunked { request.chunked() } else { request }.send().expect(200);
        assert_eq!(response.json()["length"], body.map_or(0, str::len));
        assert_eq!(tokens(&proxied), ["token-1", "token-2"]);
        let line = proxied.stage.worker.log.of_request(response.request_id());
        assert_eq!(line["outcome"], "passed_on_again", "{line}");
    }
}

fn tokens(proxied: &Proxied) -> Vec<String> {
    let token = |received: &UpstreamCall| received.headers["authorization"].to_str().expect("ASCII").to_owned();
    proxied.upstream.received().iter().map(token).collect()
}
