//! The process.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use leash::Leash;
use serde_json::Value;

use crate::Setup;

/// workerd is up in less than a second on an idle machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// A running workerd. It ends when this is dropped, or with this process.
#[derive(Debug)]
pub struct Workerd {
    urls: BTreeMap<String, String>,
    leash: Leash,
}

impl Workerd {
    /// Starts the workerd that npm installed at `root` and waits until every Worker listens. `on_line` is called with each
    /// line of its output, the Workers' own log among them.
    pub fn start(root: &Path, setup: &Setup, on_line: impl Fn(&str) + Send + Sync + 'static) -> Result<Self> {
        let bin = root.join("node_modules/.bin");
        // workerd has read all of it when it listens; the folder, which the user alone may open, ends with this function.
        let folder = tempfile::Builder::new().prefix("workerd-").tempdir().context("no temporary folder")?;
        setup.write(folder.path()).context("the configuration could not be written")?;

        let mut command = Command::new(bin.join("workerd"));
        // The sockets' ports are told on the standard output.
        command.args(["serve", "--experimental", "--control-fd=1", "config.capnp"]).current_dir(folder.path());
        // Where npm ran no install scripts, workerd is started by a script for Node.
        let path = std::env::var_os("PATH").unwrap_or_default();
        command.env("PATH", std::env::join_paths(std::iter::once(bin).chain(std::env::split_paths(&path)))?);
        let mut leash = Leash::spawn("workerd", &command, on_line).context("`npm ci` installs workerd")?;

        let mut urls = BTreeMap::new();
        for name in setup.names() {
            let line = leash.wait_for_line(PATIENCE, |line| listens(line).is_some_and(|(socket, _)| socket == name))?;
            let (name, port) = listens(&line).context("no port")?;
            urls.insert(name, format!("http://127.0.0.1:{port}"));
        }
        Ok(Self { urls, leash })
    }

    /// Where a Worker listens, such as `http://127.0.0.1:1234`; empty for a name that is not of the setup.
    #[must_use]
    pub fn url(&self, worker: &str) -> &str {
        self.urls.get(worker).map_or("", String::as_str)
    }

    /// The ids of its processes, on Linux: one, or with a script for Node before it, those named workerd.
    #[must_use]
    pub fn ids(&self) -> Vec<u32> {
        self.leash.processes("workerd")
    }

    /// Fails with its last words if it has ended.
    pub fn check_running(&mut self) -> Result<()> {
        Ok(self.leash.check_running()?)
    }
}

/// A socket's name and port.
fn listens(line: &str) -> Option<(String, u16)> {
    let event: Value = serde_json::from_str(line).ok()?;
    let port = event.get("port")?.as_u64()?.try_into().ok()?;
    (event.get("event")? == "listen").then_some((event.get("socket")?.as_str()?.to_owned(), port))
}
