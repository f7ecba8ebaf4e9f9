//! `wix-edge doctor`: Workers with a misconfiguration each, all in one workerd. The tests, with a proxy that changes requests
//! and responses, are in `cli/test/doctor.test.mjs`; `cli/test/doctor.table.json` has each finding.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::{Response, StatusCode};
use serde_json::json;
use tempfile::TempDir;
use workerd::{Entry, Fault, Kind, Kv, Op, Setup, Worker, Workerd};

use crate::cli::run;
use crate::harness::{API_KEY, KEY, RUNTIME, Values, Wix, api_key, build_folder, request, values_for};

const SECRET: &str = "whsec_c2VjcmV0IG9mIHRoZSBiYWNrIGVuZCwgMzIgYnl0ZXM=";
/// A key with one scope only.
const TOKEN_KEY: &str = "it-key-with-the-scope-token-0123456789";
/// The Cron Trigger of one of the Workers. Those of the others never run.
const CRON: &str = "cron of good";
/// Values that are malformed in one way each.
const MALFORMED: [(&str, &str); 15] = [
    ("WIX_APP_ID", "not-a-guid"),
    ("WIX_PUBLIC_KEYS", "bm8ga2V5IGF0IGFsbA=="),
    ("WIX_APP_SECRET", "two words 0123"),
    ("WIX_APP_SECRET_PREVIOUS", "former7"),
    ("SEALING_KEYS", "k1:c2VhbGVkLXNob3J0"),
    ("API_KEYS", "plain-key-pasted-here"),
    ("PUBLIC_URL", "https://app.example/path"),
    ("WIX_API_URL", "http://www.wixapis.com"),
    ("AFTER_INSTALL_URL", "/welcome"),
    ("FINISH_CONFIGURATION", "sometimes"),
    ("ENVIRONMENT", "staging"),
    ("EVENTS_URL", "http://app.example/events"),
    ("EVENTS_SECRETS", "secret-without-prefix"),
    ("EVENTS_KEEP_HOURS", "721"),
    ("CLOCK_OFFSET_SECONDS", "5"),
];

/// The Workers to start.
struct Beds {
    setup: Setup,
    built: Worker,
    /// Their names.
    names: Vec<String>,
    folders: Vec<TempDir>,
}

impl Beds {
    fn worker(&mut self, name: &str, values: &Values, kv: Option<&Kv>) {
        self.add(name, values, kv, |worker, _| worker);
    }

    /// With Durable Objects.
    fn delivering(&mut self, name: &str, values: &Values, kv: &Kv) {
        self.add(name, values, Some(kv), |worker, folder| worker.objects("INSTALLATIONS", "Installation", folder));
    }

    fn add(&mut self, name: &str, values: &Values, kv: Option<&Kv>, bind: impl FnOnce(Worker, &Path) -> Worker) {
        let folder = tempfile::Builder::new().prefix("objects-").tempdir().expect("a folder");
        let worker = values.iter().fold(self.built.clone(), |worker, (name, value)| worker.text(name, value));
        let worker = kv.into_iter().fold(worker, |worker, kv| worker.kv("INSTANCES", kv));
        let setup = std::mem::take(&mut self.setup);
        self.setup = setup.worker(name, bind(worker, folder.path()));
        self.names.push(name.to_owned());
        self.folders.push(folder);
    }
}

/// A back end that answers with the status in the path, or not at all.
fn back_end() -> String {
    let app = Router::new().fallback(async |request: Request| {
        let status = request.uri().path().trim_start_matches('/').parse::<u16>();
        let Ok(status) = status else {
            tokio::time::sleep(Duration::from_secs(30)).await;
            return Response::new(String::new());
        };
        let mut response = Response::new(String::new());
        *response.status_mut() = StatusCode::from_u16(status).expect("a status");
        response
    });
    let listener = RUNTIME.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    RUNTIME.spawn(async move { axum::serve(listener, app).await.expect("the server runs") });
    url
}

