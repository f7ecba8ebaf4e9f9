//! `cargo xtask client`: the npm package `clients/js`, with types generated from `crates/core/openapi.json`.

use std::process::Command;

use anyhow::Result;

use crate::workspace::Workspace;
use crate::{npm, process};

/// Installs the npm packages and builds it.
pub fn run(workspace: &Workspace) -> Result<()> {
    npm::ensure(workspace)?;
    build(workspace)
}

/// Builds `clients/js/dist`, and compares the types with those of `@wix/sdk`.
pub fn build(workspace: &Workspace) -> Result<()> {
    let folder = workspace.root.join("clients/js");
    for (program, arguments) in [
        ("openapi-typescript", &["../../crates/core/openapi.json", "--output", "src/openapi.ts"][..]),
        ("tsc", &[]),
        ("tsc", &["--project", "test"]),
    ] {
        let mut command = Command::new(workspace.npm_bin(program));
        command.args(arguments).current_dir(&folder);
        process::with_node(workspace, &mut command)?;
        process::run(&mut command)?;
    }
    Ok(())
}
