//! `cargo xtask bench`: what the Worker costs, beside peers (`bench/`).

use anyhow::Result;
use clap::Args;

use crate::build::{self, Profile};
use crate::workspace::Workspace;
use crate::{process, setup};

/// `cargo xtask bench`
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub struct Options {
    /// The benchmark's own: --help names them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    options: Vec<String>,
}

/// Builds the Worker and measures it.
pub fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let tools = setup::ensure(workspace)?;
    build::build(workspace, &tools, Profile::Release)?;
    let mut bench = process::cargo();
    bench.args(["run", "-p", "bench", "--", "--root"]).arg(&workspace.root).args(&options.options);
    process::with_node(workspace, &mut bench)?;
    process::run(&mut bench)
}
