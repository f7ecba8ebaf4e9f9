//! The numbers of KV operations and of calls to Wix for each route. A change that increases one must change this file.
//! Counts have no noise; `cargo xtask bench` measures CPU, which has.

use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use workerd::{Counts, Op};

use crate::harness::{
    API_KEY, Flow, IN_1_MINUTE, Jar, Key, Message, NOW, Request, Testbed, guid, request, with_plugins,
};

/// Numbers of reads, writes, removals and lists.
type Kv = [u64; 4];
const NO_OPERATIONS: Kv = [0; 4];

fn counts(bed: &Testbed) -> Kv {
    let Counts { reads, writes, removals, lists } = bed.kv.counts();
    [reads, writes, removals, lists]
}

/// The KV operations of a request without deferred tasks.
fn cost(bed: &Testbed, request: Request, status: u16) -> Kv {
    bed.kv.clear_operations();
    request.send().expect(status);
    counts(bed)
}

/// The KV operations of a request with its deferred tasks, which wait for KV's limit of one write a second.
fn cost_with_tasks(bed: &Testbed, request: Request) -> Kv {
    let mut seen = cost(bed, request, 200);
    let mut since = Instant::now();
    while since.elapsed() < Duration::from_millis(1_500) {
        sleep(Duration::from_millis(50));
        let now = counts(bed);
        if now != seen {
            (seen, since) = (now, Instant::now());
        }
    }
    seen
}

/// The budget of a request without an API key: KV operations, calls to Wix, CPU.
struct Budget {
    kv: Kv,
    wix: usize,
    cpu: Duration,
}

/// Cloudflare's free plan ends a request after 10 ms of CPU. This bound is generous, since the test machine may be busy:
/// it catches a request that costs several times more than it should.
const MAX_CPU: Duration = Duration::from_millis(5);
const NO_COST: Budget = Budget { kv: NO_OPERATIONS, wix: 0, cpu: MAX_CPU };
/// How often the CPU time is measured before it counts as exceeded.
const CPU_ROUNDS: usize = 3;
/// The number of repetitions, which add up to make a small cost of each request visible.
const REPETITIONS: usize = 20;

/// Sends a request repeatedly, and asserts that each but the first keeps to a budget. On a slow machine single measurements of
/// an unchanged build differ by a fifth, so that the lowest of some rounds counts: a higher cost raises all of them.
fn assert_budget(bed: &Testbed, name: &str, status: u16, budget: &Budget, request: impl Fn() -> Request) {
    request().send().expect(status);
    let mut rounds = (0..CPU_ROUNDS).filter_map(|_| round(bed, name, status, budget, &request)).peekable();
    // Where CPU time cannot be measured, the operations alone are asserted.
    let is_measured = rounds.peek().is_some();
    let is_within = rounds.any(|each| each <= budget.cpu);
    assert!(is_within || !is_measured, "{name}: more than {:?} of CPU for each request", budget.cpu);
}

/// Returns the CPU time of each request, if it can be measured.
fn round(bed: &Testbed, name: &str, status: u16, budget: &Budget, request: impl Fn() -> Request) -> Option<Duration> {
    let calls = || all_calls(bed);
    wait_until_idle(bed);
    bed.kv.clear_operations();
    let (calls_before, cpu_before) = (calls(), bed.cpu());
    for _ in 0..REPETITIONS {
        request().send().expect(status);
    }
    let cpu_after = bed.cpu();
    wait_until_idle(bed);
    let times = u64::try_from(REPETITIONS).expect("a number that fits");
    assert_eq!(counts(bed), budget.kv.map(|count| count * times), "{name}: KV operations");
    assert_eq!(calls() - calls_before, budget.wix as u64 * times, "{name}: calls to Wix");
    Some(cpu_after?.saturating_sub(cpu_before?) / u32::try_from(REPETITIONS).expect("a number that fits"))
}

fn all_calls(bed: &Testbed) -> u64 {
    request("GET", bed.wix.at("/_sim/calls")).send().expect(200).json()["calls"].as_array().map_or(0, Vec::len) as u64
}

/// Waits until the deferred tasks have ended. They start at once, and pause up to a second between writes to one key.
fn wait_until_idle(bed: &Testbed) {
    sleep(Duration::from_millis(150));
    if counts(bed)[1] == 0 && bed.kv.in_flight() == 0 {
        return;
    }
    let (mut seen, mut since) = (counts(bed), Instant::now());
    while since.elapsed() < Duration::from_millis(1_600) {
        sleep(Duration::from_millis(50));
        let now = counts(bed);
        if now != seen || bed.kv.in_flight() > 0 {
            (seen, since) = (now, Instant::now());
        }
    }
}

