//! Beside the tables: what takes more than one request to see.

use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::json;
use workerd::{Fault, Kind, Op};

use super::route::{at_wix, callback, installed_message, known};
use super::stand;
use crate::harness::{Direct, LATER, Message, NOW};

/// One for all of these tests, one after the other: what goes wrong with KV does so for every instance.
fn start() -> MutexGuard<'static, Direct> {
    static STAND: LazyLock<Mutex<Direct>> = LazyLock::new(|| Mutex::new(stand(false)));
    let stand = STAND.lock().unwrap_or_else(PoisonError::into_inner);
    stand.kv.clear_faults();
    stand
}

/// The grants that Wix was asked for.
fn grants(stand: &Direct, id: &str) -> Vec<String> {
    stand.wix.calls(id).iter().filter_map(|call| call["grant_type"].as_str().map(str::to_owned)).collect()
}

#[test]
fn a_browser_that_leaves_in_the_middle_of_the_redirect_does_not_lose_the_token() {
    let stand = start();
    for endpoint in ["oauth_access", "token_info"] {
        let id = at_wix(&stand);
        let case = callback(&stand, &id);
        stand.wix.fault(&id, endpoint, 1, &json!({ "kind": "delay", "delay_ms": 3_000 }));
        // It leaves while the call is at Wix, which has taken the fault then.
        case.ask.send_and_leave(|| stand.wix.until_faults_are_met(&id));
        assert!(stand.kv.entries(&format!("v1:refresh:{id}")).is_empty(), "{endpoint}: it left too late");
        stand.log.wait_for("the end of the redirect", |entry| {
            entry["route"] == "task settle" && entry["instance_id"] == id.as_str()
        });
        stand.token(LATER, &id).expect(200);
        assert_eq!(grants(&stand, &id), ["authorization_code", "refresh_token"], "{endpoint}");
    }
}

#[test]
fn an_exchange_that_could_not_be_stored_is_said_and_client_credentials_work_later() {
    let stand = start();
    let id = at_wix(&stand);
    let case = callback(&stand, &id);
    stand.kv.add_fault(Fault::new(Kind::Status(500)).on(Op::Write));
    stand.kv.clear_operations();
    let page = case.ask.send().expect(503);
    assert!(page.text().contains("could not save") && page.text().contains(page.request_id()), "{page:?}");
    let rounds = stand.kv.operations().iter().filter(|operation| operation.key.starts_with("v1:todo:")).count();
    assert_eq!(rounds, 3, "the recheck is stored first, and each attempt begins with it");

    // Nobody reloads the page. Wix's message comes when KV is well again.
    stand.kv.clear_faults();
    let message = installed_message(&stand, &id).sign();
    stand.settled(&stand.ask(NOW, "POST", "/webhook").body(message).send().expect(200));
    stand.token(LATER, &id).expect(200);
    assert_eq!(grants(&stand, &id), ["authorization_code", "client_credentials"]);
}

#[test]
fn one_write_a_second_to_a_key_loses_nothing() {
    let stand = start();
    stand.kv.add_fault(Fault::new(Kind::WriteRate).on(Op::Write));
    let send = |plan: &str| stand.ask(NOW, "POST", "/webhook").body(plan).send();
    // The row was written a moment ago; where the machine took a second over it, once more.
    let try_at_once = || {
        let (id, written) = (known(&stand), Instant::now());
        let plan = Message::new("PaidPlanPurchased", &id, &json!({ "vendorProductId": "gold" })).sign();
        let answer = send(&plan);
        let was_late = answer.status == 200 && written.elapsed() > Duration::from_millis(500);
        (!was_late).then_some((id, plan, answer))
    };
    let (id, plan, answer) = (0..20).find_map(|_| try_at_once()).expect("two messages within a second");
    assert_eq!(answer.expect(503).code(), "store_failed");
    // The redirect has the time to wait.
    stand.settled(&callback(&stand, &id).ask.send().expect(302));
    std::thread::sleep(Duration::from_millis(1_100));
    stand.settled(&send(&plan).expect(200));
    let record = stand.api(LATER, "GET", &format!("/v1/instances/{id}")).send().expect(200).json();
    assert_eq!(
        (&record["plan"], &record["auth"], &record["status"]),
        (&json!("gold"), &json!("custom"), &json!("installed"))
    );
}

#[test]
fn a_code_that_was_used_while_wix_could_not_say_whose_it_is_is_not_lost() {
    let stand = start();
    let id = at_wix(&stand);
    let case = callback(&stand, &id);
    stand.wix.fails(&id, "token_info", 4, 503);
    case.ask.clone().send().expect(502);
    stand.settled(&case.ask.send().expect(302));
    stand.token(LATER, &id).expect(200);
    assert_eq!(grants(&stand, &id), ["authorization_code", "refresh_token"]);
}
