//! `POST /oauth/access`: custom authentication (section 2).

use serde_json::{Value, json};

use crate::bench::{Bench, text};

async fn code(bench: &Bench, id: &str) -> String {
    text(&bench.control("codes", json!({"instance_id": id})).await["code"])
}

async fn refresh(bench: &Bench, token: &Value) -> (u16, Value) {
    let body = json!({
        "grant_type": "refresh_token",
        "client_id": bench.app.app_id,
        "client_secret": bench.app.app_secret,
        "refresh_token": token,
    });
    bench.post("/oauth/access/", body).await
}

#[tokio::test]
async fn the_exchange_of_a_code_returns_exactly_two_tokens() {
    let bench = Bench::new().await;
    let id = bench.install().await;
    let (status, response) = bench.exchange(&code(&bench, &id).await).await;
    assert_eq!(status, 200);
    let names: Vec<_> = response.as_object().unwrap().keys().collect();
    assert_eq!(names, ["access_token", "refresh_token"]);
    for token in ["access_token", "refresh_token"] {
        assert!(text(&response[token]).starts_with("OAUTH2."), "{token}");
    }
    assert_eq!(bench.with_token("/apps/v1/instance", &text(&response["access_token"])).await.0, 200);
    assert_eq!(bench.with_token("/apps/v1/instance", &text(&response["refresh_token"])).await.0, 401);
}

#[tokio::test]
async fn a_code_is_valid_once_and_for_ten_minutes() {
    let bench = Bench::new().await;
    let id = bench.install().await;
    let used = code(&bench, &id).await;
    assert_eq!(bench.exchange(&used).await.0, 200);
    assert_eq!(bench.exchange(&used).await.0, 400);
    let old = code(&bench, &id).await;
    bench.control("clock", json!({"advance_seconds": 601})).await;
    assert_eq!(bench.exchange(&old).await.0, 400);
    assert_eq!(bench.exchange("never-given").await.0, 400);
}

#[tokio::test]
async fn a_refresh_returns_the_same_refresh_token_and_a_five_minute_access_token() {
    let bench = Bench::new().await;
    let id = bench.install().await;
    let (_, first) = bench.exchange(&code(&bench, &id).await).await;
    let (status, second) = refresh(&bench, &first["refresh_token"]).await;
    assert_eq!(status, 200);
    assert_eq!(second["refresh_token"], first["refresh_token"]);
    assert_ne!(second["access_token"], first["access_token"]);
    let access = text(&second["access_token"]);
    bench.control("clock", json!({"advance_seconds": 301})).await;
    assert_eq!(bench.with_token("/apps/v1/instance", &access).await.0, 401);
    assert_eq!(refresh(&bench, &first["refresh_token"]).await.0, 200);
}

#[tokio::test]
async fn a_rotation_revokes_the_previous_refresh_token() {
    let bench = Bench::new().await;
    bench.switch(json!({"rotate_refresh_tokens": true})).await;
    let id = bench.install().await;
    let (_, first) = bench.exchange(&code(&bench, &id).await).await;
    let (_, second) = refresh(&bench, &first["refresh_token"]).await;
    assert_ne!(second["refresh_token"], first["refresh_token"]);
    assert_eq!(refresh(&bench, &first["refresh_token"]).await.0, 400);
    assert_eq!(refresh(&bench, &second["refresh_token"]).await.0, 200);
}

#[tokio::test]
async fn a_removal_revokes_the_refresh_token() {
    let bench = Bench::new().await;
    let id = bench.install().await;
    let (_, pair) = bench.exchange(&code(&bench, &id).await).await;
    bench.control(&format!("instances/{id}/remove"), json!({})).await;
    assert_eq!(refresh(&bench, &pair["refresh_token"]).await.0, 400);
}

#[tokio::test]
async fn camel_case_is_refused_by_default() {
    let bench = Bench::new().await;
    let id = bench.install().await;
    let body = async || {
        let code = code(&bench, &id).await;
        json!({"grantType": "authorization_code", "clientId": bench.app.app_id, "clientSecret": bench.app.app_secret, "code": code})
    };
    assert_eq!(bench.post("/oauth/access", body().await).await.0, 400);
    assert_eq!(bench.state().await["findings"][0]["rule"], "camel_case");
    bench.switch(json!({"accept_camel_case": true})).await;
    assert_eq!(bench.post("/oauth/access", body().await).await.0, 200);
}

#[tokio::test]
async fn a_wrong_secret_is_401_and_does_not_use_the_code() {
    let bench = Bench::new().await;
    let id = bench.install().await;
    let code = code(&bench, &id).await;
    let body =
        json!({"grant_type": "authorization_code", "client_id": bench.app.app_id, "client_secret": "no", "code": code});
    assert_eq!(bench.post("/oauth/access", body).await.0, 401);
    assert_eq!(bench.exchange(&code).await.0, 200);
}
