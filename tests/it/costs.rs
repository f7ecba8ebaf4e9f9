//! What a request asks of Wix and of KV, route by route: the figures that no change may raise unseen. CPU has noise and is
//! measured by `cargo xtask bench`; counts have none.

use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use workerd::{Counts, Op};

use crate::harness::{API_KEY, Ask, Direct, Key, Message, NOW, guid};

/// Reads, writes, removals, lists.
type Kv = [u64; 4];
const NOTHING: Kv = [0; 4];

fn counted(stand: &Direct) -> Kv {
    let Counts { reads, writes, removals, lists } = stand.kv.counts();
    [reads, writes, removals, lists]
}

/// What a request costs in KV that leaves no work behind.
fn cost(stand: &Direct, ask: Ask, status: u16) -> Kv {
    stand.kv.forget_operations();
    ask.send().expect(status);
    counted(stand)
}

/// The same with the work after the answer, which waits for KV's one write a second.
fn cost_in_all(stand: &Direct, ask: Ask) -> Kv {
    let mut seen = cost(stand, ask, 200);
    let mut since = Instant::now();
    while since.elapsed() < Duration::from_millis(1_500) {
        sleep(Duration::from_millis(50));
        let now = counted(stand);
        if now != seen {
            (seen, since) = (now, Instant::now());
        }
    }
    seen
}

fn webhook(stand: &Direct, message: impl Into<Vec<u8>>) -> Ask {
    stand.ask(NOW, "POST", "/webhook").body(message)
}

fn event(id: &str) -> Message {
    Message::new("wix.contacts.v4.contact_created", id, &json!({ "id": id }))
}

#[test]
fn what_changes_nothing_costs_nothing_in_kv() {
    let stand = Direct::start(|values| values);
    assert_eq!(cost(&stand, stand.ask(NOW, "GET", "/healthz"), 200), NOTHING);
    assert_eq!(cost(&stand, stand.ask(NOW, "GET", "/install"), 302), NOTHING);
    assert_eq!(cost(&stand, stand.ask(NOW, "GET", "/redirect?code=1&state=2"), 403), NOTHING);
    assert_eq!(cost(&stand, stand.ask(NOW, "GET", "/v1/instances"), 401), NOTHING);
    assert_eq!(cost(&stand, webhook(&stand, "no JWT"), 400), NOTHING);
    assert_eq!(cost(&stand, webhook(&stand, event(&guid()).sign_with(&Key::generate())), 401), NOTHING);
}

#[test]
fn a_webhook_costs_a_lookup_once_and_three_writes_where_it_is_news() {
    let stand = Direct::start(|values| values);
    let id = guid();
    let data = json!({ "appId": stand.wix.app.app_id, "originInstanceId": "" });
    let installed = Message::new("AppInstalled", &id, &data).sign();
    // Fact, row, and that it is to be looked at again; afterwards one look.
    assert_eq!(cost_in_all(&stand, webhook(&stand, installed.clone())), [2, 3, 0, 2]);
    assert_eq!(cost_in_all(&stand, webhook(&stand, installed)), [1, 0, 0, 1]);
    // An ordinary event: whether the instance is there is asked once.
    assert_eq!(cost(&stand, webhook(&stand, event(&id).sign()), 200), [1, 0, 0, 0]);
    assert_eq!(cost(&stand, webhook(&stand, event(&id).sign()), 200), NOTHING);
}

#[test]
fn a_token_in_memory_costs_nothing_and_the_first_one_one_call() {
    let stand = Direct::start(|values| values);
    let id = stand.wix.installed();
    stand.wix.delivered(&id);
    sleep(Duration::from_secs(2));
    let asks = || stand.ask(NOW, "POST", &format!("/v1/instances/{id}/token")).key(API_KEY);
    let calls = || stand.wix.calls(&id).len();
    let before = calls();
    // The row, the token that another isolate may have left, and after it was made the row once more.
    assert_eq!(cost(&stand, asks(), 200), [3, 1, 0, 0]);
    assert_eq!(calls(), before + 1);
    assert_eq!(cost(&stand, asks(), 200), NOTHING);
    let proxied = stand.ask(NOW, "GET", &format!("/v1/instances/{id}/wix/apps/v1/instance")).key(API_KEY);
    assert_eq!(cost(&stand, proxied, 200), NOTHING);
    assert_eq!(calls(), before + 2);
    let shown = stand.ask(NOW, "GET", &format!("/v1/instances/{id}")).key(API_KEY);
    assert_eq!(cost(&stand, shown, 200), [1, 0, 0, 0]);
    assert_eq!(cost(&stand, stand.ask(NOW, "GET", "/v1/instances").key(API_KEY), 200), [0, 0, 0, 1]);
}

#[test]
fn a_redirect_costs_two_calls_and_one_round_of_writes() {
    let stand = Direct::start(|values| values);
    let (mut jar, callback, id) = stand.agreed();
    sleep(Duration::from_secs(2));

    stand.kv.forget_operations();
    jar.get(&callback).expect(302);
    let called: Vec<Value> = stand.wix.calls(&id);
    assert_eq!(called.len(), 2, "exchange and token info: {called:?}");
    let operations = stand.kv.operations();
    let writes: Vec<usize> = (0..operations.len()).filter(|place| operations[*place].op == Op::Write).collect();
    let keys: Vec<&str> = writes.iter().map(|place| operations[*place].key.as_str()).collect();
    // Fact, row, refresh token, what the exchange brought, and that it is to be looked at again.
    assert_eq!(keys.len(), 5, "{keys:?}");
    assert_eq!(writes[4] - writes[0], 4, "nothing between the writes: {operations:?}");
}
