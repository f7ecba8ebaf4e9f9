//! The table of the objects: an object fails when it is asked for something, or its storage fails at a statement that
//! writes. Its last column also has the events that the app got, in order.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::file::{compare, read};
use super::route::{self, Case, Route, route};
use super::table::run;
use super::trouble::{Step, failures};
use super::{PAGE, cells, is_wanted};
use crate::harness::{IN_10_MINUTES, Message, NOW, TIMEOUT, Testbed, Values};

const TABLE: &str = "object.txt";
/// The number of test beds.
const BEDS: usize = 6;

/// The route whose attempt comes after its response.
const REDELIVER: &str = "redeliver";
/// The statement that notes an attempt.
const NOTE: &str = "delivery: update events";

/// The final state of an installation that was installed by webhook, and nothing else.
const INSTALLED: &str = "installed oauth, client_credentials; AppInstalled, installed";

static ROUTES: [Route; 19] = [
    route(
        "webhook (event)",
        event,
        200,
        "installed oauth, client_credentials; AppInstalled, installed, wix.some.event",
    ),
    route("webhook (install)", route::webhook_installed, 200, INSTALLED),
    route(
        "webhook (removal)",
        route::webhook_removed,
        200,
        "removed oauth, 410; AppInstalled, installed, AppRemoved, removed",
    ),
    route(
        "webhook (plan)",
        route::webhook_plan,
        200,
        "installed oauth gold, client_credentials; AppInstalled, installed, PaidPlanPurchased, plan_changed",
    ),
    route("webhook (again)", route::webhook_again, 200, INSTALLED),
    route("redirect", route::redirect_alone, 302, "installed custom, refresh_token; installed"),
    route("connected", route::connected, 302, "installed oauth, client_credentials; installed"),
    route("connected with a ref", route::connected_with_ref, 302, "installed oauth ref, client_credentials; installed"),
    route("handoff", route::handoff, 200, "installed oauth ref, client_credentials; installed"),
    route("token by client credentials", token, 200, "installed oauth, kept; AppInstalled, installed"),
    route("token by refresh token", token_custom, 200, "installed custom, kept; AppInstalled, installed"),
    route("proxy", proxied, 200, "installed oauth, kept; AppInstalled, installed"),
    route(
        "token that Wix refuses",
        route::token_refused,
        409,
        "needs_reconnect oauth, 409; AppInstalled, installed, needs_reconnect",
    ),
    route("cron, a change to be told", cron, 200, INSTALLED),
    route("events", list, 200, INSTALLED),
    route(REDELIVER, redeliver, 202, "installed oauth, client_credentials; AppInstalled, installed, installed"),
    route("redeliver parked events", redeliver_parked, 202, INSTALLED),
    route("redeliver all parked events", redeliver_all, 202, INSTALLED),
    route("test event", test_event, 202, "installed oauth, client_credentials; AppInstalled, installed, wix-edge.test"),
];

fn with_page(values: Values) -> Values {
    values.with("AFTER_INSTALL_URL", PAGE)
}

/// An event of an installation that is known.
fn event(bed: &Testbed) -> Case {
    let id = known(bed);
    let message = Message::new("wix.some.event", &id, &json!({}));
    route::of_message(bed, id, &message)
}

/// An installation that the Worker knows from a webhook, whose events were delivered.
fn known(bed: &Testbed) -> String {
    let id = route::known(bed);
    told(bed, &id);
    id
}

/// An installation whose report was lost.
fn cron(bed: &Testbed) -> Case {
    bed.fail_objects("fail=throw&on=/report");
    let id = known(bed);
    bed.fail_objects("fail=");
    route::case(id, bed.cron(IN_10_MINUTES))
}

fn token(bed: &Testbed) -> Case {
    route::call(bed, known(bed), "POST", "/token", None)
}

fn token_custom(bed: &Testbed) -> Case {
    let id = route::custom(bed);
    told(bed, &id);
    route::call(bed, id, "POST", "/token", None)
}

fn proxied(bed: &Testbed) -> Case {
    let id = known(bed);
    bed.token(NOW, &id).expect(200);
    route::call(bed, id, "GET", "/wix/echo/v1/this", None)
}

fn list(bed: &Testbed) -> Case {
    route::call(bed, known(bed), "GET", "/events", None)
}

/// A delivered event, whose content is kept.
fn redeliver(bed: &Testbed) -> Case {
    let id = known(bed);
    let event = events(bed, &id).remove(0)["event_id"].as_str().expect("an id").to_owned();
    route::call(bed, id, "POST", &format!("/events/{event}/redeliver"), None)
}

