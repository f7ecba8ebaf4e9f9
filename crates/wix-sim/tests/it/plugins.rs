//! Service plugin calls: the claims, their replacement, the check of the answers, and the answers of the app's back end.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use wix_sim::Settings;

use crate::bench::Bench;

const SECRET: &str = "whsec_bmV3IHNlY3JldCBvZiB0aGUgdGVzdHMsIDMyIGJ5dGVz";

fn part(jwt: &Value, number: usize) -> Value {
    let part = jwt.as_str().and_then(|jwt| jwt.split('.').nth(number)).expect("three parts");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).expect("base64url")).expect("JSON")
}

async fn claims(bench: &Bench, mut call: Value) -> Value {
    call["send"] = false.into();
    part(&bench.control("plugin-calls", call).await["jwt"], 1)
}

#[tokio::test]
async fn a_call_has_wixs_claims_and_each_can_be_replaced() {
    let bench = Bench::new().await;
    let genuine = claims(&bench, json!({ "instance_id": "an-instance" })).await;
    assert_eq!((&genuine["iss"], &genuine["aud"]), (&json!("wix.com"), &json!(bench.app.app_id)));
    assert_eq!(genuine["exp"].as_i64(), genuine["iat"].as_i64().map(|iat| iat + 60));
    let metadata = &genuine["data"]["metadata"];
    assert_eq!(metadata["instanceId"], "an-instance");
    assert_eq!(metadata["appExtensionType"], "ECOM_SHIPPING_RATES");
    assert!(genuine["data"]["request"]["lineItems"].is_array(), "{genuine}");

    let other = json!({
        "path": "/v1/run-tool", "request": { "z": 1, "a": 2 }, "metadata": { "currency": null, "languages": [] },
        "claims": { "aud": "other", "exp": null, "nbf": 7 },
    });
    let changed = claims(&bench, other).await;
    assert_eq!((&changed["aud"], &changed["nbf"], &changed["exp"]), (&json!("other"), &json!(7), &Value::Null));
    assert_eq!(changed["data"]["request"].to_string(), r#"{"a":2,"z":1}"#);
    assert_eq!(
        (&changed["data"]["metadata"]["currency"], &changed["data"]["metadata"]["languages"]),
        (&Value::Null, &json!([]))
    );
    assert_eq!(claims(&bench, json!({ "claims": { "data": "text" } })).await["data"], "text");
    assert_eq!(claims(&bench, json!({ "claims": { "data": null } })).await["data"], Value::Null);

    let message = json!({ "send": false, "message": { "alg": "HS256", "kid": "k" } });
    let made = bench.control("plugin-calls", message).await;
    assert_eq!(part(&made["jwt"], 0), json!({ "kid": "k", "alg": "HS256" }));
}

#[tokio::test]
async fn a_call_needs_the_base_uri_and_an_answer_of_the_plugins_form() {
    let bench = Bench::with(Settings { events_secrets: Some(SECRET.to_owned()), ..Settings::default() }).await;
    let (status, refusal) = bench.post("/_sim/plugin-calls", json!({})).await;
    assert!(status == 409 && refusal["error"].as_str().is_some_and(|error| error.contains("plugins_url")), "{refusal}");

    // The back end refuses a call that did not come through the app's edge.
    let patch = json!({ "plugins_url": bench.url("/_app/plugins") });
    bench.client.patch(bench.url("/_sim/app")).json(&patch).send().await.expect("an answer");
    let made = bench.control("plugin-calls", json!({})).await;
    assert_eq!(made["status"], 401, "{made}");
    assert!(made["problems"][0]["detail"].as_str().is_some_and(|detail| detail.contains("BAD_SIGNATURE")), "{made}");

    for (path, problem) in [("/_sim/app", "must be a JSON object"), ("/assets/none", "must be a JSON object")] {
        let patch = json!({ "plugins_url": bench.url(path) });
        bench.client.patch(bench.url("/_sim/app")).json(&patch).send().await.expect("an answer");
        let made = bench.control("plugin-calls", json!({})).await;
        let detail = made["problems"][0]["detail"].as_str().unwrap_or_default();
        assert!(detail.contains(problem) || detail.contains("applicationError"), "{made}");
    }
}
