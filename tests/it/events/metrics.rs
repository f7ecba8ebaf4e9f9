//! The data points for Analytics Engine, as the Worker and its objects write them in workerd.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::bed::{Bed, order};
use crate::harness::{API_KEY, TIMEOUT, guid, request};

/// The points of a route, as soon as there are so many.
#[track_caller]
fn points(bed: &Bed, route: &str, count: usize) -> Vec<Value> {
    let until = Instant::now() + TIMEOUT;
    loop {
        let all = bed.measured("points");
        let all = all.as_array().expect("points");
        let found: Vec<Value> = all.iter().filter(|point| point["blobs"][0] == route).cloned().collect();
        if found.len() >= count {
            return found;
        }
        assert!(Instant::now() < until, "{count} points of {route} are wanted: {all:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn requests_and_deliveries_write_data_points_even_if_no_line_is_logged() {
    let bed = Bed::with(|values| values.with("LOG_LEVEL", "error"));
    bed.wix.register(bed.url());
    let id = bed.wix.new_instance();
    bed.measured("reset");
    let token = || request("POST", format!("{}/v1/instances/{id}/token", bed.url()));
    token().key(API_KEY).send().expect(200);
    token().key(API_KEY).send().expect(200);
    token().send().expect(401);
    request("POST", format!("{}/webhook", bed.url())).body("x").send().expect(400);
    bed.send(&order(&id, &guid())).expect(200);

    let route = "/v1/instances/{id}/token";
    let tokens = points(&bed, route, 3);
    let blobs = |class: &str, error: &str, level: &str, source: &str, client: &str| {
        json!([route, "POST", class, "", error, level, source, "", client, "", ""])
    };
    assert_eq!(tokens[0]["indexes"], json!([route]));
    assert_eq!(tokens[0]["blobs"], blobs("2xx", "", "info", "client_credentials", "back-end"));
    assert_eq!(tokens[1]["blobs"], blobs("2xx", "", "info", "memory", "back-end"));
    assert_eq!(tokens[2]["blobs"], blobs("4xx", "unauthorized", "warn", "", ""));
    for (point, status, calls) in [(&tokens[0], 200, 1), (&tokens[1], 200, 0), (&tokens[2], 401, 0)] {
        let doubles = point["doubles"].as_array().expect("numbers");
        assert!(doubles[0].as_f64().is_some_and(|millis| millis < 60_000.0), "{point}");
        assert_eq!(doubles[1..], [json!(status), json!(calls), json!(0)], "{point}");
    }
    let webhooks = points(&bed, "/webhook", 2);
    assert_eq!(webhooks[0]["blobs"][4], "malformed_message");
    assert_eq!(webhooks[1]["blobs"][7], "stored");

    // The events of the installation may be delivered beside it.
    let until = Instant::now() + TIMEOUT;
    let is_order = |point: &Value| point["blobs"][9] == "wix.ecom.v1.order_created";
    let sent = loop {
        let sent = points(&bed, "deliver", 1).into_iter().find(is_order);
        if let Some(sent) = sent {
            break sent;
        }
        assert!(Instant::now() < until, "the order must be delivered");
        std::thread::sleep(Duration::from_millis(20));
    };
    assert_eq!(
        (&sent["blobs"][3], &sent["blobs"][10], &sent["doubles"][3]),
        (&json!("delivered"), &json!("204"), &json!(1))
    );

    let lines = bed.log.entries();
    assert!(lines.iter().all(|line| line["level"] == "error"), "{lines:?}");
    let text = bed.measured("points").to_string();
    assert!(!text.contains(&id), "a point has the id of an installation: {text}");
}

#[test]
fn metrics_that_fail_change_no_response() {
    let bed = Bed::start();
    bed.wix.register(bed.url());
    let id = bed.wix.new_instance();
    bed.measured("reset&fail=metrics");
    bed.api("POST", &format!("/v1/instances/{id}/token")).send().expect(200);
    bed.send(&order(&id, &guid())).expect(200);
    bed.wait_for_attempts(1);
    let measured = bed.measured("");
    assert!(measured["failed"].as_u64().is_some_and(|failed| failed >= 3), "{measured}");
    assert_eq!(bed.measured("points"), json!([]));
}
