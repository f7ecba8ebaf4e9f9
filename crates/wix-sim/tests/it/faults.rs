//! Faults: the failure that the app sees, and the number of calls.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::bench::{Bench, read, text};

async fn fault(bench: &Bench, kind: Value) {
    let mut fault = json!({"endpoint": "oauth2_token"});
    fault.as_object_mut().unwrap().extend(kind.as_object().unwrap().clone());
    bench.control("faults", fault).await;
}

#[tokio::test]
async fn a_status_fault_applies_to_its_number_of_calls_and_is_recorded() {
    let bench = Bench::new().await;
    let id = bench.install().await;
    fault(&bench, json!({"kind": "status", "status": 503, "times": 2})).await;
    for _ in 0..2 {
        assert_eq!(bench.post("/oauth2/token", bench.credentials(&id)).await, (503, json!("")));
    }
    assert_eq!(bench.post("/oauth2/token", bench.credentials(&id)).await.0, 200);
    let calls = bench.get("/_sim/calls?endpoint=oauth2_token").await.json::<Value>().await.unwrap();
    assert_eq!(calls["calls"][0]["fault"], "status");
    assert_eq!(calls["calls"][2]["fault"], Value::Null);
    assert_eq!(calls["counts"]["oauth2_token"], 3);
}

#[tokio::test]
async fn a_rate_limit_fault_has_retry_after_only_if_it_is_set() {
    let bench = Bench::new().await;
    let id = bench.install().await;
    fault(&bench, json!({"kind": "rate_limited", "retry_after": 7})).await;
    fault(&bench, json!({"kind": "rate_limited"})).await;
    let send =
        async || bench.client.post(bench.url("/oauth2/token")).json(&bench.credentials(&id)).send().await.unwrap();
    let (first, second) = (send().await, send().await);
    assert_eq!((first.status().as_u16(), first.headers()["retry-after"].to_str().unwrap()), (429, "7"));
    assert_eq!((second.status().as_u16(), second.headers().get("retry-after")), (429, None));
}

#[tokio::test]
async fn a_delay_fault_delays_the_normal_response() {
    let bench = Bench::new().await;
    let id = bench.install().await;
    fault(&bench, json!({"kind": "delay", "delay_ms": 200})).await;
    let start = Instant::now();
    bench.token(&id).await;
    assert!(start.elapsed() >= Duration::from_millis(200));
}

#[tokio::test]
async fn a_cut_call_gets_no_response_and_takes_effect_only_if_processed() {
    let bench = Bench::new().await;
    let id = bench.install().await;
    let send = || bench.client.post(bench.url("/oauth2/token")).json(&bench.credentials(&id)).send();
    fault(&bench, json!({"kind": "cut"})).await;
    assert!(send().await.is_err());
    assert_eq!(bench.state().await["tokens"], json!([]));
    fault(&bench, json!({"kind": "cut", "processed": true})).await;
    assert!(send().await.is_err());
    let state = bench.state().await;
    assert_eq!(state["tokens"].as_array().unwrap().len(), 1);
    assert_eq!(state["calls"][0]["status"], 0);
    bench.token(&id).await;
}

#[tokio::test]
async fn a_cut_body_ends_early_after_complete_headers() {
    let bench = Bench::new().await;
    let id = bench.install().await;
    fault(&bench, json!({"kind": "cut_body"})).await;
    let response = bench.client.post(bench.url("/oauth2/token")).json(&bench.credentials(&id)).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(response.bytes().await.is_err());
}

#[tokio::test]
async fn a_response_can_be_malformed_have_wrong_types_or_lack_a_field() {
    let bench = Bench::new().await;
    let id = bench.install().await;
    let send = async || {
        read(bench.client.post(bench.url("/oauth2/token")).json(&bench.credentials(&id)).send().await.unwrap()).await
    };
    fault(&bench, json!({"kind": "malformed_json"})).await;
    assert!(send().await.1.is_string(), "half of a JSON text does not parse");
    fault(&bench, json!({"kind": "wrong_types"})).await;
    let (status, response) = send().await;
    assert_eq!(
        (status, response["expires_in"].as_str(), response["access_token"].as_i64()),
        (200, Some("14400"), Some(1))
    );
    fault(&bench, json!({"kind": "drop_field", "field": "expires_in"})).await;
    assert!(send().await.1.get("expires_in").is_none());
    fault(&bench, json!({"kind": "replace_field", "field": "expires_in", "value": -1})).await;
    let (_, response) = send().await;
    assert_eq!(response["expires_in"], -1);
    assert_eq!(bench.with_token("/apps/v1/instance", &text(&response["access_token"])).await.0, 200);
}

#[tokio::test]
async fn an_unknown_fault_is_refused_and_all_faults_can_be_removed() {
    let bench = Bench::new().await;
    let (status, response) = bench.post("/_sim/faults", json!({"endpoint": "oauth2_token", "kind": "explode"})).await;
    assert_eq!(status, 400);
    assert!(text(&response["error"]).contains("explode"), "{response}");
    assert_eq!(bench.post("/_sim/faults", json!({"endpoint": "nowhere", "kind": "cut"})).await.0, 400);
    fault(&bench, json!({"kind": "cut", "times": 9})).await;
    let response = bench.client.delete(bench.url("/_sim/faults")).send().await.unwrap();
    assert_eq!(read(response).await, (200, json!({"faults": []})));
}

