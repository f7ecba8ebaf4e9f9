//! The workerd process.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use leash::Leash;
use serde_json::Value;

use crate::Setup;

/// The time limit for the start. On an idle machine workerd starts in less than a second.
const START_TIMEOUT: Duration = Duration::from_mins(1);

/// A running workerd. It ends when this value is dropped, or when this process ends.
#[derive(Debug)]
pub struct Workerd {
    urls: BTreeMap<String, String>,
    leash: Leash,
}

impl Workerd {
    /// Starts the workerd that npm installed at `root`, and waits until every Worker listens. Calls `on_line` with each
    /// line of output, which includes the Workers' logs.
    pub fn start(root: &Path, setup: &Setup, on_line: impl Fn(&str) + Send + Sync + 'static) -> Result<Self> {
        let bin = root.join("node_modules/.bin");
        // Only this user can open the directory. It is deleted when this function returns: workerd has read all files
        // before it listens.
        let folder =
            tempfile::Builder::new().prefix("workerd-").tempdir().context("could not create a temporary directory")?;
        setup.write(folder.path()).context("could not write the configuration")?;

        let mut command = Command::new(bin.join("workerd"));
        // `--control-fd=1`: workerd writes the sockets' ports to standard output.
        command.args(["serve", "--experimental", "--control-fd=1", "config.capnp"]).current_dir(folder.path());
        // If npm ran no install scripts, `bin/workerd` is a Node script and needs the pinned node on PATH.
        let path = std::env::var_os("PATH").unwrap_or_default();
        command.env("PATH", std::env::join_paths(std::iter::once(bin).chain(std::env::split_paths(&path)))?);
        let mut leash =
            Leash::spawn("workerd", &command, on_line).context("could not start workerd, which `npm ci` installs")?;

        let mut urls = BTreeMap::new();
        for name in setup.names() {
            let is_wanted = |line: &str| parse_listen_event(line).is_some_and(|(socket, _)| socket == name);
            let line = leash.wait_for_line(START_TIMEOUT, is_wanted)?;
            let (name, port) = parse_listen_event(&line).context("the listen event has no port")?;
            urls.insert(name, format!("http://127.0.0.1:{port}"));
        }
        Ok(Self { urls, leash })
    }

    /// The origin of a Worker, such as `http://127.0.0.1:1234`; empty for a name that the setup does not have.
    #[must_use]
    pub fn url(&self, worker: &str) -> &str {
        self.urls.get(worker).map_or("", String::as_str)
    }

    /// The ids of the processes named workerd, on Linux. A Node script that starts workerd is not among them.
    #[must_use]
    pub fn ids(&self) -> Vec<u32> {
        self.leash.processes("workerd")
    }

    /// Kills workerd with `SIGKILL`.
    pub fn kill(self) {
        self.leash.kill();
    }

    /// Fails with the last lines of output if workerd has exited.
    pub fn check_running(&mut self) -> Result<()> {
        Ok(self.leash.check_running()?)
    }
}

/// The name and port of the socket in a `listen` event.
fn parse_listen_event(line: &str) -> Option<(String, u16)> {
    let event: Value = serde_json::from_str(line).ok()?;
    let port = event.get("port")?.as_u64()?.try_into().ok()?;
    (event.get("event")? == "listen").then_some((event.get("socket")?.as_str()?.to_owned(), port))
}
