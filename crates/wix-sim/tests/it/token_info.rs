//! `POST /oauth2/token-info` (section 1.5).

use serde_json::{Value, json};

use crate::bench::{Bench, text};

async fn info(bench: &Bench, token: &str) -> (u16, Value) {
    bench.post("/oauth2/token-info", json!({"token": token})).await
}

#[tokio::test]
async fn a_live_token_is_introspected_with_booleans_and_numbers() {
    let bench = Bench::new().await;
    let id = bench.install().await;
    let (status, response) = info(&bench, &bench.token(&id).await).await;
    assert_eq!(status, 200);
    assert_eq!(response["active"], true);
    assert_eq!(response["subjectType"], "APP");
    assert_eq!(response["clientId"], bench.app.app_id.as_str());
    assert_eq!(response["instanceId"], id.as_str());
    assert_eq!(response["exp"].as_i64().unwrap() - response["iat"].as_i64().unwrap(), 14_400);
}

#[tokio::test]
async fn a_switch_selects_the_strings_of_the_documentation_sample() {
    let bench = Bench::new().await;
    bench.switch(json!({"token_info_strings": true, "token_info_account_id": false})).await;
    let token = bench.token(&bench.install().await).await;
    let (_, response) = info(&bench, &token).await;
    assert_eq!(response["active"], "true");
    assert!(response["exp"].as_str().unwrap().parse::<i64>().is_ok());
    assert!(response.get("accountId").is_none());
    assert_eq!(info(&bench, "garbage").await.1["active"], "false");
}

#[tokio::test]
async fn an_unknown_or_expired_token_is_inactive_or_refused_if_the_switch_says_so() {
    let bench = Bench::new().await;
    let token = bench.token(&bench.install().await).await;
    bench.control("clock", json!({"advance_seconds": 14_401})).await;
    for token in [token.as_str(), "garbage"] {
        assert_eq!(info(&bench, token).await, (200, json!({"active": false})));
    }
    bench.switch(json!({"token_info_unknown_status": 401})).await;
    assert_eq!(info(&bench, &token).await.0, 401);
    assert_eq!(bench.post("/oauth2/token-info", json!({})).await.0, 400);
}

#[tokio::test]
async fn a_signed_instance_value_is_introspected_until_it_expires_after_four_hours() {
    let bench = Bench::new().await;
    let id = bench.install().await;
    let signed = text(&bench.control("signed-instance", json!({"instance_id": id})).await["instance"]);
    let (_, response) = info(&bench, &signed).await;
    assert_eq!((&response["active"], &response["subjectType"]), (&json!(true), &json!("USER")));
    assert_eq!(response["instanceId"], id.as_str());

    let body = json!({"instance_id": id, "secret": "another"});
    let forged = text(&bench.control("signed-instance", body).await["instance"]);
    assert_eq!(info(&bench, &forged).await.1["active"], false);
    bench.control("clock", json!({"advance_seconds": 14_401})).await;
    assert_eq!(info(&bench, &signed).await.1["active"], false);
}

#[tokio::test]
async fn a_signed_instance_value_is_refused_as_an_access_token() {
    let bench = Bench::new().await;
    let id = bench.install().await;
    let signed = text(&bench.control("signed-instance", json!({"instance_id": id})).await["instance"]);
    assert_eq!(bench.with_token("/apps/v1/instance", &signed).await.0, 400);
}

#[tokio::test]
async fn the_dates_and_fields_of_a_signed_instance_can_be_set() {
    let bench = Bench::new().await;
    let id = bench.install().await;
    let signed = async |fields: Value| {
        let mut body = json!({"instance_id": id});
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        payload(&text(&bench.control("signed-instance", body).await["instance"]))
    };
    let seconds = |value: &Value| value.as_str().map(|text| text.parse::<jiff::Timestamp>().unwrap().as_second());
    let now = jiff::Timestamp::now().as_second();
    let near = |value: &Value, offset: i64| (seconds(value).unwrap() - now - offset).abs() <= 2;

    let past = signed(json!({"sign_date_offset_seconds": -2_000})).await;
    assert!(near(&past["signDate"], -2_000) && near(&past["expirationDate"], 4 * 3_600 - 2_000), "{past}");
    let ended = signed(json!({"sign_date_offset_seconds": -100, "expiration_date_offset_seconds": -10})).await;
    assert!(near(&ended["signDate"], -100) && near(&ended["expirationDate"], -10), "{ended}");
    let undated = signed(json!({"omit": ["signDate"], "demo_mode": true, "overrides": {"uid": null}})).await;
    assert_eq!((undated.get("signDate"), &undated["demoMode"]), (None, &json!(true)));
    assert!(undated["uid"].is_null() && near(&undated["expirationDate"], 4 * 3_600), "{undated}");
}

fn payload(value: &str) -> Value {
    use base64::Engine as _;
    let data = value.split('.').nth(1).unwrap();
    serde_json::from_slice(&base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(data).unwrap()).unwrap()
}
