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
    const TEST: &str = "soak::mixed_traffic_gets_no_wrong_answer";
    let tools = setup::ensure(workspace)?;
    build::build(workspace, &tools, Profile::Release)?;
    process::run_test(workspace, &["-p", "wix-edge", "--test", "it"], TEST, |tests| {
        tests.env("SOAK_SECONDS", options.seconds.to_string()).env("WRANGLER_SEND_METRICS", "false");
        process::with_node(workspace, tests)
    })
}
