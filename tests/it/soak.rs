//! Soak test: mixed traffic on one Worker for a given time, with intermittent failures of Wix and of the app's back end. It
//! checks every response, that every event is delivered in the end if objects are bound, and that the memory of workerd does not grow.
//!
//! `cargo xtask soak --seconds N` runs it; `cargo xtask test` does not. Each thread sends one request at a time. The Worker
//! runs in plain workerd: the memory of wrangler's proxy grows with each request.

mod memory;
mod stage;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use self::stage::Stage;
use crate::harness::{API_KEY, Flow, Jar, Key, Message, Request, Response, now, request};

const THREADS: u64 = 6;
/// The number of installed instances of each thread.
const INSTANCES: usize = 4;
/// The number of further installations of each kind.
const OTHERS: u64 = 100;

/// The results so far.
#[derive(Default)]
struct Seen {
    /// The number of responses, by kind of request and status.
    responses: BTreeMap<(&'static str, u16), usize>,
    wrong: Vec<String>,
}

/// The traffic of one thread.
struct Client<'a> {
    stage: &'a Stage,
    seen: &'a Mutex<Seen>,
    foreign_key: &'a Key,
    random: u64,
    instances: Vec<String>,
    messages: Vec<String>,
}

impl Client<'_> {
    fn random_below(&mut self, end: u64) -> u64 {
        // Knuth's MMIX generator. Only its upper bits are random enough.
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) % end
    }

    fn instance(&mut self) -> String {
        let which = self.random_below(INSTANCES as u64);
        self.instances[usize::try_from(which).expect("a number that fits")].clone()
    }

    /// An installation of which only webhooks tell. There are few, so that the number of objects in memory does not depend on
    /// the speed of the machine.
    fn other(&mut self, kind: u64) -> String {
        format!("0000000{kind}-0000-4000-8000-{:012x}", self.random_below(OTHERS))
    }

    /// Sends a request, counts the response and checks its status.
    fn send(&self, what: &'static str, request: Request, expected: &[u16]) -> Option<Response> {
        let response = request.try_send();
        let mut seen = self.seen.lock().expect("a lock that is not poisoned");
        match response {
            Ok(response) => {
                *seen.responses.entry((what, response.status)).or_default() += 1;
                if !expected.contains(&response.status) {
                    seen.wrong.push(format!("{what}: {response:?}"));
                }
                Some(response)
            }
            Err(error) => {
                seen.wrong.push(format!("{what}: no response: {error}"));
                None
            }
        }
    }

    fn wrong(&self, what: String) {
        self.seen.lock().expect("a lock that is not poisoned").wrong.push(what);
    }

    fn post(&self, message: impl Into<Vec<u8>>) -> Request {
        self.stage.request("POST", "/webhook").body(message)
    }

    /// Sends a webhook, again if it was not stored in time, as Wix does.
    fn webhook(&self, what: &'static str, message: &str) {
        for _ in 0..30 {
            match self.send(what, self.post(message), &[200, 503]) {
                Some(response) if response.status == 200 => return,
                _ => std::thread::sleep(Duration::from_millis(100)),
            }
        }
        self.wrong(format!("{what}: not accepted"));
    }

    fn api(&self, method: &str, path: &str) -> Request {
        self.stage.request(method, path).key(API_KEY)
    }

    fn act(&mut self) {
        match self.random_below(24) {
            20.. => self.event(),
            0..=3 => self.token(),
            4..=5 => self.news(),
            6 => self.duplicate(),
            7..=9 => self.forged(),
            10..=11 => self.come_and_go(),
            12..=13 => self.list(),
            14 => self.stranger(),
            15 => self.install(),
            16 => self.nonsense(),
            _ => {
                let id = self.instance();
                self.send("GET instance", self.api("GET", &format!("/v1/instances/{id}")), &[200]);
            }
        }
    }

    /// Requests a token, and checks that it belongs to the instance. Faults of Wix may make the request fail.
    fn token(&mut self) {
        let id = self.instance();
        let force = json!({ "force": self.random_below(2) == 0 });
        let request = self.api("POST", &format!("/v1/instances/{id}/token")).json(&force);
        let Some(response) =
            self.send("POST token", request, &[200, 409, 502, 504]).filter(|response| response.status == 200)
        else {
            return;
        };
        let info = self.stage.wix.post("/oauth2/token-info", &json!({ "token": response.json()["access_token"] }));
        if info["instanceId"] != *id {
            self.wrong(format!("a token for {id} is for {info}"));
        }
    }

    /// Sends an ordinary event, which the back end must get.
    fn event(&mut self) {
        let (id, number) = (self.instance(), self.stage.events.next());
        let message = Message::new("com.wix.Changed", &id, &json!({ "number": number })).sign();
        self.webhook("webhook, event", &message);
    }

    fn news(&mut self) {
        let message = self.stage.installed(&self.other(0)).sign();
        self.webhook("webhook, new", &message);
        if self.messages.len() < 50 {
            self.messages.push(message);
        }
    }

    fn duplicate(&mut self) {
        let which = self.random_below(50);
        let Some(message) = self.messages.get(usize::try_from(which).expect("a number that fits")) else { return };
        self.webhook("webhook, again", message);
    }

    /// Sends a forged removal, which must change nothing.
    fn forged(&mut self) {
        let id = self.instances[1].clone();
        let removal = self.stage.removed(&id);
        let message = match self.random_below(4) {
            0 => removal.sign_with(self.foreign_key),
            1 => removal.sign_none(),
            2 => removal.sign_hs256(&self.stage.wix.app.public_key_base64),
            _ => {
                let signed = self.stage.installed(&id).sign();
                let signature = signed.rsplit('.').next().expect("three parts");
                format!("{}.{signature}", removal.signing_input())
            }
        };
        self.send("webhook, forged", self.post(message), &[401]);
        let record = self.send("GET instance", self.api("GET", &format!("/v1/instances/{id}")), &[200]);
        if record.is_some_and(|record| record.json()["status"] == "removed") {
            self.wrong(format!("a forged message removed {id}"));
        }
    }

    /// Sends an installation and a later removal, in either order. The times decide: the instance must be removed.
    fn come_and_go(&mut self) {
        let (id, at) = (self.other(1), now());
        let installed = self.stage.installed(&id).at(at - 30).sign();
        let removed = self.stage.removed(&id).at(at - 20).sign();
        let late = self.random_below(2) == 0;
        let (first, second) = if late { (&removed, &installed) } else { (&installed, &removed) };
        self.webhook("webhook, new", first);
        self.webhook("webhook, new", second);
        let token = self.api("POST", &format!("/v1/instances/{id}/token"));
        self.send("POST token, removed", token, &[410]);
    }

    fn list(&mut self) {
        let path = format!("/v1/instances?limit={}", 1 + self.random_below(50));
        let Some(response) = self.send("GET list", self.api("GET", &path), &[200]) else { return };
        if let Some(cursor) = response.json()["next_cursor"].as_str() {
            self.send("GET list", self.api("GET", &format!("{path}&cursor={cursor}")), &[200]);
        }
    }

    fn stranger(&mut self) {
        let id = self.instance();
        let token = self.stage.request("POST", &format!("/v1/instances/{id}/token"));
        self.send("POST token, no key", token, &[401]);
        let list = self.stage.request("GET", "/v1/instances").key("not-the-key");
        self.send("GET list, wrong key", list, &[401]);
    }

    /// Runs a flow, and opens its callback also in a browser that did not start it.
    fn install(&mut self) {
        let site = self.stage.wix.site();
        let mut jar = Jar::default();
        let callback = Flow::begin_at(self.stage.url(), &mut jar, None).consent(&site);
        self.send("GET redirect, other browser", request("GET", &callback), &[403]);
        let cookies: Vec<String> = jar.0.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let returned = request("GET", &callback).header("cookie", cookies.join("; "));
        self.send("GET redirect", returned, &[302]);
    }

    fn nonsense(&mut self) {
        match self.random_below(4) {
            0 => self.send("webhook, nonsense", self.post("a.b.c"), &[400]),
            1 => self.send("webhook, too large", self.post(vec![b'a'; 1_100 * 1024]), &[413]),
            2 => self.send("GET redirect, nonsense", self.stage.request("GET", "/redirect?code=1&state=2"), &[403]),
            _ => self.send("GET nothing", self.stage.request("GET", "/wp-login.php"), &[404]),
        };
    }
}

