//! A Worker with its own configuration and store, under `wrangler dev` or in workerd alone.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tempfile::TempDir;

use super::http::{Request, request};
use super::log::Log;
use super::plain::Plain;
use super::wrangler::{Permit, Wrangler, new_folder};

/// The configuration: vars and secrets by name.
#[derive(Clone, Debug, Default)]
pub struct Values {
    all: BTreeMap<String, String>,
    no_store: bool,
    pub rate_limited: bool,
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

    pub fn has_store(&self) -> bool {
        !self.no_store
    }

    pub fn get(&self, name: &str) -> &str {
        self.all.get(name).map_or("", String::as_str)
    }

    /// The names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.all.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The values as a dotenv file. Single quotes disable all escapes.
    pub fn dotenv(&self) -> String {
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
    runner: Runner,
}

/// What runs the Worker.
enum Runner {
    /// `wrangler dev`, which serves the static assets and limits the rate. It takes some seconds to start.
    Wrangler(Wrangler),
    /// workerd alone.
    Plain(Plain),
}

impl Worker {
    /// Starts a Worker in workerd alone.
    pub fn start(values: &Values) -> Self {
        Self::run_plain(Plain::new(), values)
    }

    /// Starts a Worker under `wrangler dev` for a single test. Waits while some others run.
    pub fn under_wrangler(values: &Values) -> Self {
        let permit = Permit::take();
        Self::run_wrangler(new_folder(), Some(permit), values)
    }

    /// Starts a Worker under `wrangler dev` without waiting for others.
    pub fn to_share(values: &Values) -> Self {
        Self::run_wrangler(new_folder(), None, values)
    }

    /// Restarts the Worker with the same store, empty memory, and another port.
    pub fn restart(self, values: &Values) -> Self {
        match self.runner {
            Runner::Wrangler(wrangler) => {
                let (folder, permit) = wrangler.end();
                Self::run_wrangler(folder, permit, values)
            }
            Runner::Plain(plain) => Self::run_plain(plain.ended(), values),
        }
    }

    fn run_wrangler(folder: TempDir, permit: Option<Permit>, values: &Values) -> Self {
        let log = Arc::new(Log::default());
        let (wrangler, url) = Wrangler::start(folder, permit, values, &log);
        Self { url, log, runner: Runner::Wrangler(wrangler) }.ready()
    }

    fn run_plain(mut plain: Plain, values: &Values) -> Self {
        let log = Arc::new(Log::default());
        let url = plain.start(values, &log);
        Self { url, log, runner: Runner::Plain(plain) }.ready()
    }

    /// The first request compiles the Worker and opens the store. It must not count in measurements.
    fn ready(self) -> Self {
        self.request("GET", "/readyz").send();
        self
    }

    /// The URL of a path.
    pub fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// A request to the Worker.
    pub fn request(&self, method: &str, path: &str) -> Request {
        request(method, self.at(path))
    }

    /// Fires the Cron Trigger, and waits until it has ended.
    pub fn cron(&self) {
        let url = match &self.runner {
            Runner::Wrangler(_) => self.at("/cdn-cgi/local/scheduled"),
            Runner::Plain(plain) => plain.cron().to_owned(),
        };
        request("GET", url).send().expect(200);
    }

    /// The resident memory of the workerd processes, in KiB; `None` on a system without `/proc`.
    pub fn memory(&self) -> Option<u64> {
        resident(&match &self.runner {
            Runner::Wrangler(wrangler) => wrangler.workerd(),
            Runner::Plain(plain) => plain.workerd(),
        })
    }

    /// Everything that the Worker has stored: the files, and the values in KV if they are in this process.
    pub fn stored(&self) -> Vec<(String, Vec<u8>)> {
        match &self.runner {
            Runner::Wrangler(wrangler) => files(&wrangler.store()),
            Runner::Plain(plain) => plain.stored(),
        }
    }
}

/// The files below a directory, with their contents.
pub fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let paths = fs::read_dir(folder).expect("a directory").flatten().map(|entry| entry.path());
    paths
        .flat_map(|path| {
            if path.is_dir() {
                files(&path)
            } else {
                vec![(path.display().to_string(), fs::read(&path).expect("a file"))]
            }
        })
        .collect()
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

/// Does the work, and returns the highest of the values that were measured meanwhile.
pub fn highest(measure: impl Fn() -> u64 + Sync, work: impl FnOnce()) -> u64 {
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watching = scope.spawn(|| {
            let mut most = measure();
            while !is_done.load(Ordering::Relaxed) {
                most = most.max(measure());
                std::thread::sleep(Duration::from_millis(5));
            }
            most
        });
        // The scope waits for the thread, also if the work fails.
        let result = catch_unwind(AssertUnwindSafe(work));
        is_done.store(true, Ordering::Relaxed);
        let most = watching.join().expect("a number");
        result.unwrap_or_else(|panic| resume_unwind(panic));
        most
    })
}

/// The directory of the built Worker: `build`, or the value of `WORKER_BUILD`, such as a Worker with deliberate defects.
pub fn build_folder(root: &Path) -> PathBuf {
    std::env::var_os("WORKER_BUILD").map_or_else(|| root.join("build"), PathBuf::from)
}

/// `PATH` with the Node that npm installed first: wrangler needs a newer Node than many machines have.
pub fn path_with_node(root: &Path) -> std::ffi::OsString {
    let rest = std::env::var_os("PATH").unwrap_or_default();
    let all = std::iter::once(root.join("node_modules/.bin")).chain(std::env::split_paths(&rest));
    std::env::join_paths(all).expect("a PATH")
}
