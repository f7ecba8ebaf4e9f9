//! What a request asks of Wix and of KV, route by route: the figures that no change may raise unseen. CPU has noise and is
//! measured by `cargo xtask bench`; counts have none.

use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use workerd::{Counts, Op};

use crate::harness::{API_KEY, Ask, Direct, Flow, Jar, Key, Message, NOW, SOON, ask, guid};

/// Reads, writes, removals, lists.
type Kv = [u64; 4];
const NOTHING: Kv = [0; 4];

fn counted(stand: &Direct) -> Kv {
    let Counts { reads, writes, removals, lists } = stand.kv.counts();
    [reads, writes, removals, lists]
}

/// What a request costs in KV that leaves no work behind.
fn cost(stand: &Direct, ask: Ask, status: u16) -> Kv {
    stand.kv.clear_operations();
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

/// What a caller without an API key may cost: KV operations, calls to Wix, and CPU a request.
struct Budget {
    kv: Kv,
    wix: usize,
    cpu: Duration,
}

/// Cloudflare's free plan ends a request at 10 ms of CPU. These bounds are for a debugging machine that is busy; what a request
/// costs by far more than is known is a fault all the same.
const CPU: Duration = Duration::from_millis(5);
const FREE: Budget = Budget { kv: NOTHING, wix: 0, cpu: CPU };
/// How often each is asked for, so that one that costs a little each time is seen.
const TIMES: usize = 20;

/// Sends a request again and again, and holds each but the first one to a budget.
fn keeps_to(stand: &Direct, name: &str, status: u16, budget: &Budget, ask: impl Fn() -> Ask) {
    let calls = || all_calls(stand);
    ask().send().expect(status);
    settle(stand);
    stand.kv.clear_operations();
    let (calls_before, cpu_before) = (calls(), stand.cpu());
    for _ in 0..TIMES {
        ask().send().expect(status);
    }
    let cpu_after = stand.cpu();
    settle(stand);
    let times = u64::try_from(TIMES).expect("a small number");
    assert_eq!(counted(stand), budget.kv.map(|count| count * times), "{name}: operations of KV");
    assert_eq!(calls() - calls_before, budget.wix as u64 * times, "{name}: calls to Wix");
    if let (Some(before), Some(after)) = (cpu_before, cpu_after) {
        let each = after.saturating_sub(before) / u32::try_from(TIMES).expect("a small number");
        assert!(each <= budget.cpu, "{name}: {each:?} of CPU a request");
    }
}

fn all_calls(stand: &Direct) -> u64 {
    ask("GET", stand.wix.at("/_sim/calls")).send().expect(200).json()["calls"].as_array().map_or(0, Vec::len) as u64
}

/// Waits until the work after the responses has ended. It begins at once, and then waits for KV's one write a second.
fn settle(stand: &Direct) {
    sleep(Duration::from_millis(150));
    if counted(stand)[1] == 0 && stand.kv.in_flight() == 0 {
        return;
    }
    let (mut seen, mut since) = (counted(stand), Instant::now());
    while since.elapsed() < Duration::from_millis(1_600) {
        sleep(Duration::from_millis(50));
        let now = counted(stand);
        if now != seen || stand.kv.in_flight() > 0 {
            (seen, since) = (now, Instant::now());
        }
    }
}

#[test]
fn nobody_without_a_key_costs_more_than_a_budget() {
    let stand = Direct::start(|values| values);
    let get = |path: &str| stand.ask(NOW, "GET", path);
    let id = guid();
    let installed = Message::new("AppInstalled", &id, &json!({ "appId": stand.wix.app.app_id })).sign();
    let forged = event(&id).sign_with(&Key::generate());
    let long = "x".repeat(1024 * 1024);

    for (name, status) in [
        ("/", 200),
        ("/healthz", 200),
        ("/install", 302),
        ("/install/", 302),
        ("/connect", 302),
        ("/connected/done", 200),
        ("/redirect?code=1&state=2", 403),
        ("/connected?state=2", 403),
        ("/nothing", 404),
        ("/v1/nothing", 404),
        ("/v1/openapi.json", 200),
        ("/v1/instances", 401),
    ] {
        keeps_to(&stand, name, status, &FREE, || get(name));
    }
    keeps_to(&stand, "/readyz", 200, &Budget { kv: [1, 0, 0, 0], ..FREE }, || get("/readyz"));
    keeps_to(&stand, "/v1 token without a key", 401, &FREE, || {
        stand.ask(NOW, "POST", &format!("/v1/instances/{id}/token"))
    });
    keeps_to(&stand, "no JWT", 400, &FREE, || webhook(&stand, "no JWT"));
    keeps_to(&stand, "a forged webhook", 401, &FREE, || webhook(&stand, forged.clone()));
    keeps_to(&stand, "1 MiB of nothing", 400, &FREE, || webhook(&stand, long.clone()));
    keeps_to(&stand, "more than 1 MiB", 413, &FREE, || webhook(&stand, format!("{long}x")));
    // Genuine messages, again and again: nothing is written.
    keeps_to(&stand, "an installation again", 200, &Budget { kv: [1, 0, 0, 1], ..FREE }, || {
        webhook(&stand, installed.clone())
    });
    keeps_to(&stand, "an event again", 200, &FREE, || webhook(&stand, event(&id).sign()));
}

#[test]
fn a_flow_that_ended_costs_nothing_however_often_it_is_opened_again() {
    let stand = Direct::start(|values| values);
    let (jar, callback, _) = stand.agreed();
    keeps_to(&stand, "/redirect again", 302, &FREE, || jar.ask(callback.clone()));
    // Another isolate looks whether it is stored: the exchange, the fact, the row.
    let elsewhere = format!("{}?{}", callback.path(), callback.query().unwrap_or_default());
    let cookie = format!("{}={}", jar.0[0].0, jar.0[0].1);
    stand.kv.clear_operations();
    stand.ask(SOON, "GET", &elsewhere).header("cookie", cookie).send().expect(302);
    assert_eq!(counted(&stand), [3, 0, 0, 0]);

    // A code that Wix refuses is asked about once.
    let mut jar = Jar::default();
    let flow = Flow::begin_at(stand.url(), &mut jar, None);
    let made_up = format!("{}/redirect?code=made-up&state={}&instanceId={}", stand.url(), flow.state, guid());
    let made_up = url::Url::parse(&made_up).expect("a URL");
    let before = all_calls(&stand);
    for number in 0..TIMES {
        let mut url = made_up.clone();
        url.set_query(Some(&made_up.query().unwrap_or_default().replace("made-up", &format!("made-up-{number}"))));
        jar.ask(url).send().expect(400);
    }
    assert_eq!(all_calls(&stand) - before, 1);
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

    stand.kv.clear_operations();
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
