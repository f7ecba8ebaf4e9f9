//! Webhook deliveries: format, acceptance, time limit, retries, order (section 4).

use std::time::Duration;

use serde_json::{Value, json};
use wix_sim::Settings;

use crate::bench::{Bench, Hook, REDIRECT, text};

async fn bench(hook: &Hook) -> Bench {
    Bench::with(Settings { webhook_url: Some(hook.url.clone()), ..Settings::default() }).await
}

async fn deliveries(bench: &Bench, query: &str) -> Value {
    bench.get(&format!("/_sim/deliveries?{query}")).await.json().await.unwrap()
}

#[tokio::test]
async fn an_install_is_delivered_as_one_jwt_in_plain_text() {
    let hook = Hook::new(&[]).await;
    let bench = bench(&hook).await;
    bench.install().await;
    let received = &hook.wait_for(1).await[0];
    assert_eq!(received.content_type.as_deref(), Some("text/plain"));
    assert_eq!(received.body.matches('.').count(), 2);
    assert!(received.body.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)));
    let response = deliveries(&bench, "wait_ms=5000").await;
    assert_eq!(response["settled"], true);
    assert_eq!(response["deliveries"][0]["outcome"], "delivered");
    assert_eq!(response["deliveries"][0]["attempts"][0]["status"], 200);
}

#[tokio::test]
async fn a_switch_sets_or_removes_the_content_type() {
    let hook = Hook::new(&[]).await;
    let bench = bench(&hook).await;
    bench.switch(json!({"webhook_content_type": ""})).await;
    bench.install().await;
    assert_eq!(hook.wait_for(1).await[0].content_type, None);
    bench.switch(json!({"webhook_content_type": "application/jwt"})).await;
    bench.install().await;
    assert_eq!(hook.wait_for(2).await[1].content_type.as_deref(), Some("application/jwt"));
}

#[tokio::test]
async fn only_200_counts_as_delivered() {
    let hook = Hook::new(&[(204, 0), (201, 0), (302, 0), (500, 0)]).await;
    let bench = bench(&hook).await;
    bench.switch(json!({"webhook_retry_schedule_seconds": [1, 1, 1, 1], "time_scale": 100})).await;
    bench.install().await;
    let response = deliveries(&bench, "wait_ms=5000").await;
    let attempts = response["deliveries"][0]["attempts"].as_array().unwrap();
    let seen: Vec<_> = attempts.iter().map(|attempt| attempt["status"].as_u64().unwrap()).collect();
    assert_eq!(seen, [204, 201, 302, 500, 200]);
    let bodies: Vec<_> = hook.received().into_iter().map(|received| received.body).collect();
    assert!(bodies.iter().all(|body| *body == bodies[0]), "a retry must have the same bytes");
}

#[tokio::test]
async fn any_2xx_counts_as_delivered_if_the_switch_says_so() {
    let hook = Hook::new(&[(204, 0)]).await;
    let bench = bench(&hook).await;
    bench.switch(json!({"webhook_only_200": false})).await;
    bench.install().await;
    assert_eq!(deliveries(&bench, "wait_ms=5000").await["deliveries"][0]["outcome"], "delivered");
}

#[tokio::test]
async fn an_attempt_times_out_after_1250_ms() {
    let hook = Hook::new(&[(200, 2_500)]).await;
    let bench = bench(&hook).await;
    bench.install().await;
    let response = deliveries(&bench, "wait_ms=5000&until=attempted").await;
    let delivery = &response["deliveries"][0];
    assert_eq!((&delivery["outcome"], &delivery["attempts"][0]["outcome"]), (&json!("pending"), &json!("timed_out")));
    let took = delivery["attempts"][0]["duration_ms"].as_i64().unwrap();
    assert!(took >= 1_200, "{took}");
}

