//! Every key is rotated while traffic runs, and no request fails.
//!
//! A deployment reaches Cloudflare's machines one after the other. So at each step the Worker with the new configuration
//! starts while the one with the old configuration still serves, on the same KV; each request, and each half of an install
//! flow, goes to either of them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use workerd::{Kv, Setup, Worker, Workerd};

use crate::harness::{
    API_KEY, Answer, Flow, Jar, Key, Message, Values, Wix, api_key, ask, build_folder, parameter, values_for,
};

const THREADS: usize = 3;
/// How long two configurations serve side by side.
const TOGETHER: Duration = Duration::from_millis(1_500);
/// How long a row may be late before the Cron Trigger has to look: a writer mends it after a second, up to three times.
const BY_ITSELF: Duration = Duration::from_secs(15);
/// After how many requests a thread installs the app on another site.
const BETWEEN_INSTALLS: usize = 40;

/// Everything that the requests go to, and what they are made with.
struct Stand {
    wix: Wix,
    kv: Kv,
    /// What the newest Worker was started with.
    values: Mutex<Values>,
    serving: RwLock<Vec<Arc<Workerd>>>,
    /// What clients and Wix use at the moment.
    key: RwLock<String>,
    signer: RwLock<Arc<Key>>,
    ended: AtomicBool,
    /// How often each thing was asked for.
    asked: Mutex<BTreeMap<&'static str, usize>>,
    failures: Mutex<Vec<String>>,
}

impl Stand {
    /// Starts the Worker with these changes beside the one that serves, and then ends that one.
    fn roll_out(&self, changes: &[(&str, String)]) {
        let values = {
            let mut values = self.values.lock().expect("nobody panicked");
            *values = changes.iter().fold(values.clone(), |values, (name, value)| values.with(name, value.clone()));
            values.clone()
        };
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let workerd = Workerd::start(root, &Setup::default().worker("app", self.app(&values)), |_| {});
        let workerd = Arc::new(workerd.unwrap_or_else(|error| panic!("{error:#}")));
        {
            let mut serving = self.serving.write().expect("nobody panicked");
            serving.push(workerd);
            // On Cloudflare both are at one address; here Wix is told of each.
            let all: Vec<String> = serving.iter().map(|worker| format!("{}/redirect", worker.url("app"))).collect();
            let webhook = format!("{}/webhook", serving[serving.len() - 1].url("app"));
            let urls = json!({ "redirect_urls": all, "webhook_url": webhook });
            ask("PATCH", self.wix.at("/_sim/app")).json(&urls).send().expect(200);
        }
        std::thread::sleep(TOGETHER);
        let mut serving = self.serving.write().expect("nobody panicked");
        // Whoever still asks one of them holds it.
        let last = serving.pop();
        *serving = last.into_iter().collect();
        drop(serving);
        std::thread::sleep(TOGETHER / 3);
    }

    /// Any of those that serve.
    fn any(&self, turn: usize) -> Arc<Workerd> {
        let serving = self.serving.read().expect("nobody panicked");
        Arc::clone(&serving[turn % serving.len()])
    }

    fn judge(&self, what: &'static str, right: u16, answer: &Answer) {
        *self.asked.lock().expect("nobody panicked").entry(what).or_default() += 1;
        if answer.status != right {
            self.failures.lock().expect("nobody panicked").push(format!("{what}: {answer:?}"));
        }
    }

    fn install(&self, turn: usize) -> String {
        let (mut jar, site) = (Jar::default(), self.wix.site());
        let begun = self.any(turn);
        let callback = Flow::begin_at(begun.url("app"), &mut jar, None).agree(&site);
        let ended = self.any(turn + 1);
        let mut url = callback.clone();
        let port = url::Url::parse(ended.url("app")).expect("a URL").port();
        url.set_port(port).expect("a port");
        self.judge("redirect", 302, &jar.get(&url));
        parameter(&callback, "instanceId")
    }