#[test]
fn requests_without_a_key_keep_to_their_budgets() {
    let bed = Testbed::start(|values| values);
    let get = |path: &str| bed.request(NOW, "GET", path);
    let id = guid();
    let installed = Message::new("AppInstalled", &id, &json!({ "appId": bed.wix.app.app_id })).sign();
    let forged = event(&id).sign_with(&Key::generate());
    let long = "x".repeat(1024 * 1024);

    for (name, status) in [
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
        assert_budget(&bed, name, status, &NO_COST, || get(name));
    }
    for name in ["/", "/readyz"] {
        assert_budget(&bed, name, 200, &Budget { kv: [1, 0, 0, 0], ..NO_COST }, || get(name));
    }
    assert_budget(&bed, "/v1 token without a key", 401, &NO_COST, || {
        bed.request(NOW, "POST", &format!("/v1/instances/{id}/token"))
    });
    assert_budget(&bed, "no JWT", 400, &NO_COST, || webhook(&bed, "no JWT"));
    assert_budget(&bed, "a forged webhook", 401, &NO_COST, || webhook(&bed, forged.clone()));
    assert_budget(&bed, "1 MiB of nothing", 400, &NO_COST, || webhook(&bed, long.clone()));
    assert_budget(&bed, "more than 1 MiB", 413, &NO_COST, || webhook(&bed, format!("{long}x")));
    // Repeated genuine messages: the Worker writes nothing.
    assert_budget(&bed, "an installation again", 200, &Budget { kv: [1, 0, 0, 1], ..NO_COST }, || {
        webhook(&bed, installed.clone())
    });
    assert_budget(&bed, "an event again", 200, &NO_COST, || webhook(&bed, event(&id).sign()));
}

#[test]
fn repeated_callbacks_cost_nothing_in_the_same_isolate() {
    let bed = Testbed::start(|values| values);
    let (jar, callback, _) = bed.prepare_callback();
    assert_budget(&bed, "/redirect again", 302, &NO_COST, || jar.request(callback.clone()));
    // Another isolate reads the result of the exchange, the fact and the row.
    let elsewhere = format!("{}?{}", callback.path(), callback.query().unwrap_or_default());
    let cookie = format!("{}={}", jar.0[0].0, jar.0[0].1);
    bed.kv.clear_operations();
    bed.request(IN_1_MINUTE, "GET", &elsewhere).header("cookie", cookie).send().expect(302);
    assert_eq!(counts(&bed), [3, 0, 0, 0]);

    // The first refused code of a flow causes a call to Wix; the flow is then negative-cached.
    let mut jar = Jar::default();
    let flow = Flow::begin_at(bed.url(), &mut jar, None);
    let made_up = format!("{}/redirect?code=made-up&state={}&instanceId={}", bed.url(), flow.state, guid());
    let made_up = url::Url::parse(&made_up).expect("a URL");
    let before = all_calls(&bed);
    for number in 0..REPETITIONS {
        let mut url = made_up.clone();
        url.set_query(Some(&made_up.query().unwrap_or_default().replace("made-up", &format!("made-up-{number}"))));
        jar.request(url).send().expect(400);
    }
    assert_eq!(all_calls(&bed) - before, 1);
}

fn webhook(bed: &Testbed, message: impl Into<Vec<u8>>) -> Request {
    bed.request(NOW, "POST", "/webhook").body(message)
}

fn event(id: &str) -> Message {
    Message::new("wix.contacts.v4.contact_created", id, &json!({ "id": id }))
}

#[test]
fn requests_that_change_nothing_cost_no_kv_operation() {
    let bed = Testbed::start(|values| values);
    assert_eq!(cost(&bed, bed.request(NOW, "GET", "/healthz"), 200), NO_OPERATIONS);
    assert_eq!(cost(&bed, bed.request(NOW, "GET", "/install"), 302), NO_OPERATIONS);
    assert_eq!(cost(&bed, bed.request(NOW, "GET", "/redirect?code=1&state=2"), 403), NO_OPERATIONS);
    assert_eq!(cost(&bed, bed.request(NOW, "GET", "/v1/instances"), 401), NO_OPERATIONS);
    assert_eq!(cost(&bed, webhook(&bed, "no JWT"), 400), NO_OPERATIONS);
    assert_eq!(cost(&bed, webhook(&bed, event(&guid()).sign_with(&Key::generate())), 401), NO_OPERATIONS);
}

