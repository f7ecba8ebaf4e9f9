//! The app's back end: it verifies events, answers as the switch says, and lists them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Response;
use serde_json::{Value, json};
use wix_sim::Settings;

use crate::bench::{Bench, Hook};

const SECRET: &str = "whsec_bmV3IHNlY3JldCBvZiB0aGUgdGVzdHMsIDMyIGJ5dGVz";
const OLD_SECRET: &str = "whsec_b2xkIHNlY3JldCBvZiB0aGUgdGVzdHMsIDMyIGJ5dGVz";
const FOREIGN: &str = "whsec_Zm9yZWlnbiBzZWNyZXQgdGhhdCBzaWducyBub3RoaW5n";

async fn bench() -> Bench {
    let secrets = Some(format!("{SECRET},{OLD_SECRET}"));
    Bench::with(Settings { events_secrets: secrets, ..Settings::default() }).await
}

fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

fn event(sequence: u32) -> String {
    // The order of the fields in `data` must survive.
    let text = r#"{"type":"com.wix.Changed","timestamp":"2026-01-01T00:00:00Z","instance_id":"an-instance","sequence":1,
        "source":"wix","data":{"z": 1,"a":2},"identity":{},"anonymize":false}"#;
    text.replace("\"sequence\":1", &format!("\"sequence\":{sequence}"))
}

/// The signature by the specification, written without the simulator's code.
fn sign(secret: &str, id: &str, at: i64, body: &str) -> String {
    let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), format!("{id}.{at}.{body}").as_bytes());
    format!("v1,{}", STANDARD.encode(tag))
}

struct Delivery<'a> {
    id: &'a str,
    at: i64,
    signature: String,
    body: String,
}

impl<'a> Delivery<'a> {
    fn new(id: &'a str, secret: &str, body: String) -> Self {
        let at = now();
        Self { id, at, signature: sign(secret, id, at, &body), body }
    }

    fn request(&self, bench: &Bench) -> reqwest::RequestBuilder {
        let request = bench.client.post(bench.url("/_app/events")).body(self.body.clone());
        let request = request.header("webhook-id", self.id).header("webhook-timestamp", self.at);
        request.header("webhook-signature", &self.signature)
    }

    async fn send(&self, bench: &Bench) -> Response {
        self.request(bench).send().await.unwrap()
    }
}

async fn list(bench: &Bench, query: &str) -> Value {
    bench.get(&format!("/_sim/app-deliveries?{query}")).await.json().await.unwrap()
}

