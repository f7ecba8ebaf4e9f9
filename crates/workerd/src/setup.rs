//! The Workers that workerd runs, and its configuration file in Cap'n Proto text (schema: `workerd.capnp` in workerd's
//! sources).

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use toml::Table;

use crate::Kv;

/// On any request, fires the Cron Trigger of the bound Worker, waits for its end, and responds `{"outcome":"ok",…}`.
const CRON_SCRIPT: &str = r#"export default {
  async fetch(request, env) {
    return Response.json(await env.WORKER.scheduled({ cron: "*/5 * * * *", scheduledTime: new Date() }));
  },
};
"#;

/// The Workers of one process, by name. Each has its own socket.
#[derive(Clone, Default)]
pub struct Setup {
    workers: Vec<(String, Worker)>,
    v8_flags: Vec<String>,
}

/// A Worker: its modules and bindings. The first module is the entry.
#[derive(Clone)]
pub struct Worker {
    modules: Vec<Module>,
    bindings: Vec<(String, Binding)>,
    /// Where its Durable Objects are stored.
    storage: Option<PathBuf>,
    date: String,
    flags: Vec<String>,
}

#[derive(Clone)]
struct Module {
    name: String,
    kind: &'static str,
    content: Vec<u8>,
}

#[derive(Clone)]
enum Binding {
    Text(String),
    Service(String),
    /// `host:port` of a server of the KV protocol.
    Kv(String),
    /// The Durable Objects of this class: the Worker's own, or those of another Worker of the setup.
    Objects {
        class: String,
        worker: Option<String>,
    },
}

impl Setup {
    /// Adds a Worker.
    #[must_use]
    pub fn worker(mut self, name: &str, worker: Worker) -> Self {
        self.workers.push((name.to_owned(), worker));
        self
    }

    /// Passes a flag to V8.
    #[must_use]
    pub fn v8_flag(mut self, flag: &str) -> Self {
        self.v8_flags.push(flag.to_owned());
        self
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.workers.iter().map(|(name, _)| name.as_str())
    }

    /// Writes the modules and the configuration. No other user may be able to read the folder: bindings have secrets.
    pub(crate) fn write(&self, folder: &Path) -> Result<()> {
        for (number, (_, worker)) in self.workers.iter().enumerate() {
            for module in &worker.modules {
                fs::write(folder.join(file_name(number, module)), &module.content)?;
            }
        }
        fs::write(folder.join("config.capnp"), self.capnp())?;
        Ok(())
    }

    fn capnp(&self) -> String {
        let mut services = String::new();
        let mut sockets = String::new();
        let mut stores = Vec::new();
        for (number, (name, worker)) in self.workers.iter().enumerate() {
            let name = quoted(name);
            let _ = writeln!(services, "    (name = {name}, worker = {}),", worker.capnp(number));
            if let Some(folder) = &worker.storage {
                let (disk, path) = (quoted(&disk(number)), quoted(&folder.to_string_lossy()));
                let _ = writeln!(services, "    (name = {disk}, disk = (path = {path}, writable = true)),");
            }
            let _ = writeln!(sockets, "    (name = {name}, address = \"127.0.0.1:0\", http = (), service = {name}),");
            stores.extend(worker.bindings.iter().filter_map(|(_, binding)| match binding {
                Binding::Kv(address) => Some(address),
                Binding::Text(_) | Binding::Service(_) | Binding::Objects { .. } => None,
            }));
        }
        stores.sort();
        stores.dedup();
        for address in stores {
            let (name, address) = (quoted(&kv_service(address)), quoted(address));
            let _ = writeln!(services, "    (name = {name}, external = (address = {address}, http = ())),");
        }
        // The simulator is on loopback. By default workerd allows Workers to connect to public addresses only.
        services.push_str("    (name = \"internet\", network = (allow = [\"public\", \"private\"])),\n");
        let flags = list(self.v8_flags.iter().map(|flag| quoted(flag)));
        format!(
            "using Workerd = import \"/workerd/workerd.capnp\";\n\n\
             const config :Workerd.Config = (\n  services = [\n{services}  ],\n  sockets = [\n{sockets}  ],\n  v8Flags = [{flags}],\n);\n"
        )
    }
}

impl Worker {
    /// The Worker of the repository at `root`, with the compatibility date and flags of its `wrangler.toml` and the
    /// modules in the folder `build`. The caller adds the bindings.
    pub fn built(root: &Path, build: &Path) -> Result<Self> {
        let text = fs::read_to_string(root.join("wrangler.toml")).context("could not read wrangler.toml")?;
        let config: Table = text.parse().context("wrangler.toml must be TOML")?;
        let date = config.get("compatibility_date").and_then(toml::Value::as_str);
        let flags = config.get("compatibility_flags").and_then(toml::Value::as_array);
        let module = |name: &str, kind| {
            let path = build.join(name);
            let content = fs::read(&path)
                .with_context(|| format!("{}: `cargo xtask build` builds the Worker", path.display()))?;
            Ok::<_, anyhow::Error>(Module { name: name.to_owned(), kind, content })
        };
        Ok(Self {
            modules: vec![module("index.js", "esModule")?, module("index_bg.wasm", "wasm")?],
            bindings: Vec::new(),
            storage: None,
            date: date.context("compatibility_date must be set in wrangler.toml")?.to_owned(),
            flags: flags.into_iter().flatten().filter_map(toml::Value::as_str).map(str::to_owned).collect(),
        })
    }

