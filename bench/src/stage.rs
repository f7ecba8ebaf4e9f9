//! The measured Workers: wix-edge and its peers, each in its own workerd process.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use workerd::{Entry, Kv, Setup, Worker, Workerd};

use crate::client::{self, Request};
use crate::message::Key;
use crate::upstream::Upstream;

/// The compatibility date of the peers.
const DATE: &str = "2026-10-20";
/// The app's id.
pub const APP_ID: &str = "10000000-2000-4000-8000-900000000001";
/// The API key.
pub const API_KEY: &str = "bench-key-of-the-back-end-0123456789abcdef";

/// The highest limit of calls to Wix, so that they are counted and not refused.
const RATE_LIMIT: &str = "100000";

/// The path of the app's back end for events.
pub const EVENTS: &str = "/events";
/// The path of the app's back end for service plugin calls.
pub const PLUGINS: &str = "/plugins";

/// The environment of the Workers: KV, upstream, signing key.
pub struct Stage {
    root: PathBuf,
    build: PathBuf,
    /// Signs the webhooks.
    pub key: Key,
    /// The upstream in place of Wix.
    pub upstream: Upstream,
    /// The Worker's KV.
    pub kv: Kv,
}

/// A running Worker.
pub struct Running {
    /// Its origin.
    pub url: String,
    /// The ids of its processes.
    pub ids: Vec<u32>,
    /// The latest lines of its log.
    pub lines: Arc<Mutex<VecDeque<String>>>,
    _workerd: Workerd,
}

/// How many lines of the log are kept.
const LINES: usize = 10;

/// The Workers of [`Stage::worker`] that are wix-edge: by itself, with a target for events, and with one for service plugin
/// calls.
pub const OURS: [&str; 3] = ["edge", "delivering", "plugins"];

impl Stage {
    /// Starts the upstream and the KV. `build` is the directory of the built Worker.
    pub fn new(root: &Path, build: &Path) -> Result<Self> {
        let upstream = Upstream::start(APP_ID)?;
        Ok(Self { root: root.to_owned(), build: build.to_owned(), key: Key::generate()?, upstream, kv: Kv::start()? })
    }

    /// wix-edge.
    pub fn edge(&self) -> Result<Worker> {
        self.edge_of(&self.build)
    }

    /// wix-edge, from another directory.
    pub fn edge_of(&self, build: &Path) -> Result<Worker> {
        Ok(Worker::built(&self.root, build)?
            .kv("INSTANCES", &self.kv)
            .text("ENVIRONMENT", "development")
            .text("WIX_APP_ID", APP_ID)
            .text("WIX_APP_SECRET", "bench-secret")
            .text("WIX_PUBLIC_KEYS", &self.key.public()?)
            .text("SEALING_KEYS", &format!("b1:{}", STANDARD.encode(Sha256::digest("a key of the bench"))))
            .text("API_KEYS", &format!("bench:{}", hash_of_key()))
            .text("WIX_API_URL", &self.upstream.url)
            .text("WIX_SITE_URL", &self.upstream.url)
            .text("WIX_RATE_LIMIT", RATE_LIMIT))
    }

    /// A Worker by its name: one of [`OURS`], from the directory `build`, or a peer. `objects` gets the databases of its
    /// objects.
    pub fn worker(&self, name: &str, build: &Path, objects: &Path) -> Result<Worker> {
        let [events, plugins] = [EVENTS, PLUGINS].map(|path| format!("{}{path}", self.upstream.url));
        let with_secret = |worker: Worker| worker.text("EVENTS_SECRETS", &secret());
        Ok(match name {
            "edge" => self.edge_of(build)?,
            "delivering" => with_secret(self.edge_of(build)?).text("EVENTS_URL", &events).objects(
                "INSTALLATIONS",
                "Installation",
                objects,
            ),
            "plugins" => with_secret(self.edge_of(build)?).text("PLUGINS_URL", &plugins),
            "same/delivery" => self.peer(name)?.objects("INSTALLATIONS", "Installation", objects),
            name => self.peer(name)?,
        })
    }

    /// The directory of the built Worker.
    pub fn build(&self) -> &Path {
        &self.build
    }

