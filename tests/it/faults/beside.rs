//! Failures that need more than one request, and so do not fit into the tables.

use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::json;
use workerd::{Fault, Kind, Op};

use super::bed;
use super::route::{at_wix, callback, installed_message, known};
use crate::harness::{IN_10_MINUTES, Message, NOW, Testbed};

/// The shared test bed. The tests run one after the other, since a fault of KV applies to all instances.
fn start() -> MutexGuard<'static, Testbed> {
    static BED: LazyLock<Mutex<Testbed>> = LazyLock::new(|| Mutex::new(bed(false)));
    let bed = BED.lock().unwrap_or_else(PoisonError::into_inner);
    bed.kv.clear_faults();
    bed
}

/// The grant types of the calls to Wix.
fn grants(bed: &Testbed, id: &str) -> Vec<String> {
    bed.wix.calls(id).iter().filter_map(|call| call["grant_type"].as_str().map(str::to_owned)).collect()
}

#[test]
fn a_redirect_whose_connection_is_reset_still_stores_the_token() {
    let bed = start();
    for endpoint in ["oauth_access", "token_info"] {
        let id = at_wix(&bed);
        let case = callback(&bed, &id);
        bed.wix.add_fault(&id, endpoint, 1, &json!({ "kind": "delay", "delay_ms": 3_000 }));
        // The browser leaves while the call to Wix is in flight: the simulator has applied the fault.
        case.request.send_and_leave(|| bed.wix.wait_until_faults_applied(&id));
        assert!(bed.kv.entries(&format!("v1:refresh:{id}")).is_empty(), "{endpoint}: the browser left too late");
        bed.log.wait_for("the deferred task of the redirect", |entry| {
            entry["route"] == "task settle" && entry["instance_id"] == id.as_str()
        });
        bed.token(IN_10_MINUTES, &id).expect(200);
        assert_eq!(grants(&bed, &id), ["authorization_code", "refresh_token"], "{endpoint}");
    }
}

#[test]
fn an_unstored_exchange_shows_an_error_page_and_client_credentials_work_later() {
    let bed = start();
    let id = at_wix(&bed);
    let case = callback(&bed, &id);
    bed.kv.add_fault(Fault::new(Kind::Status(500)).on(Op::Write));
    bed.kv.clear_operations();
    let page = case.request.send().expect(503);
    assert!(page.text().contains("install_not_stored") && page.text().contains(page.request_id()), "{page:?}");
    let rounds = bed.kv.operations().iter().filter(|operation| operation.key.starts_with("v1:todo:")).count();
    assert_eq!(rounds, 3, "each of the three attempts must store the recheck first");

    // The browser does not reload the page. The webhook arrives after KV has recovered.
    bed.kv.clear_faults();
    let message = installed_message(&bed, &id).sign();
    bed.wait_for_tasks(&bed.request(NOW, "POST", "/webhook").body(message).send().expect(200));
    bed.token(IN_10_MINUTES, &id).expect(200);
    assert_eq!(grants(&bed, &id), ["authorization_code", "client_credentials"]);
}

#[test]
fn kvs_limit_of_one_write_a_second_loses_no_fact() {
    let bed = start();
    bed.kv.add_fault(Fault::new(Kind::WriteRate).on(Op::Write));
    let send = |plan: &str| bed.request(NOW, "POST", "/webhook").body(plan).send();
    // The test needs two writes of the row within a second. It retries on a machine that is too slow for that.
    let try_at_once = || {
        let (id, written) = (known(&bed), Instant::now());
        let plan = Message::new("PaidPlanPurchased", &id, &json!({ "vendorProductId": "gold" })).sign();
        let response = send(&plan);
        let was_late = response.status == 200 && written.elapsed() > Duration::from_millis(500);
        (!was_late).then_some((id, plan, response))
    };
    let (id, plan, response) = (0..20).find_map(|_| try_at_once()).expect("two messages within a second");
    assert_eq!(response.expect(503).code(), "store_failed");
    // The redirect retries the write until it succeeds.
    bed.wait_for_tasks(&callback(&bed, &id).request.send().expect(302));
    std::thread::sleep(Duration::from_millis(1_100));
    bed.wait_for_tasks(&send(&plan).expect(200));
    let record = bed.api(IN_10_MINUTES, "GET", &format!("/v1/instances/{id}")).send().expect(200).json();
    assert_eq!(
        (&record["plan"], &record["auth"], &record["status"]),
        (&json!("gold"), &json!("custom"), &json!("installed"))
    );
}

#[test]
fn an_exchanged_code_survives_a_failure_of_token_info() {
    let bed = start();
    let id = at_wix(&bed);
    let case = callback(&bed, &id);
    bed.wix.fail_with(&id, "token_info", 4, 503);
    case.request.clone().send().expect(502);
    bed.wait_for_tasks(&case.request.send().expect(302));
    bed.token(IN_10_MINUTES, &id).expect(200);
    assert_eq!(grants(&bed, &id), ["authorization_code", "refresh_token"]);
}
