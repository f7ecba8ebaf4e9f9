//! `cargo xtask keygen`: the command `wix-edge keygen`.

use anyhow::Result;
use clap::Args;

use crate::workspace::Workspace;
use crate::{cli, npm};

/// `cargo xtask keygen`
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub struct Options {
    /// See `cargo xtask keygen --help`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// Runs the command with the arguments of the task.
pub fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    npm::ensure(workspace)?;
    cli::build(workspace)?;
    cli::become_it(cli::command(workspace, "keygen")?.args(&options.arguments))
}
