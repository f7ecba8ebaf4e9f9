//! `cargo xtask soak`: mixed traffic on the real Worker, with Wix failing now and then (`tests/it/soak.rs`).

use anyhow::Result;
use clap::Args;

use crate::build::{self, Profile};
use crate::workspace::Workspace;
use crate::{process, setup};

/// `cargo xtask soak`
#[derive(Debug, Args)]
pub struct Options {
    /// For how long
    #[arg(long, default_value_t = 60)]
    seconds: u64,
}

/// Builds the Worker and soaks it.
pub fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let tools = setup::ensure(workspace)?;
    build::build(workspace, &tools, Profile::Release)?;
    let mut tests = process::cargo();
    tests
        .args(["test", "-p", "wix-edge", "--test", "it", "--"])
        .args(["--exact", "soak::mixed_traffic_gets_no_wrong_answer", "--ignored", "--nocapture"])
        .env("SOAK_SECONDS", options.seconds.to_string())
        .env("WRANGLER_SEND_METRICS", "false")
        .current_dir(&workspace.root);
    process::with_node(workspace, &mut tests)?;
    process::run(&mut tests)
}
