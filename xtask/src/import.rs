//! `cargo xtask import`: compiles and runs `crates/import`, which needs TLS.

use anyhow::Result;
use clap::Args;

use crate::process;
use crate::workspace::Workspace;

/// `cargo xtask import`
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub struct Options {
    /// See `cargo xtask import --help`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// Runs the program with the arguments of the task.
pub fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let mut cargo = process::cargo();
    let manifest = workspace.root.join("crates/import/Cargo.toml");
    cargo.args(["run", "--quiet", "--release", "--manifest-path"]).arg(manifest).arg("--").args(&options.arguments);
    process::run(&mut cargo)
}
