//! Faults: what the app meets, as often as was asked, before the endpoint behaves again.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::bench::{Bench, read, text};

async fn fault(bench: &Bench, kind: Value) {
    let mut fault = json!({"endpoint": "oauth2_token"});
    fault.as_object_mut().unwrap().extend(kind.as_object().unwrap().clone());
    bench.control("faults", fault).await;
}

#[tokio::test]
async fn a_status_fault_answers_empty_n_times_and_then_no_more() {
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
async fn a_rate_limit_fault_comes_with_and_without_retry_after() {
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
async fn a_delayed_answer_is_the_true_one() {
    let bench = Bench::new().await;
    let id = bench.install().await;
    fault(&bench, json!({"kind": "delay", "delay_ms": 200})).await;
    let start = Instant::now();
    bench.token(&id).await;
    assert!(start.elapsed() >= Duration::from_millis(200));
}

#[tokio::test]
async fn a_cut_connection_gives_no_answer_and_may_have_taken_effect() {
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
async fn a_body_cut_short_breaks_off_after_the_head() {
    let bench = Bench::new().await;
    let id = bench.install().await;
    fault(&bench, json!({"kind": "cut_body"})).await;
    let answer = bench.client.post(bench.url("/oauth2/token")).json(&bench.credentials(&id)).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(answer.bytes().await.is_err());
}

#[tokio::test]
async fn an_answer_can_be_malformed_of_wrong_types_or_without_a_field() {
    let bench = Bench::new().await;
    let id = bench.install().await;
    let send = async || {
        read(bench.client.post(bench.url("/oauth2/token")).json(&bench.credentials(&id)).send().await.unwrap()).await
    };
    fault(&bench, json!({"kind": "malformed_json"})).await;
    assert!(send().await.1.is_string(), "half a JSON text cannot be read");
    fault(&bench, json!({"kind": "wrong_types"})).await;
    let (status, answer) = send().await;
    assert_eq!((status, answer["expires_in"].as_str(), answer["access_token"].as_i64()), (200, Some("14400"), Some(1)));
    fault(&bench, json!({"kind": "drop_field", "field": "expires_in"})).await;
    assert!(send().await.1.get("expires_in").is_none());
    fault(&bench, json!({"kind": "replace_field", "field": "expires_in", "value": -1})).await;
    let (_, answer) = send().await;
    assert_eq!(answer["expires_in"], -1);
    assert_eq!(bench.with_token("/apps/v1/instance", &text(&answer["access_token"])).await.0, 200);
}

#[tokio::test]
async fn a_fault_that_is_not_known_is_refused_and_all_can_be_taken_back() {
    let bench = Bench::new().await;
    let (status, answer) = bench.post("/_sim/faults", json!({"endpoint": "oauth2_token", "kind": "explode"})).await;
    assert_eq!(status, 400);
    assert!(text(&answer["error"]).contains("explode"), "{answer}");
    assert_eq!(bench.post("/_sim/faults", json!({"endpoint": "nowhere", "kind": "cut"})).await.0, 400);
    fault(&bench, json!({"kind": "cut", "times": 9})).await;
    let answer = bench.client.delete(bench.url("/_sim/faults")).send().await.unwrap();
    assert_eq!(read(answer).await, (200, json!({"faults": []})));
}

#[tokio::test]
async fn the_faults_of_one_instance_can_be_taken_back_alone() {
    let bench = Bench::new().await;
    for id in ["one", "other"] {
        fault(&bench, json!({"kind": "cut", "instance_id": id})).await;
    }
    fault(&bench, json!({"kind": "cut"})).await;
    let answer = bench.client.delete(bench.url("/_sim/faults?instance_id=one")).send().await.unwrap();
    let left: Vec<Value> = read(answer).await.1["faults"].as_array().unwrap().clone();
    assert_eq!(left.iter().map(|fault| fault["instance_id"].as_str()).collect::<Vec<_>>(), [Some("other"), None]);
}