    fn traffic(&self, thread: usize) {
        let mut instances = Vec::new();
        let mut turn = thread;
        while !self.ended.load(Ordering::Relaxed) {
            turn += 1;
            if instances.is_empty() || turn.is_multiple_of(BETWEEN_INSTALLS) {
                instances.push(self.install(turn));
            }
            let id = &instances[turn % instances.len()];
            let worker = self.any(turn);
            let call = |method: &str, path: &str| {
                let key = self.key.read().expect("nobody panicked").clone();
                ask(method, format!("{}{path}", worker.url("app"))).key(&key)
            };
            let token = format!("/v1/instances/{id}/token");
            match turn % 7 {
                0 => self.judge("token", 200, &call("POST", &token).send()),
                1 => self.judge("token, forced", 200, &call("POST", &token).json(&json!({ "force": true })).send()),
                2 => self.judge("list", 200, &call("GET", "/v1/instances").send()),
                3 => {
                    let signed = self.wix.post("/_sim/signed-instance", &json!({ "instance_id": id }));
                    self.judge("identity", 200, &call("POST", "/v1/identity").json(&signed).send());
                }
                4 | 5 => {
                    let event = Message::new("Whatever", id, &json!({}));
                    let signed = event.sign_with(&Arc::clone(&self.signer.read().expect("nobody panicked")));
                    let webhook = ask("POST", format!("{}/webhook", worker.url("app"))).body(signed);
                    self.judge("webhook", 200, &webhook.send());
                }
                _ => self.judge("proxy", 200, &call("GET", &format!("/v1/instances/{id}/wix/apps/v1/instance")).send()),
            }
        }
    }

    /// The instances that are listed, with status and way of getting tokens.
    fn standing(&self) -> BTreeMap<String, String> {
        let worker = self.any(0);
        let list = ask("GET", format!("{}/v1/instances?limit=1000", worker.url("app")));
        let list = list.key(&self.key.read().expect("nobody panicked")).send().expect(200).json();
        let word = |instance: &Value, name: &str| instance[name].as_str().unwrap_or_default().to_owned();
        let list = list["instances"].as_array().expect("a list");
        let standing = |instance| format!("{} {}", word(instance, "status"), word(instance, "auth"));
        list.iter().map(|instance| (word(instance, "instance_id"), standing(instance))).collect()
    }

    /// Every instance that is listed now becomes `installed custom`, by itself or with the Cron Trigger.
    ///
    /// Webhook and browser write the same row at the same moment, and the one that is written last may lack what the other
    /// brought. Whoever wrote looks again a second later and mends it; but the process that was to look may have been ended
    /// by a rollout, or its webhook given up by Wix, and then the Cron Trigger mends it two minutes later. Such a row is
    /// late. One that the Cron Trigger leaves as it is, is wrong.
    fn all_become_custom(&self) {
        let known: Vec<String> = self.standing().into_keys().collect();
        let not_custom = || {
            let standing = self.standing();
            let of = |id: &String| (id.clone(), standing.get(id).map_or("not listed", String::as_str).to_owned());
            known.iter().map(of).filter(|(_, standing)| standing != "installed custom").collect::<BTreeMap<_, _>>()
        };
        let wait = |patience: Duration| {
            let until = Instant::now() + patience;
            loop {
                let left = not_custom();
                if left.is_empty() || Instant::now() > until {
                    return left;
                }
                std::thread::sleep(Duration::from_millis(250));
            }
        };
        let at_first = not_custom();
        let late = wait(BY_ITSELF);
        // What is due by then was put down before the listing.
        let looked = if late.is_empty() { String::new() } else { self.look_again() };
        let wrong = wait(if late.is_empty() { Duration::ZERO } else { BY_ITSELF });
        let (known, at_first, by_cron) = (known.len(), at_first.len(), late.len() - wrong.len());
        #[expect(clippy::print_stdout, reason = "for whoever asks with --nocapture")]
        {
            println!("{known} instances: {at_first} rows were late, of which the Cron Trigger mended {by_cron}");
        }
        let told = |(id, standing): (&String, &String)| {
            let facts = self.kv.entries(&format!("v1:fact:{id}:")).into_iter().map(|entry| entry.key);
            let row = self.kv.entries(&format!("v1:instance:{id}")).into_iter().map(|entry| entry.value);
            let row: Vec<String> = row.map(|value| String::from_utf8_lossy(&value).into_owned()).collect();
            format!("{id} is {standing}\n  facts: {:?}\n  row: {row:?}", facts.collect::<Vec<_>>())
        };
        assert!(
            wrong.is_empty(),
            "not late but wrong, since the Cron Trigger left them so ({looked}):\n{}",
            wrong.iter().map(told).collect::<Vec<_>>().join("\n")
        );
    }

    /// Fires the Cron Trigger of a Worker on the same KV whose clock is ahead, so that everything put down is due.
    fn look_again(&self) -> String {
        let values = self.values.lock().expect("nobody panicked").clone().with("CLOCK_OFFSET_SECONDS", "600");
        let setup = Setup::default().worker("later", self.app(&values)).worker("trigger", Worker::trigger("later"));
        let later = Workerd::start(Path::new(env!("CARGO_MANIFEST_DIR")), &setup, |_| {});
        let later = later.unwrap_or_else(|error| panic!("{error:#}"));
        // A row that is mended takes a second, so many may take longer than a request may; the next run goes on there.
        let answer = (0..5).find_map(|_| ask("POST", later.url("trigger")).try_send().ok());
        answer.expect("the Cron Trigger is answered").expect(200).text()
    }

