//! A Worker under `wrangler dev`, with its own configuration and store.

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

use super::log::Log;
use super::worker::{Values, build_folder, path_with_node};

/// The time limit for the start. On an idle machine wrangler starts in two seconds.
const TIMEOUT: Duration = Duration::from_mins(2);
/// The number of Workers that run at the same time, without the shared ones.
const MAX_WORKERS: usize = 2;
/// How long a test waits until another one ends its Worker.
const PATIENCE: Duration = Duration::from_mins(10);

/// A running `wrangler dev`.
pub struct Wrangler {
    folder: TempDir,
    leash: Leash,
    permit: Option<Permit>,
}

impl Wrangler {
    /// Starts it, and returns its URL.
    pub fn start(folder: TempDir, permit: Option<Permit>, values: &Values, log: &Arc<Log>) -> (Self, String) {
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
        let lines = Arc::clone(log);
        let leash = Leash::spawn("wrangler dev", &wrangler, move |line| lines.push(line));
        let mut leash = leash.unwrap_or_else(|error| panic!("{error}; `npm ci` installs wrangler"));
        let ready = leash.wait_for_line(TIMEOUT, |line| line.contains("Ready on http://"));
        let ready = ready.unwrap_or_else(|error| panic!("{error}"));
        let url = ready.split_whitespace().find(|word| word.starts_with("http://")).expect("a URL in the line");
        (Self { folder, leash, permit }, url.trim_end_matches('/').to_owned())
    }

    /// Ends it, and returns its directory and its permit for the next one.
    pub fn end(self) -> (TempDir, Option<Permit>) {
        self.leash.end();
        (self.folder, self.permit)
    }

    /// The ids of the workerd processes.
    pub fn workerd(&self) -> Vec<u32> {
        self.leash.processes("workerd")
    }

    /// The directory with workerd's KV and objects.
    pub fn store(&self) -> PathBuf {
        self.folder.path().join("store")
    }
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
    if !values.has_store() {
        fields.remove("kv_namespaces");
    }
    config
}

/// A new directory under cargo's. The shared Worker never drops its directory, so this function deletes old ones.
pub fn new_folder() -> TempDir {
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

/// A permit to run `wrangler dev`.
pub struct Permit;

static TAKEN: Mutex<usize> = Mutex::new(0);
static RETURNED: Condvar = Condvar::new();

impl Permit {
    pub fn take() -> Self {
        let taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
        let free = RETURNED.wait_timeout_while(taken, PATIENCE, |taken| *taken >= MAX_WORKERS);
        let (mut taken, waited) = free.unwrap_or_else(PoisonError::into_inner);
        assert!(!waited.timed_out(), "other tests keep their `wrangler dev` for too long");
        *taken += 1;
        Self
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        *TAKEN.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        RETURNED.notify_one();
    }
}