#[tokio::test]
async fn a_genuine_delivery_is_answered_and_listed_with_its_exact_data() {
    let bench = bench().await;
    // A number that serde cannot read.
    let body = event(17).replace("\"z\": 1", "\"z\": 1e400");
    assert_eq!(Delivery::new("id-1", SECRET, body).send(&bench).await.status(), 200);
    let text = bench.get("/_sim/app-deliveries").await.text().await.unwrap();
    assert!(text.contains(r#""data":{"z": 1e400,"a":2}"#), "{text}");
    let text = text.replace("1e400", "1");
    let all: Value = serde_json::from_str(&text).unwrap();
    let found = &all["deliveries"][0];
    for (name, value) in [
        ("webhook_id", json!("id-1")),
        ("type", json!("com.wix.Changed")),
        ("instance_id", json!("an-instance")),
        ("sequence", json!(17)),
        ("anonymize", json!(false)),
        ("attempts", json!(1)),
        ("last_answer", json!("200")),
    ] {
        assert_eq!(found[name], value, "{name}: {found}");
    }
    assert_eq!((&found["delivered"]["attempt"], &all["refused"]), (&json!(1), &json!({})));
    let state = bench.get("/_sim/state").await.text().await.unwrap();
    assert!(state.contains("id-1") && !state.contains("whsec_"), "{state}");
}

#[tokio::test]
async fn each_secret_and_each_signature_of_a_rotation_counts() {
    let bench = bench().await;
    assert_eq!(Delivery::new("id-1", OLD_SECRET, event(1)).send(&bench).await.status(), 200);
    let mut two = Delivery::new("id-2", FOREIGN, event(2));
    two.signature = format!("{} {}", two.signature, sign(SECRET, "id-2", two.at, &two.body));
    assert_eq!(two.send(&bench).await.status(), 200);
}

#[tokio::test]
async fn nothing_of_a_forged_or_old_delivery_is_stored() {
    let bench = bench().await;
    let good = || Delivery::new("id-1", SECRET, event(1));
    let old = |seconds: i64| {
        let (at, body) = (now() - seconds, event(1));
        Delivery { id: "id-1", at, signature: sign(SECRET, "id-1", at, &body), body }
    };
    let forged = [
        Delivery::new("id-1", FOREIGN, event(1)),
        Delivery { body: event(2), ..good() },
        Delivery { id: "id-2", ..good() },
        Delivery { at: now() - 1, ..good() },
        Delivery { signature: "v1,".to_owned(), ..good() },
        Delivery { signature: good().signature.replace("v1,", "v2,"), ..good() },
        old(310),
        old(-310),
    ];
    for (number, delivery) in forged.iter().enumerate() {
        assert_eq!(delivery.send(&bench).await.status(), 401, "{number}");
    }
    assert_eq!(bench.post("/_app/events", json!({})).await.0, 401);
    assert_eq!(Delivery::new("id-1", SECRET, "no event".to_owned()).send(&bench).await.status(), 400);
    let all = list(&bench, "").await;
    assert_eq!(all["deliveries"], json!([]));
    let counts = all["refused"].as_object().unwrap();
    assert_eq!(counts.values().filter_map(Value::as_u64).sum::<u64>(), 10, "{all}");
    assert_eq!(counts["webhook-timestamp must be within five minutes of this machine's clock"], 2);
    assert_eq!(old(290).send(&bench).await.status(), 200);
}

#[tokio::test]
async fn an_advanced_clock_of_the_simulator_makes_no_delivery_old() {
    let bench = bench().await;
    bench.control("clock", json!({"advance_seconds": 86_400})).await;
    assert_eq!(Delivery::new("id-1", SECRET, event(1)).send(&bench).await.status(), 200);
}

#[tokio::test]
async fn a_repeated_delivery_raises_the_count_of_its_id() {
    let bench = bench().await;
    bench.switch(json!({"app_answer": "500"})).await;
    let delivery = Delivery::new("id-1", SECRET, event(1));
    assert_eq!(delivery.send(&bench).await.status(), 500);
    assert_eq!(delivery.send(&bench).await.status(), 500);
    let found = list(&bench, "").await["deliveries"][0].clone();
    let wanted = (&json!(2), &json!("500"), &Value::Null);
    assert_eq!((&found["attempts"], &found["last_answer"], &found["delivered"]), wanted);
    bench.switch(json!({"app_answer": "200"})).await;
    for _ in 0..2 {
        assert_eq!(delivery.send(&bench).await.status(), 200);
    }
    let all = list(&bench, "webhook_id=id-1").await["deliveries"].clone();
    assert_eq!(all.as_array().unwrap().len(), 1, "{all}");
    assert_eq!((&all[0]["attempts"], &all[0]["delivered"]["attempt"]), (&json!(4), &json!(3)));
}

#[tokio::test]
async fn a_switch_sets_the_answer_and_a_reset_clears_it_with_the_list() {
    let bench = bench().await;
    let delivery = Delivery::new("id-1", SECRET, event(1));
    for (answer, status) in [("410", 410), ("500", 500), ("503", 503)] {
        bench.switch(json!({"app_answer": answer})).await;
        let response = delivery.send(&bench).await;
        assert_eq!(response.status(), status);
        assert_eq!(response.headers().get("retry-after").is_some_and(|value| value == "10"), status == 503);
    }
    bench.switch(json!({"app_retry_after_seconds": 0})).await;
    assert_eq!(delivery.send(&bench).await.headers().get("retry-after"), None);
    bench.switch(json!({"app_answer": "timeout"})).await;
    let request = delivery.request(&bench).timeout(Duration::from_millis(500));
    assert!(request.send().await.is_err_and(|error| error.is_timeout()));
    let found = list(&bench, "instance_id=an-instance&type=com.wix.Changed").await["deliveries"][0].clone();
    assert_eq!((&found["attempts"], &found["last_answer"]), (&json!(5), &json!("timeout")));
    bench.control("reset", json!({})).await;
    assert_eq!(list(&bench, "").await, json!({"deliveries": [], "refused": {}}));
    assert_eq!(delivery.send(&bench).await.status(), 200);
}

#[tokio::test]
async fn without_secrets_the_app_has_no_back_end() {
    let bench = Bench::new().await;
    assert_eq!(Delivery::new("id-1", SECRET, event(1)).send(&bench).await.status(), 503);
    assert_eq!(bench.get("/_sim/app-deliveries").await.status(), 409);
    assert_eq!(bench.state().await["app_deliveries"], Value::Null);
    for secrets in ["secret", "whsec_?", "whsec_c2hvcnQ=", &format!("{SECRET},")] {
        let settings = Settings { events_secrets: Some(secrets.to_owned()), ..Settings::default() };
        let error = wix_sim::Sim::start(settings).await.err().expect("an error").to_string();
        assert!(error.contains("each secret for events must") && !error.contains("c2hvcnQ"), "{error}");
    }
}

/// The visible text of the cells "At the app", newest first.
async fn results(bench: &Bench) -> Vec<String> {
    let page = bench.get("/?part=live").await.text().await.unwrap();
    let cells = page.split("<td class=\"at-app\">").skip(1).map(|rest| rest.split("</td>").next().unwrap());
    cells.map(|cell| cell.split('<').map(|part| part.rsplit('>').next().unwrap()).collect::<String>()).collect()
}

#[tokio::test]
async fn the_page_shows_what_became_of_each_webhook_at_the_app() {
    let hook = Hook::new(&[]).await;
    let settings = Settings {
        webhook_url: Some(hook.url.clone()),
        events_secrets: Some(SECRET.to_owned()),
        ..Settings::default()
    };
    let bench = Bench::with(settings).await;
    let instance = bench.install().await;
    bench.get("/_sim/deliveries?wait_ms=5000").await;
    assert_eq!(results(&bench).await, ["waiting"]);
    bench.control("clock", json!({"advance_seconds": 6})).await;
    assert_eq!(results(&bench).await, ["the Worker did not pass it on"]);

    let path = format!("instances/{instance}/events");
    bench.control(&path, json!({"event_type": "wix.ecom.v1.order_approved"})).await;
    let received = hook.wait_for(2).await.remove(1);
    bench.get("/_sim/deliveries?wait_ms=5000").await;
    let data: Value = serde_json::from_str(envelope(&received.body)["data"].as_str().unwrap()).unwrap();
    let body = event(17).replace("an-instance", &instance);
    let delivery = Delivery::new(data["id"].as_str().unwrap(), SECRET, body);
    bench.switch(json!({"app_answer": "500"})).await;
    delivery.send(&bench).await;
    bench.control(&path, json!({"event_type": "wix.bookings.v2.booking_created"})).await;
    bench.get("/_sim/deliveries?wait_ms=5000").await;
    let all = results(&bench).await;
    assert_eq!(all[0], "waiting behind a failing event");
    assert_eq!(all[1..], ["failing: the app answered 500; 1 attempt", "the Worker did not pass it on"]);
    bench.switch(json!({"app_answer": "timeout"})).await;
    delivery.request(&bench).timeout(Duration::from_millis(300)).send().await.unwrap_err();
    assert_eq!(results(&bench).await[1], "failing: the app gave no answer; 2 attempts");
    bench.switch(json!({"app_answer": "200"})).await;
    delivery.send(&bench).await;
    let result = results(&bench).await[1].clone();
    let (before, rest) = result.split_once(" ms, ").unwrap();
    assert!(before.starts_with("delivered (attempt 3, "), "{result}");
    assert_eq!(rest, format!("sequence 17){}", delivery.id));
    delivery.send(&bench).await;
    assert!(results(&bench).await[1].contains("and again 1 time"));

    let own = event(18).replace("com.wix.Changed", "installation.installed").replace("\"wix\"", "\"wix-edge\"");
    Delivery::new("own-1", SECRET, own).send(&bench).await;
    let results = results(&bench).await;
    assert_eq!((results.len(), results[3].as_str()), (4, "delivered (attempt 1, sequence 18)own-1"));
}

#[tokio::test]
async fn without_a_back_end_the_page_has_no_results() {
    let bench = Bench::new().await;
    bench.install().await;
    let page = bench.get("/").await.text().await.unwrap();
    assert!(page.contains(">Webhooks ") && !page.contains("At the app") && !page.contains("Events of wix-edge"));
    assert!(!page.contains("app-answer"));
}

#[tokio::test]
async fn every_sample_event_can_be_sent_with_and_without_an_instance() {
    let hook = Hook::new(&[]).await;
    let bench = Bench::with(Settings { webhook_url: Some(hook.url.clone()), ..Settings::default() }).await;
    let instance = bench.install().await;
    let page = bench.get("/").await.text().await.unwrap();
    let options = page.split("<select aria-label=\"Test event\">").nth(1).unwrap().split("</select>").next().unwrap();
    let names = options.split("value=\"").skip(1).map(|rest| rest.split('"').next().unwrap());
    let names: Vec<String> = names.map(str::to_owned).collect();
    assert_eq!(names.len(), 18);
    for (sent, name) in names.iter().enumerate() {
        bench.control(&format!("instances/{instance}/events"), json!({"event_type": name})).await;
        bench.control("events", json!({"event_type": name})).await;
        assert_eq!(hook.wait_for(2 * sent + 3).await.len(), 2 * sent + 3, "{name}");
    }
    let envelopes: Vec<Value> = hook.received().iter().map(|received| envelope(&received.body)).collect();
    let without = envelopes.iter().filter(|envelope| envelope.get("instanceId").is_none()).count();
    assert_eq!((envelopes.len(), without), (37, 18));
    assert_eq!(bench.post("/_sim/events", json!({"event_type": "Nope"})).await.0, 400);
    bench.control("events", json!({"event_type": "Nope", "data": {"a": [1, "b c"]}})).await;
    assert_eq!(envelope(&hook.wait_for(38).await[37].body)["data"], r#"{"a":[1,"b c"]}"#);
}

/// Decodes the envelope of a message.
fn envelope(jwt: &str) -> Value {
    let claims = jwt.split('.').nth(1).unwrap();
    let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(claims).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    serde_json::from_str(claims["data"].as_str().unwrap()).unwrap()
}
