//! `POST /apps/v1/bi-event` and `GET /apps/v1/instance` (sections 1.4, 6, 7 and 9).

use serde_json::{Value, json};

use crate::bench::{Bench, read};

async fn send(bench: &Bench, token: &str, body: Value) -> (u16, Value) {
    let request = bench.client.post(bench.url("/apps/v1/bi-event")).header("authorization", token).json(&body);
    read(request.send().await.unwrap()).await
}

#[tokio::test]
async fn app_finished_configuration_clears_the_badge_and_later_installs_start_with_it() {
    let bench = Bench::new().await;
    let id = bench.install().await;
    assert_eq!(bench.state().await["instances"][0]["setup_incomplete"], false);
    let token = bench.token(&id).await;
    assert_eq!(send(&bench, &token, json!({"eventName": "APP_FINISHED_CONFIGURATION"})).await, (200, json!({})));
    let state = bench.state().await;
    assert_eq!(state["instances"][0]["configured"], true);
    assert_eq!(state["bi_events"][0]["event_name"], "APP_FINISHED_CONFIGURATION");
    assert_eq!(bench.control("installs", json!({})).await["instance"]["setup_incomplete"], true);
}

#[tokio::test]
async fn an_invalid_event_is_400_and_names_the_field() {
    let bench = Bench::new().await;
    let token = bench.token(&bench.install().await).await;
    let cases = [
        (json!({}), "eventName"),
        (json!({"eventName": "UNKNOWN"}), "eventName"),
        (json!({"eventName": "CUSTOM"}), "customEventName"),
        (json!({"eventName": "CUSTOM", "customEventName": "x"}), "customEventName"),
        (json!({"eventName": "CUSTOM", "customEventName": 12}), "customEventName"),
        (json!({"eventName": "CHARGE"}), "eventData.sum"),
        (json!({"eventName": "FUNDS_RETURNED", "eventData": {"currency": "USD"}}), "eventData.sum"),
        (json!({"eventName": "CHARGE", "eventData": {"sum": 5.99}}), "eventData.sum"),
        (json!({"eventName": "APP_UPGRADED", "eventData": []}), "eventData"),
    ];
    for (body, field) in cases {
        let (status, response) = send(&bench, &token, body.clone()).await;
        assert_eq!(status, 400, "{body}");
        assert_eq!(response["details"]["validationError"]["fieldViolations"][0]["field"], field, "{body}");
    }
    assert_eq!(bench.state().await["bi_events"], json!([]));
    let good = json!({"eventName": "CHARGE", "eventData": {"sum": "5.99", "anything": "else"}});
    assert_eq!(send(&bench, &token, good).await.0, 200);
    bench.switch(json!({"validate_bi_events": false})).await;
    assert_eq!(send(&bench, &token, json!({"eventName": "CUSTOM"})).await.0, 200);
}

#[tokio::test]
async fn a_missing_token_an_unknown_token_and_a_missing_permission_are_refused() {
    let bench = Bench::new().await;
    let body = json!({"eventName": "APP_UPGRADED"});
    assert_eq!(bench.post("/apps/v1/bi-event", body.clone()).await.0, 401);
    let (status, response) = send(&bench, "garbage", body.clone()).await;
    assert_eq!((status, &response["details"]["applicationError"]["code"]), (401, &json!("UNAUTHENTICATED")));
    let token = bench.token(&bench.install().await).await;
    bench.switch(json!({"permission_send_bi_events": false, "permission_manage_app_instance": false})).await;
    assert_eq!(send(&bench, &token, body).await.0, 403);
    assert_eq!(bench.with_token("/apps/v1/instance", &token).await.0, 403);
}

#[tokio::test]
async fn a_switch_rejects_each_form_of_the_authorization_header() {
    let bench = Bench::new().await;
    let token = bench.token(&bench.install().await).await;
    bench.switch(json!({"accept_raw_authorization": false})).await;
    assert_eq!(bench.with_token("/apps/v1/instance", &token).await.0, 401);
    bench.switch(json!({"accept_raw_authorization": true, "accept_bearer_authorization": false})).await;
    assert_eq!(bench.with_token("/apps/v1/instance", &format!("Bearer {token}")).await.0, 401);
    assert_eq!(bench.with_token("/apps/v1/instance", &token).await.0, 200);
}

#[tokio::test]
async fn a_site_id_header_is_recorded_as_a_finding() {
    let bench = Bench::new().await;
    let token = bench.token(&bench.install().await).await;
    let request = bench.client.get(bench.url("/apps/v1/instance")).header("authorization", token);
    request.header("wix-site-id", "x").send().await.unwrap();
    assert_eq!(bench.state().await["findings"][0]["rule"], "forbidden_header");
}

#[tokio::test]
async fn get_app_instance_returns_the_plan_of_a_plan_event() {
    let bench = Bench::new().await;
    let id = bench.install().await;
    let token = bench.token(&id).await;
    assert_eq!(bench.with_token("/apps/v1/instance", &token).await.1["instance"]["isFree"], true);
    bench.control(&format!("instances/{id}/events"), json!({"event_type": "PaidPlanChanged"})).await;
    let (_, response) = bench.with_token("/apps/v1/instance", &token).await;
    assert_eq!(response["instance"]["isFree"], false);
    assert_eq!(response["instance"]["billing"]["packageName"], "max_plan");
    assert_eq!(response["site"]["siteId"], bench.state().await["sites"][0]["site_id"]);
}

#[tokio::test]
async fn the_rate_limit_applies_to_each_instance_and_minute() {
    let bench = Bench::new().await;
    bench.switch(json!({"rate_limit_per_minute": 5})).await;
    let (one, other) = (bench.install().await, bench.install().await);
    let token = bench.token(&one).await;
    for _ in 0..4 {
        assert_eq!(bench.with_token("/apps/v1/instance", &token).await.0, 200);
    }
    let (status, response) = bench.with_token("/apps/v1/instance", &token).await;
    assert_eq!((status, &response["details"]["applicationError"]["code"]), (429, &json!("RESOURCE_EXHAUSTED")));
    bench.token(&other).await;
    bench.control("clock", json!({"advance_seconds": 61})).await;
    assert_eq!(bench.with_token("/apps/v1/instance", &token).await.0, 200);
    assert_eq!(bench.state().await["switches"]["rate_limit_per_minute"], 5);
}

#[tokio::test]
async fn other_paths_need_a_token_and_are_404_or_echo_the_call() {
    let bench = Bench::new().await;
    let token = bench.token(&bench.install().await).await;
    assert_eq!(bench.get("/stores/v1/products").await.status(), 401);
    assert_eq!(bench.with_token("/stores/v1/products", &token).await.0, 404);
    bench.switch(json!({"echo_other_paths": true})).await;
    let (status, response) = bench.with_token("/stores/v1/products?limit=3", &token).await;
    assert_eq!(
        (status, &response["path"], &response["query"]),
        (200, &json!("/stores/v1/products"), &json!("limit=3"))
    );
    assert!(!response.to_string().contains(&token));
}