#[test]
fn a_new_webhook_costs_three_writes_and_a_repeated_one_none() {
    let bed = Testbed::start(|values| values);
    let id = guid();
    let data = json!({ "appId": bed.wix.app.app_id, "originInstanceId": "" });
    let installed = Message::new("AppInstalled", &id, &data).sign();
    // Writes: fact, row, recheck. The deferred task reconciles once.
    assert_eq!(cost_with_tasks(&bed, webhook(&bed, installed.clone())), [2, 3, 0, 2]);
    assert_eq!(cost_with_tasks(&bed, webhook(&bed, installed)), [1, 0, 0, 1]);
    // The first event reads the row; later ones find it in memory.
    assert_eq!(cost(&bed, webhook(&bed, event(&id).sign()), 200), [1, 0, 0, 0]);
    assert_eq!(cost(&bed, webhook(&bed, event(&id).sign()), 200), NO_OPERATIONS);
}

#[test]
fn a_plugin_call_costs_a_read_at_most_once_the_installation_is_known() {
    let bed = Testbed::start(with_plugins);
    let id = guid();
    let call = |exp| Message::plugin_call(&bed.wix, &id, exp);
    let to = |isolate, message: &Message| bed.request(isolate, "POST", "/plugins/v1/getRates").body(message.sign());
    // An unknown installation: as the first event of an unhandled type.
    assert_eq!(cost_with_tasks(&bed, to(NOW, &call(600))), [3, 3, 0, 2]);
    assert_eq!(cost(&bed, to(NOW, &call(600)), 200), [1, 0, 0, 0]);
    assert_eq!(cost(&bed, to(NOW, &call(600)), 200), NO_OPERATIONS);
    assert_eq!(cost(&bed, to(IN_1_MINUTE, &call(600)), 200), [1, 0, 0, 0]);
    assert_eq!(bed.wix.calls(&id).len(), 0);

    let forged = call(600).sign_with(&Key::generate());
    let plugin = |body: &str| bed.request(NOW, "POST", "/plugins/v1/getRates").body(body);
    let long = "x".repeat(1024 * 1024);
    assert_budget(&bed, "a forged plugin call", 401, &NO_COST, || plugin(&forged));
    assert_budget(&bed, "1 MiB of nothing as a plugin call", 400, &NO_COST, || plugin(&long));
    assert_budget(&bed, "a plugin call of more than 1 MiB", 413, &NO_COST, || plugin(&format!("{long}x")));
    assert_budget(&bed, "a plugin call to a wrong path", 404, &NO_COST, || bed.request(NOW, "POST", "/plugins/a//b"));
    assert_budget(&bed, "an expired plugin call", 401, &NO_COST, || to(NOW, &call(-1)));
    assert_budget(&bed, "a plugin call again", 200, &NO_COST, || to(NOW, &call(600)));
}

#[test]
fn the_first_token_costs_one_call_and_a_token_from_memory_nothing() {
    let bed = Testbed::start(|values| values);
    let id = bed.wix.new_instance();
    bed.wix.wait_for_deliveries(&id);
    sleep(Duration::from_secs(2));
    let request = || bed.request(NOW, "POST", &format!("/v1/instances/{id}/token")).key(API_KEY);
    let calls = || bed.wix.calls(&id).len();
    let before = calls();
    // Reads: the row, a cached token of another isolate, and the row again after minting.
    assert_eq!(cost(&bed, request(), 200), [3, 1, 0, 0]);
    assert_eq!(calls(), before + 1);
    assert_eq!(cost(&bed, request(), 200), NO_OPERATIONS);
    let proxied = bed.request(NOW, "GET", &format!("/v1/instances/{id}/wix/apps/v1/instance")).key(API_KEY);
    assert_eq!(cost(&bed, proxied, 200), NO_OPERATIONS);
    assert_eq!(calls(), before + 2);
    let shown = bed.request(NOW, "GET", &format!("/v1/instances/{id}")).key(API_KEY);
    assert_eq!(cost(&bed, shown, 200), [1, 0, 0, 0]);
    assert_eq!(cost(&bed, bed.request(NOW, "GET", "/v1/instances").key(API_KEY), 200), [0, 0, 0, 1]);
}

#[test]
fn a_redirect_costs_two_calls_and_one_batch_of_writes() {
    let bed = Testbed::start(|values| values);
    let (mut jar, callback, id) = bed.prepare_callback();
    sleep(Duration::from_secs(2));

    bed.kv.clear_operations();
    jar.get(&callback).expect(302);
    let called: Vec<Value> = bed.wix.calls(&id);
    assert_eq!(called.len(), 2, "exchange and token info: {called:?}");
    let operations = bed.kv.operations();
    let writes: Vec<usize> = (0..operations.len()).filter(|place| operations[*place].op == Op::Write).collect();
    let keys: Vec<&str> = writes.iter().map(|place| operations[*place].key.as_str()).collect();
    // Fact, row, refresh token, result of the exchange, recheck.
    assert_eq!(keys.len(), 5, "{keys:?}");
    assert_eq!(writes[4] - writes[0], 4, "the writes must be one batch: {operations:?}");
}
