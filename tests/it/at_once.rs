//! A hundred callers at once want a token: Wix is asked once, for either kind of token and also where it says no
//! (contract 5). In workerd alone: `wrangler dev` puts a proxy before it that has enough to do with twenty.

use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use serde_json::json;

use crate::harness::{Answer, Direct, LATER, NOW};

const CALLERS: usize = 100;

static STAND: LazyLock<Direct> = LazyLock::new(|| Direct::start(|values| values));

/// One crowd at a time.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn all_at_once(ask: impl Fn() -> Answer + Sync) -> Vec<Answer> {
    std::thread::scope(|scope| {
        let asking: Vec<_> = (0..CALLERS).map(|_| scope.spawn(&ask)).collect();
        asking.into_iter().map(|thread| thread.join().expect("an answer")).collect()
    })
}

/// Everybody gets the same token. What makes it is so slow that all have come before it ends.
fn one_token(id: &str, endpoint: &str, ask: impl Fn() -> Answer + Sync) {
    STAND.wix.fault(id, endpoint, 1, &json!({ "kind": "delay", "delay_ms": 2000 }));
    let answers = all_at_once(ask);
    let first = answers[0].clone().expect(200).json();
    for answer in answers {
        assert_eq!(answer.expect(200).json(), first);
    }
}

#[test]
fn a_hundred_make_one_call_by_client_credentials() {
    let _turn = turn();
    let id = STAND.wix.installed();
    one_token(&id, "oauth2_token", || STAND.token(NOW, &id));
    assert_eq!(STAND.wix.called(&id), ["oauth2_token client_credentials"]);
}

/// Later, when the token of the installation has ended.
#[test]
fn a_hundred_make_one_call_by_refresh_token() {
    let _turn = turn();
    let (mut jar, callback, id) = STAND.agreed();
    jar.get(&callback).expect(302);
    let before = STAND.wix.calls(&id).len();
    one_token(&id, "oauth_access", || STAND.token(LATER, &id));
    assert_eq!(STAND.wix.called(&id)[before..], ["oauth_access refresh_token"]);
}

#[test]
fn a_hundred_share_a_refusal() {
    let _turn = turn();
    let id = STAND.wix.installed();
    STAND.wix.refuses(&id, "oauth2_token", 50, 404);
    for answer in all_at_once(|| STAND.token(NOW, &id)) {
        assert_eq!(answer.expect(409).code(), "needs_reconnect");
    }
    assert_eq!(STAND.wix.calls(&id).len(), 2, "one refusal alone is not believed");
}

#[test]
fn a_hundred_share_a_failure() {
    let _turn = turn();
    let id = STAND.wix.installed();
    STAND.wix.fails(&id, "oauth2_token", 1000, 503);
    let answers = all_at_once(|| STAND.token(NOW, &id));
    for answer in answers {
        // By its own clock: a hundred threads of ours wait for the machine too.
        let took = STAND.log.of_request(answer.request_id())["duration_ms"].as_u64().expect("a figure");
        assert!(took < 16_000, "{took} ms: {answer:?}");
        assert_eq!(answer.expect(502).code(), "wix_failed");
    }
    // It is asked four times; and once more so where somebody came after the first had given up.
    let asked = STAND.wix.calls(&id).len();
    assert!((2..=8).contains(&asked), "Wix was asked {asked} times");
}