#[test]
fn doctor_names_each_misconfiguration_in_one_sentence() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let built = Worker::built(root, &build_folder(root)).unwrap_or_else(|error| panic!("{error:#}"));
    let mut beds = Beds { setup: Setup::default(), built, names: Vec::new(), folders: Vec::new() };
    let wix = Wix::with_back_end(SECRET);
    let kv = || Kv::start().expect("a KV");
    let (main, refused, other, failing, old) = (kv(), kv(), kv(), kv(), kv());

    let values = values_for(&wix)
        .with("API_KEYS", format!("{},{}:token", api_key("back-end", API_KEY), api_key("token", TOKEN_KEY)));
    let plain = values.clone();
    let values = values.with("EVENTS_URL", wix.at("/_app/events")).with("EVENTS_SECRETS", SECRET);
    beds.delivering("good", &values, &main);
    beds.setup = std::mem::take(&mut beds.setup).worker(CRON, Worker::trigger("good"));
    let untriggered = kv();
    beds.delivering("no-cron", &values, &untriggered);
    beds.worker("plain", &plain, Some(&old));
    beds.worker("refused", &plain, Some(&refused));

    beds.worker("empty", &Values::default(), None);
    let malformed = MALFORMED.iter().fold(plain.clone(), |values, (name, value)| values.with(name, *value));
    beds.worker("malformed", &malformed, Some(&other));
    beds.worker("no-objects", &values, Some(&other));
    beds.delivering("no-secrets", &values.clone().with("EVENTS_SECRETS", ""), &other);
    beds.worker("kv-down", &plain, Some(&failing));
    let unlisted = kv();
    beds.worker("kv-list-down", &plain, Some(&unlisted));

    beds.worker("other-secret", &plain.clone().with("WIX_APP_SECRET", "another-app-secret-0123456789"), Some(&main));
    beds.worker("wix-down", &plain.clone().with("WIX_API_URL", "http://127.0.0.1:9"), Some(&main));
    beds.worker("other-public-key", &plain.clone().with("WIX_PUBLIC_KEYS", KEY.public_base64()), Some(&other));
    beds.worker("other-app", &plain.clone().with("WIX_APP_ID", "9a7e5f3c-1b2d-4c6e-8f90-a1b2c3d4e5f6"), Some(&other));
    beds.worker("other-site", &plain.clone().with("WIX_SITE_URL", "https://wix.example"), Some(&other));
    beds.worker("dead-public-url", &plain.clone().with("PUBLIC_URL", "https://nothing.invalid"), Some(&other));
    beds.worker("clock", &plain.clone().with("CLOCK_OFFSET_SECONDS", "600"), Some(&other));

    let back_end = back_end();
    for (name, path) in [("401", "401"), ("302", "302"), ("404", "404"), ("500", "500"), ("slow", "slow")] {
        beds.delivering(name, &values.clone().with("EVENTS_URL", format!("{back_end}/{path}")), &other);
    }
    beds.delivering("unreachable", &values.clone().with("EVENTS_URL", "http://127.0.0.1:9/events"), &other);
    let parked = kv();
    beds.delivering("parked", &values, &parked);

    let lines = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&lines);
    let workerd = Workerd::start(root, &beds.setup, move |line| {
        // A crash of workerd itself explains the failures that follow.
        if !line.starts_with('{') {
            eprintln!("workerd: {line}");
        }
        log.lock().expect("a lock").push(line.to_owned());
    });
    let workerd = workerd.unwrap_or_else(|error| panic!("{error:#}"));
    // One installation each, before anything fails.
    for name in ["good", "plain", "refused", "no-cron"] {
        wix.register(workerd.url(name));
        wix.new_instance();
    }
    request("POST", workerd.url(CRON)).send().expect(200);
    failing.add_fault(Fault::new(Kind::Status(500)));
    unlisted.add_fault(Fault::new(Kind::Status(500)).on(Op::List));
    let metadata = json!({ "parked": 3, "oldest_at": 1_767_225_600 }).to_string();
    parked.seed([Entry::new("v1:parked:9a7e5f3c-1b2d-4c6e-8f90-a1b2c3d4e5f6", "", Some(metadata))]);
    wix.register(workerd.url("good"));

    let urls: serde_json::Map<_, _> = beds.names.iter().map(|name| (name.clone(), workerd.url(name).into())).collect();
    let bed = json!({
        "workers": urls, "wix": wix.url, "app_id": wix.app.app_id, "public_key": wix.app.public_key_base64,
        "key": API_KEY, "token_key": TOKEN_KEY, "api_keys": values.get("API_KEYS"),
        "sealing_keys": values.get("SEALING_KEYS"), "events_secrets": SECRET,
    });
    run("doctor.test.mjs", &[("DOCTOR_BED", &bed.to_string())]);
    let log = lines.lock().expect("a lock").join("\n");
    assert!(!log.contains(API_KEY) && !log.contains("panicked"), "{log}");
}