#[tokio::test]
async fn twelve_retries_follow_wixs_schedule_by_the_simulated_clock() {
    let hook = Hook::new(&[(500, 0); 13]).await;
    let bench = bench(&hook).await;
    bench.install().await;
    let waits = [60, 600, 3_600, 7_200, 7_200, 7_200, 14_400, 14_400, 14_400, 28_800, 28_800, 43_200];
    let mut last = Value::Null;
    for (done, wait) in waits.into_iter().enumerate() {
        hook.wait_for(done + 1).await;
        last = loop {
            let response = deliveries(&bench, "").await;
            if response["deliveries"][0]["attempts"].as_array().unwrap().len() == done + 1 {
                break response["deliveries"][0].clone();
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        let due = last["next_attempt_at_ms"].as_i64().unwrap() - last["attempts"][done]["at_ms"].as_i64().unwrap();
        assert_eq!(due, wait * 1000, "before retry {}", done + 1);
        bench.control("clock", json!({"advance_seconds": wait})).await;
    }
    assert_eq!(last["outcome"], "pending");
    let end = deliveries(&bench, "wait_ms=5000").await;
    assert_eq!(end["deliveries"][0]["outcome"], "given_up");
    assert_eq!(end["deliveries"][0]["attempts"].as_array().unwrap().len(), 13);
}

#[tokio::test]
async fn a_switch_signs_a_retry_again() {
    let hook = Hook::new(&[(500, 0)]).await;
    let bench = bench(&hook).await;
    bench.switch(json!({"webhook_retry_signature": "fresh_iat", "webhook_iat_clock": "simulated"})).await;
    bench.install().await;
    hook.wait_for(1).await;
    deliveries(&bench, "wait_ms=2000&until=attempted").await;
    bench.control("clock", json!({"advance_seconds": 60})).await;
    let received = hook.wait_for(2).await;
    assert_ne!(received[0].body, received[1].body);
}

#[tokio::test]
async fn switches_duplicate_drop_and_hold_deliveries_and_reverse_their_order() {
    let hook = Hook::new(&[]).await;
    let bench = bench(&hook).await;
    bench.switch(json!({"webhook_duplicates": 1})).await;
    bench.install().await;
    let received = hook.wait_for(2).await;
    assert_eq!(received[0].body, received[1].body);

    bench.switch(json!({"webhook_duplicates": 0, "webhook_drop": true})).await;
    bench.install().await;
    assert_eq!(deliveries(&bench, "").await["deliveries"][2]["outcome"], "dropped");

    bench.switch(json!({"webhook_drop": false, "webhook_hold": true})).await;
    let id = bench.install().await;
    bench.control(&format!("instances/{id}/remove"), json!({})).await;
    assert_eq!(hook.received().len(), 2);
    let released = bench.control("deliveries/release", json!({"reverse": true})).await;
    let ids = released["delivery_ids"].as_array().unwrap();
    assert!(ids[0].as_u64() > ids[1].as_u64(), "{released}");
    assert_eq!(hook.wait_for(4).await.len(), 4);
}

#[tokio::test]
async fn a_switch_sends_the_webhook_before_or_after_the_redirect() {
    let hook = Hook::new(&[(200, 150)]).await;
    let bench = bench(&hook).await;
    let path = format!("/installer/install?appId={}&redirectUrl={}", bench.app.app_id, REDIRECT.replace('?', "%3F"));
    bench.switch(json!({"auto_approve": true, "webhook_order": "before_redirect"})).await;
    assert_eq!(bench.get(&path).await.status(), 302);
    let response = deliveries(&bench, "").await;
    assert_eq!(response["deliveries"][0]["outcome"], "delivered");
    bench.switch(json!({"webhook_order": "after_redirect", "webhook_after_redirect_ms": 800})).await;
    assert_eq!(bench.get(&path).await.status(), 302);
    assert_eq!(deliveries(&bench, "").await["deliveries"].as_array().unwrap().len(), 1);
    hook.wait_for(2).await;
}

#[tokio::test]
async fn without_a_webhook_url_a_delivery_is_recorded_as_not_configured() {
    let bench = Bench::new().await;
    bench.install().await;
    assert_eq!(deliveries(&bench, "").await["deliveries"][0]["outcome"], "not_configured");
}

#[tokio::test]
async fn a_hand_made_message_is_sent_once_and_its_delivery_returned() {
    let hook = Hook::new(&[(401, 0)]).await;
    let bench = bench(&hook).await;
    let made = bench.control("webhooks", json!({"key": "other", "content_type": "application/json"})).await;
    assert_eq!(made["delivery"]["outcome"], "given_up");
    assert_eq!(made["delivery"]["attempts"][0]["status"], 401);
    assert_eq!(hook.received()[0].body, text(&made["jwt"]));
    assert_eq!(hook.received()[0].content_type.as_deref(), Some("application/json"));
    let made = bench.control("webhooks", json!({"send": false})).await;
    assert_eq!((made.get("delivery"), hook.received().len()), (None, 1));
}

#[tokio::test]
async fn an_event_without_sample_data_needs_data() {
    let hook = Hook::new(&[]).await;
    let bench = bench(&hook).await;
    let id = bench.install().await;
    let path = format!("instances/{id}/events");
    bench.control(&path, json!({"event_type": "InvoiceStatusUpdated"})).await;
    assert_eq!(bench.post(&format!("/_sim/{path}"), json!({"event_type": "Nope"})).await.0, 400);
    bench.control(&path, json!({"event_type": "Nope", "data": {"z": 1, "a": 2}})).await;
    assert_eq!(hook.wait_for(3).await.len(), 3);
    bench.control("test-webhook", json!({})).await;
    assert_eq!(hook.wait_for(4).await.len(), 4);
}

#[tokio::test]
async fn the_test_button_sends_sample_data_of_another_app() {
    let hook = Hook::new(&[]).await;
    let bench = bench(&hook).await;
    let events = ["AppInstalled", "AppRemoved", "PaidPlanPurchased", "PaidPlanChanged", "PlanTransferred"];
    for event in events {
        bench.control("test-webhook", json!({"event_type": event})).await;
    }
    for (event, received) in events.iter().zip(hook.wait_for(events.len()).await) {
        let (envelope, data) = decode(&received.body);
        assert_eq!((envelope["eventType"].as_str(), envelope.get("identity")), (Some(*event), None));
        assert!(envelope["data"].as_str().unwrap().ends_with("} "), "{event}: pretty-printed with a trailing space");
        assert_ne!(data["appId"], bench.app.app_id.as_str(), "{event}");
        assert_eq!(data.get("appId").is_some(), event.starts_with("App"), "{event}");
    }
    let named = json!({"event_type": "AppRemoved", "app_id": bench.app.app_id, "instance_id": "an-instance"});
    bench.control("test-webhook", named).await;
    let (envelope, data) = decode(&hook.wait_for(events.len() + 1).await[events.len()].body);
    assert_eq!((&envelope["instanceId"], &data["appId"]), (&json!("an-instance"), &json!(bench.app.app_id)));
}

/// Decodes the envelope and the inner data of a message.
pub fn decode(jwt: &str) -> (Value, Value) {
    use base64::Engine as _;
    let claims = jwt.split('.').nth(1).unwrap();
    let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(claims).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    let envelope: Value = serde_json::from_str(claims["data"].as_str().unwrap()).unwrap();
    let data = serde_json::from_str(envelope["data"].as_str().unwrap()).unwrap();
    (envelope, data)
}
