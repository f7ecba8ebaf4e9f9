//! The app's records, which the page fetches from the app.

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use serde_json::{Value, json};
use wix_sim::Settings;

use crate::bench::Bench;

async fn app(response: &'static str) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1/instances", listener.local_addr().unwrap());
    let list = async move |headers: HeaderMap| match headers.get("authorization") {
        Some(key) if key == "Bearer k1" => (StatusCode::OK, response),
        _ => (StatusCode::UNAUTHORIZED, ""),
    };
    let router = Router::new().route("/v1/instances", get(list));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    url
}

async fn bench(response: &'static str, key: &str) -> Bench {
    let (url, key) = (Some(app(response).await), Some(key.to_owned()));
    Bench::with(Settings { app_records_url: url, app_records_key: key, ..Settings::default() }).await
}

#[tokio::test]
async fn the_apps_records_are_shown_and_its_key_is_not() {
    let bench = bench(r#"{"instances":[{"instance_id":"a-1","status":"<b>","installed_at":0}]}"#, "k1").await;
    let records: Value = bench.get("/_sim/app-records").await.json().await.unwrap();
    assert_eq!(records["answer"]["instances"][0]["instance_id"], "a-1");
    let part = bench.get("/?part=records").await.text().await.unwrap();
    assert!(part.contains("&lt;b&gt;") && part.contains("00:00:00") && !part.contains("k1"), "{part}");
}

#[tokio::test]
async fn an_error_status_and_a_response_without_a_list_are_reported() {
    let refused = bench("{}", "wrong").await.get("/_sim/app-records").await.json::<Value>().await.unwrap();
    assert!(refused["error"].as_str().unwrap().contains("401"), "{refused}");
    let part = bench("[1]", "k1").await.get("/?part=records").await.text().await.unwrap();
    assert!(part.contains("must have a list of instances"), "{part}");
    let none: Value = Bench::new().await.get("/_sim/app-records").await.json().await.unwrap();
    assert_eq!(none, json!({"configured": false}));
}