/// None is parked.
fn redeliver_parked(bed: &Testbed) -> Case {
    let id = known(bed);
    let request = bed.api(NOW, "POST", "/v1/parked-events/redeliver").json(&json!({ "instance_id": id }));
    route::case(id, request)
}

fn redeliver_all(bed: &Testbed) -> Case {
    route::case(known(bed), bed.api(NOW, "POST", "/v1/parked-events/redeliver"))
}

fn test_event(bed: &Testbed) -> Case {
    route::case(known(bed), bed.api(NOW, "POST", "/v1/events/test"))
}

/// The events that the object of an installation has, the newest first. None if the installation is unknown.
fn events(bed: &Testbed, id: &str) -> Vec<Value> {
    let page = bed.api(NOW, "GET", &format!("/v1/instances/{id}/events")).send();
    if page.status == 404 { Vec::new() } else { page.expect(200).json()["events"].as_array().expect("events").clone() }
}

/// The events that the app got of an installation and of none, in order, if the test bed delivers events. Waits until none
/// is pending: after an error of the storage, the alarm goes on within a minute. It does not wait for the second attempt of
/// a redelivery, whose event is not pending.
pub fn told(bed: &Testbed, id: &str) -> String {
    let Some(receiver) = &bed.receiver else { return String::new() };
    let app = bed.wix.app.app_id.as_str();
    let until = Instant::now() + 3 * TIMEOUT;
    while [id, app].iter().any(|id| events(bed, id).iter().any(|event| event["state"] == "pending")) {
        assert!(Instant::now() < until, "an event of {id} is still pending");
        std::thread::sleep(Duration::from_millis(20));
    }
    let deliveries = receiver.deliveries().into_iter().map(|delivery| delivery.json());
    let deliveries = deliveries.filter(|body| body.get("instance_id").is_none_or(|of| *of == *id));
    let names: Vec<String> = deliveries
        .map(|body| {
            let name = body["type"].as_str().expect("a type");
            name.strip_prefix("installation.").unwrap_or(name).to_owned()
        })
        .collect();
    format!("; {}", names.join(", "))
}

/// Waits until no delivery goes on after its response, and returns what the objects did: they are counted after the last event.
fn at_rest(bed: &Testbed) -> Value {
    let until = Instant::now() + TIMEOUT;
    loop {
        let measured = bed.objects("");
        if measured["running"] == 0 {
            return measured;
        }
        assert!(Instant::now() < until, "a delivery still runs: {measured}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The requests to objects and their statements that write, found by a run without failures.
fn steps(bed: &Testbed, route: &Route) -> Vec<Step> {
    bed.kv.delete_where(|_| true);
    route::begin(bed);
    let case = (route.prepare)(bed);
    told(bed, &case.id);
    at_rest(bed);
    bed.objects("reset");
    let response = case.request.send().expect(route.good);
    if response.header("x-request-id").is_some() {
        bed.wait_for_tasks(&response);
    }
    told(bed, &case.id);
    let mut measured = at_rest(bed);
    if route.name == REDELIVER {
        // The event is not pending, so that nothing else waits for its attempt.
        let until = Instant::now() + TIMEOUT;
        while !measured["statements"].as_array().expect("texts").iter().any(|text| text == NOTE) {
            assert!(Instant::now() < until, "the redelivery must be noted: {measured}");
            std::thread::sleep(Duration::from_millis(20));
            measured = bed.objects("");
        }
    }
    let texts = |name: &str| -> Vec<String> {
        let texts = measured[name].as_array().expect("texts").iter();
        texts.map(|text| text.as_str().expect("a text").to_owned()).collect()
    };
    let mut calls = texts("calls");
    // Those of `told` itself.
    calls.retain(|path| path != "/events" || route.name == "events");
    calls.dedup();
    let statements =
        texts("statements").into_iter().filter(|name| !name.starts_with("/events") || route.name == "events");
    calls.into_iter().map(Step::Object).chain(statements.map(Step::Statement)).collect()
}

#[test]
fn an_object_fails_at_any_step() {
    let beds: Vec<Testbed> = std::thread::scope(|scope| {
        let starting: Vec<_> = (0..BEDS).map(|_| scope.spawn(|| Testbed::delivering(with_page))).collect();
        starting.into_iter().map(|thread| thread.join().expect("a test bed")).collect()
    });
    for bed in &beds {
        route::set_up(bed);
        // The object of the app stores its name once.
        bed.api(NOW, "POST", "/v1/events/test").send().expect(202);
    }
    let wanted = ROUTES.iter().filter(|route| is_wanted(route.name));
    let cells = wanted.flat_map(|route| cells(route, steps(&beds[0], route), failures)).collect();
    let lines = run(TABLE, cells, &beds, 1, &read(TABLE));
    compare(TABLE, lines, &ROUTES);
}
