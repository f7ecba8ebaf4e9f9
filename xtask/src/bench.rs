//! `cargo xtask bench`: what the Worker costs, beside peers (`bench/`).

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use crate::build::{self, Profile};
use crate::workspace::Workspace;
use crate::{process, setup};

/// `cargo xtask bench`
#[derive(Debug, Args)]
pub struct Options {
    /// Fewer rounds, and nothing about growth: a minute instead of five
    #[arg(long)]
    quick: bool,
    /// Only the cases whose names begin so, with those that they stand beside; or only `growth`
    #[arg(long)]
    only: Option<String>,
    /// Nothing but so many mixed requests to one Worker: what one costs and what the process holds, as time passes
    #[arg(long)]
    uptime: Option<usize>,
    /// Writes what was measured to a file; bench/results/accepted.json is what --check compares with
    #[arg(long)]
    json: Option<PathBuf>,
    /// Fails where it costs more than what was accepted, beyond the noise of both runs
    #[arg(long)]
    check: bool,
    /// Measures a second build of the Worker, the copy of an earlier build/, side by side with this one
    #[arg(long)]
    beside: Option<PathBuf>,
}

/// Builds the Worker and measures it.
pub fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let tools = setup::ensure(workspace)?;
    build::build(workspace, &tools, Profile::Release)?;
    let mut bench = process::cargo();
    bench.args(["run", "-p", "bench", "--", "--root"]).arg(&workspace.root);
    if options.quick {
        bench.arg("--quick");
    }
    if let Some(only) = &options.only {
        bench.arg("--only").arg(only);
    }
    if let Some(count) = options.uptime {
        bench.arg("--uptime").arg(count.to_string());
    }
    if let Some(file) = &options.json {
        bench.arg("--json").arg(file);
    }
    if options.check {
        bench.arg("--check").arg(workspace.root.join("bench/results/accepted.json"));
    }
    if let Some(build) = &options.beside {
        bench.arg("--beside").arg(build);
    }
    process::with_node(workspace, &mut bench)?;
    process::run(&mut bench)
}