    /// A peer: a bundled file of `bench/peers`.
    pub fn peer(&self, name: &str) -> Result<Worker> {
        let bundle = Command::new(self.root.join("node_modules/.bin/esbuild"))
            .arg(self.root.join("bench/peers").join(format!("{name}.js")))
            .args(["--bundle", "--format=esm", "--platform=neutral", "--main-fields=module,main"])
            .args([
                "--conditions=workerd,worker,browser",
                "--external:cloudflare:*",
                "--minify-whitespace",
                "--log-level=warning",
            ])
            .output()
            .context("could not start esbuild, which `npm ci` installs")?;
        ensure!(bundle.status.success(), "{name}.js: {}", String::from_utf8_lossy(&bundle.stderr));
        Ok(Worker::script(DATE, &String::from_utf8(bundle.stdout)?)
            .text("PUBLIC_KEY", &self.key.public()?)
            .text("WIX_APP_ID", APP_ID)
            .text("WIX_APP_SECRET", "bench-secret")
            .text("WIX_API_URL", &self.upstream.url)
            .text("WIX_SITE_URL", &self.upstream.url)
            .text("EVENTS_URL", &format!("{}{EVENTS}", self.upstream.url))
            .text("PLUGINS_URL", &format!("{}{PLUGINS}", self.upstream.url))
            .text("WIX_RATE_LIMIT", RATE_LIMIT)
            .text("EVENTS_SECRET", secret().trim_start_matches("whsec_"))
            .text("STATE_KEY", &STANDARD.encode(Sha256::digest("a key of the bench")))
            .text("API_KEY_HASH", &hash_of_key())
            .text("TOKEN", "OauthNG.JWS.of-the-bench")
            .kv("INSTANCES", &self.kv))
    }

    /// Starts a Worker, and returns the time to its first response.
    pub fn start(&self, worker: &Worker, first: &Request) -> Result<(Running, Duration)> {
        self.start_with(Setup::default(), worker, first)
    }

    /// The same, with more in the setup.
    pub fn start_with(&self, setup: Setup, worker: &Worker, first: &Request) -> Result<(Running, Duration)> {
        let setup = setup.worker("it", worker.clone());
        let started = Instant::now();
        let lines: Arc<Mutex<VecDeque<String>>> = Arc::default();
        let latest = Arc::clone(&lines);
        let workerd = Workerd::start(&self.root, &setup, move |line| {
            let mut lines = latest.lock().unwrap_or_else(PoisonError::into_inner);
            if lines.len() == LINES {
                lines.pop_front();
            }
            lines.push_back(line.to_owned());
        })?;
        let url = workerd.url("it").to_owned();
        client::one(&url, first)?;
        let took = started.elapsed();
        Ok((Running { url, ids: workerd.ids(), lines, _workerd: workerd }, took))
    }

    /// Seeds KV with installed instances: a fact and a row for each. Returns their ids.
    pub fn seed(&self, count: usize) -> Vec<String> {
        let ids: Vec<String> = (0..count).map(instance).collect();
        self.install(&ids);
        ids
    }

    /// The same for instances for whose tokens the upstream takes [`crate::upstream::SLOW`].
    pub fn seed_slow(&self, count: usize) -> Vec<String> {
        let ids: Vec<String> =
            (0..count).map(|number| format!("{SLOW_INSTANCES}-0000-4000-8000-{number:012x}")).collect();
        self.install(&ids);
        ids
    }

    fn install(&self, ids: &[String]) {
        self.kv.seed(ids.iter().flat_map(|id| {
            let at = 1_700_000_000;
            let fact = json!({ "at": at, "kind": "installed" });
            let shown = json!({
                "instance_id": id, "status": "installed", "auth": "oauth", "installed_at": at, "last_event_at": at,
            });
            let mut row = shown.clone();
            if let Some(row) = row.as_object_mut() {
                row.insert("facts".to_owned(), json!([fact]));
            }
            [
                Entry::new(
                    format!("v1:fact:{id}:installed:{at:012}:00000000"),
                    fact.to_string(),
                    Some(fact.to_string()),
                ),
                Entry::new(format!("v1:instance:{id}"), row.to_string(), Some(shown.to_string())),
            ]
        }));
    }
}

fn hash_of_key() -> String {
    Sha256::digest(API_KEY).iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

/// What signs the requests to the app's back end.
fn secret() -> String {
    format!("whsec_{}", STANDARD.encode(Sha256::digest("a secret of the bench")))
}

/// How the ids of instances begin for whose tokens the upstream takes long.
pub const SLOW_INSTANCES: &str = "b0000000";

/// The instance id with a number.
pub fn instance(number: usize) -> String {
    format!("a0000000-0000-4000-8000-{number:012x}")
}
