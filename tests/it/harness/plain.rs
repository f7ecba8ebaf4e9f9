//! A Worker in workerd alone, with its KV in this process.

use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;
use workerd::{Kv, Setup, Worker, Workerd};

use super::log::Log;
use super::objects::{APP, serve};
use super::worker::{Values, build_folder, files};

/// The name of the Worker that fires the Cron Trigger.
const CRON: &str = "cron";

/// The store, and workerd while it runs.
pub struct Plain {
    kv: Kv,
    /// Where the databases of the objects are.
    folder: TempDir,
    workerd: Option<Workerd>,
}

impl Plain {
    /// An empty store.
    pub fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("objects-").tempdir().expect("a folder");
        Self { kv: Kv::start().expect("a KV"), folder, workerd: None }
    }

    /// Starts workerd, and returns the Worker's URL.
    pub fn start(&mut self, values: &Values, log: &Arc<Log>) -> String {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let built = Worker::built(root, &build_folder(root)).unwrap_or_else(|error| panic!("{error:#}"));
        let built = built.objects("INSTALLATIONS", "Installation", self.folder.path());
        let built = if values.has_store() { built.kv("INSTANCES", &self.kv) } else { built };
        let app = values.iter().fold(built, |app, (name, value)| app.text(name, value));
        let setup = Setup::default().worker(APP, app).worker(CRON, Worker::trigger(APP));
        let lines = Arc::clone(log);
        let workerd = self.workerd.insert(serve(&setup, move |line| lines.push(line)));
        workerd.url(APP).replace("127.0.0.1", "localhost")
    }

    /// The same store, without workerd.
    pub fn ended(self) -> Self {
        Self { workerd: None, ..self }
    }

    /// The URL that fires the Cron Trigger.
    pub fn cron(&self) -> &str {
        self.workerd.as_ref().map_or("", |workerd| workerd.url(CRON))
    }

    /// The ids of the workerd processes.
    pub fn workerd(&self) -> Vec<u32> {
        self.workerd.as_ref().map(Workerd::ids).unwrap_or_default()
    }

    /// The files of the objects, and the keys of KV with their values and metadata.
    pub fn stored(&self) -> Vec<(String, Vec<u8>)> {
        let entries = self.kv.entries("").into_iter().map(|entry| {
            let metadata = entry.metadata.unwrap_or_default();
            let bytes = [entry.key.as_bytes(), &entry.value, metadata.as_bytes()].join(&b'\n');
            (entry.key, bytes)
        });
        files(self.folder.path()).into_iter().chain(entries).collect()
    }
}
