//! A Worker under `wrangler dev`, with its own configuration and store.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use leash::Leash;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::http::{Request, request};
use super::log::Log;

/// The time limit for the start. On an idle machine wrangler starts in two seconds.
const TIMEOUT: Duration = Duration::from_mins(2);
/// The number of Workers that run at the same time, without the shared ones.
const MAX_WORKERS: usize = 2;

/// The configuration: vars and secrets by name.
#[derive(Clone, Debug, Default)]
pub struct Values {
    all: BTreeMap<String, String>,
    no_store: bool,
    rate_limited: bool,
}

impl Values {
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.all.insert(name.to_owned(), value.into());
        self
    }

    /// Binds no KV namespace.
    pub fn without_store(self) -> Self {
        Self { no_store: true, ..self }
    }

    /// Binds the rate limiter of `wrangler.toml`.
    pub fn rate_limited(self) -> Self {
        Self { rate_limited: true, ..self }
    }

    pub fn get(&self, name: &str) -> &str {
        self.all.get(name).map_or("", String::as_str)
    }

    /// The names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.all.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The values as a dotenv file. Single quotes disable all escapes.
    fn dotenv(&self) -> String {
        self.all.iter().fold(String::new(), |mut text, (name, value)| {
            assert!(!value.contains('\''), "{name} must not contain a single quote: {value}");
            let _ = writeln!(text, "{name}='{value}'");
            text
        })
    }
}

/// A running Worker. It ends when this value is dropped, or when the test process ends.
pub struct Worker {
    /// `http://localhost:PORT`
    pub url: String,
    pub log: Arc<Log>,
    folder: TempDir,
    leash: Leash,
    permit: Option<Permit>,
}

impl Worker {
    /// Starts a Worker for a single test. Waits while [`MAX_WORKERS`] others run.
    pub fn start(values: &Values) -> Self {
        let permit = Permit::take();
        Self { permit: Some(permit), ..Self::start_now(values) }
    }

    /// Restarts the Worker with the same store, empty memory, and another port.
    pub fn restart(self, values: &Values) -> Self {
        self.leash.end();
        Self { permit: self.permit, ..Self::run(self.folder, values) }
    }

    /// Starts a Worker without waiting for others.
    pub fn start_now(values: &Values) -> Self {
        Self::run(new_folder(), values)
    }

    fn run(folder: TempDir, values: &Values) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        copy_build(root, folder.path());
        let config = folder.path().join("wrangler.json");
        fs::write(&config, config_for(root, values).to_string()).expect("a writable directory");
        let env = folder.path().join("values.env");
        let mut options = fs::OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&env).expect("a file");
        file.write_all(values.dotenv().as_bytes()).expect("a writable file");

        let mut wrangler = Command::new(root.join("node_modules/.bin/wrangler"));
        wrangler
            .args(["dev", "--port", "0", "--inspector-port", "0", "--show-interactive-dev-session=false"])
            .arg("--config")
            .arg(&config)
            .arg("--env-file")
            .arg(&env)
            .arg("--persist-to")
            .arg(folder.path().join("store"))
            .current_dir(folder.path())
            .env("PATH", path_with_node(root))
            .env("CI", "1")
            .env("NO_COLOR", "1")
            .env("WRANGLER_SEND_METRICS", "false")
            .env("WRANGLER_HIDE_BANNER", "true")
            // A separate registry: otherwise other `wrangler dev` processes could bind to this Worker by its name.
            .env("WRANGLER_REGISTRY_PATH", folder.path().join("registry"))
            .env("WRANGLER_LOG_PATH", folder.path().join("wrangler-logs"))
            // Otherwise wrangler looks up the machine's location in the network, and reloads with the result.
            .env("CLOUDFLARE_CF_FETCH_ENABLED", "false")
            // Otherwise wrangler records every request with its URL, which can contain a code.
            .env("X_LOCAL_OBSERVABILITY", "false");
        let log = Arc::new(Log::default());
        let lines = Arc::clone(&log);
        let leash = Leash::spawn("wrangler dev", &wrangler, move |line| lines.push(line));
        let mut leash = leash.unwrap_or_else(|error| panic!("{error}; `npm ci` installs wrangler"));
        let ready = leash.wait_for_line(TIMEOUT, |line| line.contains("Ready on http://"));
        let ready = ready.unwrap_or_else(|error| panic!("{error}"));
        let url = ready.split_whitespace().find(|word| word.starts_with("http://")).expect("a URL in the line");
        let worker = Self { url: url.trim_end_matches('/').to_owned(), log, folder, leash, permit: None };
        // The first request compiles the Worker and opens the store. It must not count in measurements.
        worker.request("GET", "/readyz").send();
        worker
    }

    /// The URL of a path.
    pub fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// A request to the Worker.
    pub fn request(&self, method: &str, path: &str) -> Request {
        request(method, self.at(path))
    }

    /// The resident memory of the workerd processes, in KiB; `None` on a system without `/proc`.
    pub fn memory(&self) -> Option<u64> {
        resident(&self.leash.processes("workerd"))
    }

    /// The directory with workerd's KV.
    pub fn store(&self) -> PathBuf {
        self.folder.path().join("store")
    }
}

