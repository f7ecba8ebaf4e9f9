//! `cargo xtask bench`: the CPU time of requests, beside other Workers (`bench/`).

use anyhow::Result;
use clap::Args;

use crate::build::{self, Profile};
use crate::process;
use crate::workspace::Workspace;

/// `cargo xtask bench`
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub struct Options {
    /// The options of the benchmark: see `cargo xtask bench --help`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    options: Vec<String>,
}

/// Builds the Worker and measures it.
pub fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    build::build(workspace, Profile::Release)?;
    let mut bench = process::cargo();
    bench.args(["run", "-p", "bench", "--", "--root"]).arg(&workspace.root).args(&options.options);
    process::with_node(workspace, &mut bench)?;
    process::run(&mut bench)
}
