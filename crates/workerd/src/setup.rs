//! What workerd is to run, and its configuration file (a Cap'n Proto text; `workerd.capnp` in workerd's own sources).

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use toml::Table;

use crate::Kv;

/// Fires the Cron Trigger of the Worker that it is bound to, at any request. Answers `{"outcome":"ok",…}` when it is done.
const TRIGGER: &str = r#"export default {
  async fetch(request, env) {
    return Response.json(await env.WORKER.scheduled({ cron: "*/5 * * * *", scheduledTime: new Date() }));
  },
};
"#;

/// The Workers of one process, by name. Each gets a socket of its own.
#[derive(Clone, Default)]
pub struct Setup {
    workers: Vec<(String, Worker)>,
}

/// A Worker: its modules, the first of which is the entry, and its bindings.
#[derive(Clone)]
pub struct Worker {
    modules: Vec<Module>,
    bindings: Vec<(String, Binding)>,
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
    /// `host:port` of a service that speaks KV's protocol.
    Kv(String),
}

impl Setup {
    /// Adds a Worker.
    #[must_use]
    pub fn worker(mut self, name: &str, worker: Worker) -> Self {
        self.workers.push((name.to_owned(), worker));
        self
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.workers.iter().map(|(name, _)| name.as_str())
    }

    /// Writes the modules and the configuration into a folder that nobody else can read: the bindings are secret.
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
            let _ = writeln!(sockets, "    (name = {name}, address = \"127.0.0.1:0\", http = (), service = {name}),");
            stores.extend(worker.bindings.iter().filter_map(|(_, binding)| match binding {
                Binding::Kv(address) => Some(address),
                Binding::Text(_) | Binding::Service(_) => None,
            }));
        }
        stores.sort();
        stores.dedup();
        for address in stores {
            let (name, address) = (quoted(&store(address)), quoted(address));
            let _ = writeln!(services, "    (name = {name}, external = (address = {address}, http = ())),");
        }
        // The simulated Wix and the like are on loopback, which workerd keeps Workers from unless it is told otherwise.
        services.push_str("    (name = \"internet\", network = (allow = [\"public\", \"private\"])),\n");
        format!(
            "using Workerd = import \"/workerd/workerd.capnp\";\n\n\
             const config :Workerd.Config = (\n  services = [\n{services}  ],\n  sockets = [\n{sockets}  ],\n);\n"
        )
    }
}

impl Worker {
    /// The Worker of the repository at `root` as it is deployed: compatibility date and flags are those of its
    /// `wrangler.toml`. Its modules are taken from the folder `build`; values and KV are to be bound.
    pub fn built(root: &Path, build: &Path) -> Result<Self> {
        let text = fs::read_to_string(root.join("wrangler.toml")).context("no wrangler.toml")?;
        let config: Table = text.parse().context("wrangler.toml")?;
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
            date: date.context("wrangler.toml has no compatibility_date")?.to_owned(),
            flags: flags.into_iter().flatten().filter_map(toml::Value::as_str).map(str::to_owned).collect(),
        })
    }

    /// Adds a JavaScript module.
    #[must_use]
    pub fn module(mut self, name: &str, script: &str) -> Self {
        self.modules.push(Module { name: name.to_owned(), kind: "esModule", content: script.into() });
        self
    }

    /// Puts a JavaScript module before the others: it is the entry then, and may import them.
    #[must_use]
    pub fn entry(mut self, name: &str, script: &str) -> Self {
        self.modules.insert(0, Module { name: name.to_owned(), kind: "esModule", content: script.into() });
        self
    }

    /// A Worker of one JavaScript module.
    #[must_use]
    pub fn script(date: &str, script: &str) -> Self {
        let module = Module { name: "index.js".to_owned(), kind: "esModule", content: script.into() };
        Self { modules: vec![module], bindings: Vec::new(), date: date.to_owned(), flags: Vec::new() }
    }

    /// A Worker that fires the Cron Trigger of another one, whose name is given, at any request.
    #[must_use]
    pub fn trigger(worker: &str) -> Self {
        Self::script("2026-10-20", TRIGGER).flag("service_binding_extra_handlers").service("WORKER", worker)
    }

    /// Binds a text: a var or a secret.
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
                Binding::Kv(address) => format!("kvNamespace = {}", quoted(&store(address))),
            };
            format!("(name = {}, {value})", quoted(name))
        });
        format!(
            "(modules = [{}], bindings = [{}], compatibilityDate = {}, compatibilityFlags = [{}])",
            list(modules),
            list(bindings),
            quoted(&self.date),
            list(self.flags.iter().map(|flag| quoted(flag)))
        )
    }
}

fn list(items: impl Iterator<Item = String>) -> String {
    items.collect::<Vec<_>>().join(", ")
}

fn store(address: &str) -> String {
    format!("kv {address}")
}

fn file_name(number: usize, module: &Module) -> String {
    format!("{number}-{}", module.name)
}

/// As Cap'n Proto reads a text.
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