/// Alternates between faults of Wix for half of the instances and no faults. Returns the number of added faults.
fn inject_faults(stage: &Stage, instances: &[String], until: Instant) -> usize {
    let kinds: [Value; 7] = [
        json!({ "kind": "status", "status": 503 }),
        json!({ "kind": "status", "status": 401 }),
        json!({ "kind": "rate_limited" }),
        json!({ "kind": "delay", "delay_ms": 700 }),
        json!({ "kind": "cut" }),
        json!({ "kind": "malformed_json" }),
        json!({ "kind": "wrong_types" }),
    ];
    let mut switched_on = 0;
    for (round, kind) in kinds.iter().cycle().enumerate() {
        if Instant::now() > until {
            break;
        }
        for instance in instances.iter().skip(round % 2).step_by(2) {
            stage.wix.add_fault(instance, "oauth2_token", 3, kind);
            switched_on += 1;
        }
        std::thread::sleep(Duration::from_millis(1_500));
        request("DELETE", stage.wix.at("/_sim/faults")).send().expect(200);
        std::thread::sleep(Duration::from_secs(1));
    }
    switched_on
}

#[test]
#[ignore = "cargo xtask soak runs it"]
fn mixed_traffic_gets_no_wrong_answer() {
    let seconds =
        std::env::var("SOAK_SECONDS").map_or(20, |text| text.parse().expect("SOAK_SECONDS must be a whole number"));
    let stage = Stage::start(std::env::var_os("SOAK_WITHOUT_OBJECTS").is_none());
    let (seen, foreign_key) = (Mutex::new(Seen::default()), Key::generate());
    let clients: Vec<Client> = (0..THREADS)
        .map(|random| Client {
            stage: &stage,
            seen: &seen,
            foreign_key: &foreign_key,
            random,
            instances: (0..INSTANCES).map(|_| stage.wix.new_instance()).collect(),
            messages: Vec::new(),
        })
        .collect();
    let instances: Vec<String> = clients.iter().flat_map(|client| client.instances.clone()).collect();
    let started = Instant::now();
    let until = started + Duration::from_secs(seconds);
    let count = || seen.lock().expect("a lock that is not poisoned").responses.values().sum::<usize>();
    let (faults, samples) = std::thread::scope(|scope| {
        for mut client in clients {
            scope.spawn(move || {
                while Instant::now() < until {
                    client.act();
                }
            });
        }
        let samples = scope.spawn(|| memory::watch(&stage, until, count));
        (inject_faults(&stage, &instances, until), samples.join().expect("samples"))
    });
    let took = started.elapsed().as_secs_f64();
    let lost = if stage.delivers { stage.events.wait_for_all() } else { Vec::new() };

    let seen = seen.into_inner().expect("a lock that is not poisoned");
    let total: usize = seen.responses.values().sum();
    let mut table = String::new();
    for ((what, status), count) in &seen.responses {
        let _ = writeln!(table, "{what:<30} {status} {count:>8}");
    }
    println!("{table}{total} requests in {took:.0} s, {faults} faults of Wix");
    println!("{}", stage.events.summary());
    println!("{}", memory::summary(&samples));
    println!("wrong responses: {}", seen.wrong.len());
    seen.wrong.iter().take(5).for_each(|wrong| println!("  {wrong}"));
    assert!(seen.wrong.is_empty(), "{} wrong responses, the first: {}", seen.wrong.len(), seen.wrong[0]);
    let kinds: Vec<&str> = seen.responses.keys().map(|(what, _)| *what).collect();
    assert!(total > 100 && kinds.len() > 8, "too few requests or kinds of requests: {kinds:?}");
    assert!(lost.is_empty(), "{} events were answered 200 and not delivered, the first: {:?}", lost.len(), lost[0]);
    println!("{}", memory::judge(&samples));
}
