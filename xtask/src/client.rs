//! `cargo xtask client`: the npm packages `clients/js`, with types generated from `crates/core/openapi.json`, and `cli`.

use std::process::Command;

use anyhow::Result;

use crate::workspace::Workspace;
use crate::{cli, npm, process};

/// Installs the npm packages and builds both.
pub fn run(workspace: &Workspace) -> Result<()> {
    npm::ensure(workspace)?;
    build(workspace)
}

/// Builds `clients/js/dist` and compares the types with those of `@wix/sdk`, and builds `cli/dist`.
pub fn build(workspace: &Workspace) -> Result<()> {
    for (folder, program, arguments) in [
        ("clients/js", "openapi-typescript", &["../../crates/core/openapi.json", "--output", "src/openapi.ts"][..]),
        ("clients/js", "tsc", &[]),
        ("clients/js", "tsc", &["--project", "test"]),
    ] {
        let mut command = Command::new(workspace.npm_bin(program));
        command.args(arguments).current_dir(workspace.root.join(folder));
        process::with_node(workspace, &mut command)?;
        process::run(&mut command)?;
    }
    cli::build(workspace)
}