    /// The built Worker on this KV.
    fn app(&self, values: &Values) -> Worker {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let built = Worker::built(root, &build_folder(root)).unwrap_or_else(|error| panic!("{error:#}"));
        values.iter().fold(built.kv("INSTANCES", &self.kv), |app, (name, value)| app.text(name, value))
    }
}

/// The traffic ends with the test, also where that fails.
struct Ending<'a>(&'a AtomicBool);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn sealing(name: &str) -> String {
    use base64::Engine as _;
    use sha2::Digest as _;
    let key = base64::engine::general_purpose::STANDARD.encode(sha2::Sha256::digest(name));
    format!("{name}:{key}")
}

#[test]
fn no_request_fails_while_every_key_is_rotated() {
    let (wix, kv) = (Wix::start(), Kv::start().expect("a KV"));
    let [first, second] = [Key::generate(), Key::generate()].map(Arc::new);
    let own = wix.app.public_key_base64.clone();
    let old_secret = wix.app.app_secret.clone();
    let values = values_for(&wix)
        .with("WIX_PUBLIC_KEYS", format!("{own},{}", first.public_base64()))
        .with("SEALING_KEYS", sealing("old"))
        .with("FINISH_CONFIGURATION", "never");
    let stand = Stand {
        wix,
        kv,
        values: Mutex::new(values),
        serving: RwLock::default(),
        key: RwLock::new(API_KEY.to_owned()),
        signer: RwLock::new(Arc::clone(&first)),
        ended: AtomicBool::new(false),
        asked: Mutex::default(),
        failures: Mutex::default(),
    };
    stand.roll_out(&[]);

    std::thread::scope(|scope| {
        let _ending = Ending(&stand.ended);
        for thread in 0..THREADS {
            let stand = &stand;
            scope.spawn(move || stand.traffic(thread));
        }
        let roll_out = |changes: &[(&str, String)]| stand.roll_out(changes);
        let dashboard = |fields: &Value| {
            ask("PATCH", stand.wix.at("/_sim/app")).json(fields).send().expect(200);
        };

        // The app secret: the Worker knows both before Wix takes the new one alone.
        let secret = |new: &str, previous: &str| {
            [("WIX_APP_SECRET", new.to_owned()), ("WIX_APP_SECRET_PREVIOUS", previous.to_owned())]
        };
        roll_out(&secret("the-new-app-secret-0123456789", &old_secret));
        dashboard(&json!({ "app_secret": "the-new-app-secret-0123456789", "previous_app_secret": old_secret }));
        std::thread::sleep(TOGETHER / 3);
        dashboard(&json!({ "previous_app_secret": "" }));
        roll_out(&secret("the-new-app-secret-0123456789", ""));

        // Wix's key.
        let keys = |keys: &[&Key]| {
            let all: Vec<String> = keys.iter().map(|key| key.public_base64()).collect();
            [("WIX_PUBLIC_KEYS", format!("{own},{}", all.join(",")))]
        };
        roll_out(&keys(&[&first, &second]));
        *stand.signer.write().expect("nobody panicked") = Arc::clone(&second);
        std::thread::sleep(TOGETHER / 3);
        roll_out(&keys(&[&second]));

        // The sealing key: known everywhere before anything is sealed with it.
        roll_out(&[("SEALING_KEYS", format!("{},{}", sealing("old"), sealing("new")))]);
        roll_out(&[("SEALING_KEYS", format!("{},{}", sealing("new"), sealing("old")))]);

        // The back end's key: two live ones of one client.
        let new_key = "it-the-new-key-of-the-back-end-0123456789";
        roll_out(&[("API_KEYS", format!("{},{}", api_key("back-end", API_KEY), api_key("back-end-2", new_key)))]);
        *stand.key.write().expect("nobody panicked") = new_key.to_owned();
        std::thread::sleep(TOGETHER / 3);
        roll_out(&[("API_KEYS", api_key("back-end-2", new_key))]);

        // Nothing had to heal.
        stand.all_become_custom();
        // Without the old sealing key the refresh tokens under it are gone, and still nothing fails.
        roll_out(&[("SEALING_KEYS", sealing("new"))]);
    });

    let asked = stand.asked.into_inner().expect("nobody panicked");
    let failures = stand.failures.into_inner().expect("nobody panicked");
    println!(
        "{} requests while four keys were rotated, {} failed: {asked:?}",
        asked.values().sum::<usize>(),
        failures.len()
    );
    assert!(failures.is_empty(), "{} failed, the first: {}", failures.len(), failures[0]);
    assert!(asked.len() == 7 && asked.values().all(|count| *count >= THREADS), "{asked:?}");
}
