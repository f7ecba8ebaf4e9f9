//! A Worker: `wrangler dev` on a leash, with a configuration and a store of its own.

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

use super::http::{Ask, ask};
use super::log::Log;

/// wrangler is up in two seconds on an idle machine.
const PATIENCE: Duration = Duration::from_mins(2);
/// How many Workers of their own tests may have at a time, beside the shared one.
const AT_A_TIME: usize = 2;

/// What the operator sets, by name. Everything is text.
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

    /// And no KV namespace bound.
    pub fn without_store(self) -> Self {
        Self { no_store: true, ..self }
    }

    /// And the rate limiter of `wrangler.toml` bound.
    pub fn rate_limited(self) -> Self {
        Self { rate_limited: true, ..self }
    }

    pub fn get(&self, name: &str) -> &str {
        self.all.get(name).map_or("", String::as_str)
    }

    /// Each with its name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.all.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// As a dotenv file. In single quotes everything stands for itself.
    fn dotenv(&self) -> String {
        self.all.iter().fold(String::new(), |mut text, (name, value)| {
            assert!(!value.contains('\''), "{name} cannot be quoted: {value}");
            let _ = writeln!(text, "{name}='{value}'");
            text
        })
    }
}

/// A running Worker. It ends when this is dropped, or when the tests end.
pub struct Worker {
    /// `http://localhost:PORT`
    pub url: String,
    pub log: Arc<Log>,
    folder: TempDir,
    leash: Leash,
    permit: Option<Permit>,
}

impl Worker {
    /// Starts one for a single test; waits while too many others run.
    pub fn start(values: &Values) -> Self {
        let permit = Permit::take();
        Self { permit: Some(permit), ..Self::start_now(values) }
    }

    /// Ends it and starts it anew with the same store and another memory, at another address.
    pub fn restart(self, values: &Values) -> Self {
        self.leash.end();
        Self { permit: self.permit, ..Self::run(self.folder, values) }
    }

    /// Starts one, however many there are.
    pub fn start_now(values: &Values) -> Self {
        Self::run(new_folder(), values)
    }

    fn run(folder: TempDir, values: &Values) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        copy_build(root, folder.path());
        let config = folder.path().join("wrangler.json");
        fs::write(&config, config_for(root, values).to_string()).expect("a writable folder");
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
            // Or every `wrangler dev` of the machine could bind to this Worker by its name.
            .env("WRANGLER_REGISTRY_PATH", folder.path().join("registry"))
            .env("WRANGLER_LOG_PATH", folder.path().join("wrangler-logs"))
            // Or it asks the network where this machine is, and starts anew with the answer.
            .env("CLOUDFLARE_CF_FETCH_ENABLED", "false")
            // It would keep a record of every request, with the codes in its URL.
            .env("X_LOCAL_OBSERVABILITY", "false");
        let log = Arc::new(Log::default());
        let lines = Arc::clone(&log);
        let leash = Leash::spawn("wrangler dev", &wrangler, move |line| lines.push(line));
        let mut leash = leash.unwrap_or_else(|error| panic!("{error}; `npm ci` installs wrangler"));
        let ready = leash.wait_for_line(PATIENCE, |line| line.contains("Ready on http://"));
        let ready = ready.unwrap_or_else(|error| panic!("{error}"));
        let url = ready.split_whitespace().find(|word| word.starts_with("http://")).expect("a URL in the line");
        let worker = Self { url: url.trim_end_matches('/').to_owned(), log, folder, leash, permit: None };
        // The first request compiles the Worker and opens the store; what is measured comes after it.
        worker.ask("GET", "/readyz").send();
        worker
    }

    /// An address of the Worker's.
    pub fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// A request to the Worker.
    pub fn ask(&self, method: &str, path: &str) -> Ask {
        ask(method, self.at(path))
    }

    /// What its workerd processes hold of the machine's memory, in KiB; nothing where there is no `/proc`.
    pub fn memory(&self) -> Option<u64> {
        let size = |id: u32| {
            let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
            let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
            line.split_whitespace().next()?.parse::<u64>().ok()
        };
        let sizes: Vec<u64> = self.leash.processes("workerd").into_iter().filter_map(size).collect();
        (!sizes.is_empty()).then(|| sizes.iter().sum())
    }

    /// Where workerd keeps KV.
    pub fn store(&self) -> PathBuf {
        self.folder.path().join("store")
    }
}

/// Where the built Worker is. `WORKER_BUILD` names another folder than `build`, such as that of a Worker broken on purpose.
pub fn build_folder(root: &Path) -> PathBuf {
    std::env::var_os("WORKER_BUILD").map_or_else(|| root.join("build"), PathBuf::from)
}

/// Puts the built Worker beside its configuration: a build that begins while tests run must not reach into them.
fn copy_build(root: &Path, folder: &Path) {
    let build = build_folder(root);
    for name in ["index.js", "index_bg.wasm"] {
        if let Err(error) = fs::copy(build.join(name), folder.join(name)) {
            panic!("{}: {error}. `cargo xtask test` builds the Worker first", build.join(name).display());
        }
    }
}

/// The repository's own configuration, with the built Worker as it is and without its values.
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
    if values.no_store {
        fields.remove("kv_namespaces");
    }
    config
}

/// The Node that npm installed comes first: wrangler needs a newer one than machines may have.
pub fn path_with_node(root: &Path) -> std::ffi::OsString {
    let rest = std::env::var_os("PATH").unwrap_or_default();
    let all = std::iter::once(root.join("node_modules/.bin")).chain(std::env::split_paths(&rest));
    std::env::join_paths(all).expect("a PATH")
}

/// A folder under cargo's own. The shared Worker's outlives the tests, so what is old is cleared away here.
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

/// Leave to run a Worker.
struct Permit;

static TAKEN: Mutex<usize> = Mutex::new(0);
static RETURNED: Condvar = Condvar::new();

impl Permit {
    fn take() -> Self {
        let taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
        let free = RETURNED.wait_while(taken, |taken| *taken >= AT_A_TIME);
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
