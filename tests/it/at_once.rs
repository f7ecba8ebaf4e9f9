//! Single flight: a hundred concurrent token requests cause one call to Wix, for both kinds of token, and for refusals and
//! failures too. These tests use plain workerd, since the proxy of `wrangler dev` is too slow for a hundred requests.

use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use serde_json::json;

use crate::harness::{IN_10_MINUTES, NOW, Response, Testbed};

const CALLERS: usize = 100;

static BED: LazyLock<Testbed> = LazyLock::new(|| Testbed::start(|values| values));

/// Runs the tests one after the other.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn all_at_once(request: impl Fn() -> Response + Sync) -> Vec<Response> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..CALLERS).map(|_| scope.spawn(&request)).collect();
        threads.into_iter().map(|thread| thread.join().expect("a response")).collect()
    })
}

/// Asserts that all callers get the same token. A delay makes all of them arrive before the call to Wix ends.
fn assert_one_token(id: &str, endpoint: &str, request: impl Fn() -> Response + Sync) {
    BED.wix.add_fault(id, endpoint, 1, &json!({ "kind": "delay", "delay_ms": 2000 }));
    let responses = all_at_once(request);
    let first = responses[0].clone().expect(200).json();
    for response in responses {
        assert_eq!(response.expect(200).json(), first);
    }
}

#[test]
fn a_hundred_requests_share_one_client_credentials_call() {
    let _turn = turn();
    let id = BED.wix.new_instance();
    assert_one_token(&id, "oauth2_token", || BED.token(NOW, &id));
    assert_eq!(BED.wix.called_endpoints(&id), ["oauth2_token client_credentials"]);
}

/// Ten minutes later, when the token of the installation has expired.
#[test]
fn a_hundred_requests_share_one_refresh() {
    let _turn = turn();
    let (mut jar, callback, id) = BED.prepare_callback();
    jar.get(&callback).expect(302);
    let before = BED.wix.calls(&id).len();
    assert_one_token(&id, "oauth_access", || BED.token(IN_10_MINUTES, &id));
    assert_eq!(BED.wix.called_endpoints(&id)[before..], ["oauth_access refresh_token"]);
}

#[test]
fn a_hundred_requests_share_a_refusal() {
    let _turn = turn();
    let id = BED.wix.new_instance();
    BED.wix.refuse_with(&id, "oauth2_token", 50, 404);
    for response in all_at_once(|| BED.token(NOW, &id)) {
        assert_eq!(response.expect(409).code(), "needs_reconnect");
    }
    assert_eq!(BED.wix.calls(&id).len(), 2, "a refusal and its confirmation");
}

#[test]
fn a_hundred_requests_share_a_failure() {
    let _turn = turn();
    let id = BED.wix.new_instance();
    BED.wix.fail_with(&id, "oauth2_token", 1000, 503);
    let responses = all_at_once(|| BED.token(NOW, &id));
    for response in responses {
        // The Worker's own figure: the test's hundred threads wait for the CPU too.
        let took = BED.log.of_request(response.request_id())["duration_ms"].as_u64().expect("a number");
        assert!(took < 16_000, "{took} ms: {response:?}");
        assert_eq!(response.expect(502).code(), "wix_failed");
    }
    // One flight makes four calls. A request that arrives after the flight has failed starts a second one.
    let calls = BED.wix.calls(&id).len();
    assert!((2..=8).contains(&calls), "{calls} calls to Wix");
}