    /// Adds a JavaScript module.
    #[must_use]
    pub fn module(mut self, name: &str, script: &str) -> Self {
        self.modules.push(Module { name: name.to_owned(), kind: "esModule", content: script.into() });
        self
    }

    /// Adds a JavaScript module as the entry. It can import the other modules.
    #[must_use]
    pub fn entry(mut self, name: &str, script: &str) -> Self {
        self.modules.insert(0, Module { name: name.to_owned(), kind: "esModule", content: script.into() });
        self
    }

    /// A Worker with a single JavaScript module.
    #[must_use]
    pub fn script(date: &str, script: &str) -> Self {
        let module = Module { name: "index.js".to_owned(), kind: "esModule", content: script.into() };
        let date = date.to_owned();
        Self { modules: vec![module], bindings: Vec::new(), storage: None, date, flags: Vec::new() }
    }

    /// A Worker that fires the Cron Trigger of `worker` on any request.
    #[must_use]
    pub fn trigger(worker: &str) -> Self {
        Self::script("2026-10-20", CRON_SCRIPT).flag("service_binding_extra_handlers").service("WORKER", worker)
    }

    /// Binds a var or a secret.
    #[must_use]
    pub fn text(self, name: &str, value: &str) -> Self {
        self.bind(name, Binding::Text(value.to_owned()))
    }

    /// Binds another Worker of the setup.
    #[must_use]
    pub fn service(self, name: &str, worker: &str) -> Self {
        self.bind(name, Binding::Service(worker.to_owned()))
    }

    /// Binds a KV namespace.
    #[must_use]
    pub fn kv(self, name: &str, kv: &Kv) -> Self {
        self.bind(name, Binding::Kv(kv.address().to_string()))
    }

    /// Binds the Worker's own Durable Objects of a class, with their databases in `folder`, which must exist.
    #[must_use]
    pub fn objects(self, name: &str, class: &str, folder: &Path) -> Self {
        let own = Binding::Objects { class: class.to_owned(), worker: None };
        Self { storage: Some(folder.to_owned()), ..self.bind(name, own) }
    }

    /// Binds the Durable Objects of a class of another Worker of the setup.
    #[must_use]
    pub fn objects_of(self, name: &str, class: &str, worker: &str) -> Self {
        self.bind(name, Binding::Objects { class: class.to_owned(), worker: Some(worker.to_owned()) })
    }

    /// Sets a compatibility flag.
    #[must_use]
    pub fn flag(mut self, flag: &str) -> Self {
        self.flags.push(flag.to_owned());
        self
    }

    fn bind(mut self, name: &str, binding: Binding) -> Self {
        self.bindings.retain(|(known, _)| known != name);
        self.bindings.push((name.to_owned(), binding));
        self
    }

    fn capnp(&self, number: usize) -> String {
        let modules = self.modules.iter().map(|module| {
            let (name, file) = (quoted(&module.name), quoted(&file_name(number, module)));
            format!("(name = {name}, {} = embed {file})", module.kind)
        });
        let bindings = self.bindings.iter().map(|(name, binding)| {
            let value = match binding {
                Binding::Text(text) => format!("text = {}", quoted(text)),
                Binding::Service(name) => format!("service = {}", quoted(name)),
                Binding::Kv(address) => format!("kvNamespace = {}", quoted(&kv_service(address))),
                Binding::Objects { class, worker: None } => format!("durableObjectNamespace = {}", quoted(class)),
                Binding::Objects { class, worker: Some(worker) } => {
                    let (class, worker) = (quoted(class), quoted(worker));
                    format!("durableObjectNamespace = (className = {class}, serviceName = {worker})")
                }
            };
            format!("(name = {}, {value})", quoted(name))
        });
        let mut text = format!(
            "(modules = [{}], bindings = [{}], compatibilityDate = {}, compatibilityFlags = [{}]",
            list(modules),
            list(bindings),
            quoted(&self.date),
            list(self.flags.iter().map(|flag| quoted(flag)))
        );
        if self.storage.is_some() {
            let classes = self.bindings.iter().filter_map(|(_, binding)| match binding {
                Binding::Objects { class, worker: None } => {
                    Some(format!("(className = {0}, uniqueKey = {0}, enableSql = true)", quoted(class)))
                }
                Binding::Objects { .. } | Binding::Text(_) | Binding::Service(_) | Binding::Kv(_) => None,
            });
            let (classes, disk) = (list(classes), quoted(&disk(number)));
            let _ =
                write!(text, ", durableObjectNamespaces = [{classes}], durableObjectStorage = (localDisk = {disk})");
        }
        text.push(')');
        text
    }
}

fn list(items: impl Iterator<Item = String>) -> String {
    items.collect::<Vec<_>>().join(", ")
}

/// The name of the service that serves a KV namespace.
fn kv_service(address: &str) -> String {
    format!("kv {address}")
}

/// The name of the service that stores the Durable Objects of a Worker.
fn disk(number: usize) -> String {
    format!("disk {number}")
}

fn file_name(number: usize, module: &Module) -> String {
    format!("{number}-{}", module.name)
}

/// Quotes a text in Cap'n Proto's syntax.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            '\n' => quoted.push_str("\\n"),
            '\0'..='\x1f' | '\x7f' => {
                let _ = write!(quoted, "\\x{:02x}", u32::from(character));
            }
            _ => quoted.push(character),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests;