/// The resident memory of processes, in KiB; `None` on a system without `/proc`.
pub fn resident(processes: &[u32]) -> Option<u64> {
    let size = |id: &u32| {
        let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    let sizes: Vec<u64> = processes.iter().filter_map(size).collect();
    (!sizes.is_empty()).then(|| sizes.iter().sum())
}

/// The directory of the built Worker: `build`, or the value of `WORKER_BUILD`, such as a Worker with deliberate defects.
pub fn build_folder(root: &Path) -> PathBuf {
    std::env::var_os("WORKER_BUILD").map_or_else(|| root.join("build"), PathBuf::from)
}

/// Copies the built Worker, so that a build during the tests does not change it.
fn copy_build(root: &Path, folder: &Path) {
    let build = build_folder(root);
    let copied = ["index.js", "index_bg.wasm"].map(|name| (build.join(name), folder.join(name)));
    let assets = ["assets", "assets/console", "assets/problems"].into_iter().flat_map(|below| {
        fs::create_dir_all(folder.join(below)).expect("a writable directory");
        let names = fs::read_dir(root.join("build").join(below)).into_iter().flatten();
        let paths = names.map(|entry| entry.expect("an entry").path()).filter(|path| path.is_file());
        paths.map(move |path| (path.clone(), folder.join(below).join(path.file_name().expect("a name"))))
    });
    for (from, to) in copied.into_iter().chain(assets) {
        if let Err(error) = fs::copy(&from, to) {
            panic!("{}: {error}. `cargo xtask test` builds the Worker first", from.display());
        }
    }
}

/// The repository's `wrangler.toml`, changed to run the built Worker, without its vars.
fn config_for(root: &Path, values: &Values) -> Value {
    let text = fs::read_to_string(root.join("wrangler.toml")).expect("wrangler.toml beside Cargo.toml");
    let table: toml::Table = text.parse().expect("wrangler.toml is TOML");
    let mut config = serde_json::to_value(table).expect("TOML fits into JSON");
    let fields = config.as_object_mut().expect("a table");
    fields.remove("build");
    fields.remove("vars");
    if !values.rate_limited {
        fields.remove("ratelimits");
    }
    fields.insert("main".to_owned(), json!("index.js"));
    fields["assets"]["directory"] = json!("assets");
    if values.no_store {
        fields.remove("kv_namespaces");
    }
    config
}

/// `PATH` with the Node that npm installed first: wrangler needs a newer Node than many machines have.
pub fn path_with_node(root: &Path) -> std::ffi::OsString {
    let rest = std::env::var_os("PATH").unwrap_or_default();
    let all = std::iter::once(root.join("node_modules/.bin")).chain(std::env::split_paths(&rest));
    std::env::join_paths(all).expect("a PATH")
}

/// A new directory under cargo's. The shared Worker never drops its directory, so this function deletes old ones.
fn new_folder() -> TempDir {
    const OLD: Duration = Duration::from_hours(1);
    let base = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let is_old = |path: &Path| {
        let modified = fs::metadata(path).and_then(|data| data.modified());
        modified.is_ok_and(|at| SystemTime::now().duration_since(at).is_ok_and(|age| age > OLD))
    };
    for entry in fs::read_dir(base).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with("worker-") && is_old(&entry.path()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    tempfile::Builder::new().prefix("worker-").tempdir_in(base).expect("a folder for the Worker")
}

/// A permit to run a Worker.
struct Permit;

static TAKEN: Mutex<usize> = Mutex::new(0);
static RETURNED: Condvar = Condvar::new();

impl Permit {
    fn take() -> Self {
        let taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
        let free = RETURNED.wait_while(taken, |taken| *taken >= MAX_WORKERS);
        *free.unwrap_or_else(PoisonError::into_inner) += 1;
        Self
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        *TAKEN.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        RETURNED.notify_one();
    }
}