#[tokio::test]
async fn the_faults_of_one_instance_can_be_removed() {
    let bench = Bench::new().await;
    for id in ["one", "other"] {
        fault(&bench, json!({"kind": "cut", "instance_id": id})).await;
    }
    fault(&bench, json!({"kind": "cut"})).await;
    let response = bench.client.delete(bench.url("/_sim/faults?instance_id=one")).send().await.unwrap();
    let left: Vec<Value> = read(response).await.1["faults"].as_array().unwrap().clone();
    assert_eq!(left.iter().map(|fault| fault["instance_id"].as_str()).collect::<Vec<_>>(), [Some("other"), None]);
}

const ENDPOINTS: [(&str, &str, &str); 10] = [
    ("oauth2_token", "POST", "/oauth2/token"),
    ("token_info", "POST", "/oauth2/token-info"),
    ("oauth_access", "POST", "/oauth/access"),
    ("install", "GET", "/installer/install"),
    ("install", "POST", "/installer/consent"),
    ("app_installer", "GET", "/app-installer"),
    ("close_window", "GET", "/installer/close-window"),
    ("bi_event", "POST", "/apps/v1/bi-event"),
    ("app_instance", "GET", "/apps/v1/instance"),
    ("other", "PUT", "/stores/v1/products/1"),
];

/// Sends a request without a body to an endpoint.
async fn call(bench: &Bench, method: &str, path: &str) -> reqwest::Response {
    bench.client.request(method.parse().unwrap(), bench.url(path)).send().await.unwrap()
}

#[tokio::test]
async fn every_endpoint_can_respond_with_a_firewall_page() {
    let bench = Bench::new().await;
    let page = "<html><title>Access denied</title></html>";
    for (endpoint, method, path) in ENDPOINTS {
        let status = json!({
            "endpoint": endpoint, "kind": "status", "status": 403, "content_type": "text/html", "body": page,
        });
        fault(&bench, status).await;
        let response = call(&bench, method, path).await;
        assert_eq!(response.status(), 403, "{path}");
        assert_eq!(response.headers()["content-type"], "text/html", "{path}");
        assert_eq!(response.text().await.unwrap(), page, "{path}");
        assert_ne!(call(&bench, method, path).await.text().await.unwrap(), page, "{path}: the fault applies once");
    }
}

#[tokio::test]
async fn a_refused_fault_has_the_error_form_of_its_endpoint() {
    let bench = Bench::new().await;
    for (endpoint, method, path) in ENDPOINTS {
        let refused = json!({"endpoint": endpoint, "kind": "refused", "status": 401, "error": "invalid_grant"});
        fault(&bench, refused).await;
        let (status, body) = read(call(&bench, method, path).await).await;
        assert_eq!(status, 401, "{path}");
        if path.starts_with("/oauth") {
            assert_eq!(
                (&body["error"], body["error_description"].is_string()),
                (&json!("invalid_grant"), true),
                "{path}"
            );
        } else {
            let code = &body["details"]["applicationError"]["code"];
            assert_eq!((code, body["message"].is_string()), (&json!("INVALID_GRANT"), true), "{path}");
        }
    }
    let status = json!({"endpoint": "other", "kind": "refused", "status": 500, "error": "x"});
    assert_eq!(bench.post("/_sim/faults", status).await.0, 400);
    assert_eq!(bench.post("/_sim/faults", json!({"endpoint": "other", "kind": "refused", "status": 400})).await.0, 400);
}

#[tokio::test]
async fn retry_after_can_be_an_http_date() {
    let bench = Bench::new().await;
    fault(&bench, json!({"kind": "rate_limited", "retry_after": 90, "retry_after_date": true})).await;
    let response = call(&bench, "POST", "/oauth2/token").await;
    let date = response.headers()["retry-after"].to_str().unwrap();
    let at = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(date).unwrap();
    let ahead = at.as_second() - jiff::Timestamp::now().as_second();
    assert!(date.ends_with(" GMT") && (88..=92).contains(&ahead), "{date} is {ahead} s ahead");
    let alone = json!({"endpoint": "other", "kind": "rate_limited", "retry_after_date": true});
    assert_eq!(bench.post("/_sim/faults", alone).await.0, 400);
}

#[tokio::test]
async fn a_call_is_recorded_with_its_cache_headers() {
    let bench = Bench::new().await;
    let request = bench.client.get(bench.url("/apps/v1/instance"));
    request.header("cache-control", "no-cache").header("pragma", "no-cache").send().await.unwrap();
    call(&bench, "GET", "/apps/v1/instance").await;
    let calls = bench.get("/_sim/calls").await.json::<Value>().await.unwrap();
    let headers = |at: usize| (calls["calls"][at]["cache_control"].clone(), calls["calls"][at]["pragma"].clone());
    assert_eq!(headers(0), (json!("no-cache"), json!("no-cache")));
    assert_eq!(headers(1), (Value::Null, Value::Null));
}
