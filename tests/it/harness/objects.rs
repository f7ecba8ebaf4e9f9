//! The Worker in plain workerd with its Durable Objects, whose databases are on disk.

use std::path::Path;

use workerd::{Kv, Setup, Worker, Workerd};

use super::worker::{Values, build_folder, resident};

/// The name of the Worker in the setup.
pub const APP: &str = "app";
/// Measures the objects, and lets them fail.
pub const ENTRY: &str = include_str!("../events/entry.mjs");
/// Lets a call into the wasm trap.
pub const HOOK: &str = include_str!("../trap/hook.mjs");

/// The configuration of the Worker, and where it stores.
pub struct Objects<'a> {
    pub values: &'a Values,
    pub kv: &'a Kv,
    /// Where the databases are.
    pub folder: &'a Path,
}

impl Objects<'_> {
    /// The Worker with its objects.
    pub fn worker(&self) -> Worker {
        let app = self.unbound().module("hook.mjs", HOOK).entry("entry.mjs", ENTRY);
        app.objects("INSTALLATIONS", "Installation", self.folder)
    }

    /// The Worker without objects.
    pub fn unbound(&self) -> Worker {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let built = Worker::built(root, &build_folder(root)).unwrap_or_else(|error| panic!("{error:#}"));
        self.values.iter().fold(built.kv("INSTANCES", self.kv), |app, (name, value)| app.text(name, value))
    }

    /// Starts workerd. With another Worker, that is the target of events, by a service binding.
    pub fn start(&self, target: Option<Worker>, on_line: impl Fn(&str) + Send + Sync + 'static) -> Workerd {
        let app = self.worker();
        let setup = match target {
            None => Setup::default().worker(APP, app),
            Some(target) => {
                Setup::default().worker(APP, app.service("EVENTS_TARGET", "target")).worker("target", target)
            }
        };
        serve(&setup, on_line)
    }
}

/// Starts workerd.
pub fn serve(setup: &Setup, on_line: impl Fn(&str) + Send + Sync + 'static) -> Workerd {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    Workerd::start(root, setup, on_line).unwrap_or_else(|error| panic!("{error:#}"))
}

/// The resident memory of workerd, in KiB; 0 on a system without `/proc`.
pub fn memory(workerd: &Workerd) -> u64 {
    resident(&workerd.ids()).unwrap_or(0)
}
