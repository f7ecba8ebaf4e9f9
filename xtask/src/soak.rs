//! `cargo xtask soak`: mixed traffic on the Worker while Wix and the app's back end fail now and then (`tests/it/soak.rs`).

use anyhow::Result;
use clap::Args;

use crate::build::{self, Profile};
use crate::process;
use crate::workspace::Workspace;

/// `cargo xtask soak`
#[derive(Debug, Args)]
pub struct Options {
    /// How long it runs; the memory is judged if that is three minutes or more
    #[arg(long, default_value_t = 240)]
    seconds: u64,
    /// Binds no objects: tokens are in KV, and no event is delivered
    #[arg(long)]
    without_objects: bool,
}

/// Builds the Worker and runs the test.
pub fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    const TEST: &str = "soak::mixed_traffic_gets_no_wrong_answer";
    build::build(workspace, Profile::Release)?;
    process::run_test(workspace, &["--workspace", "--test", "it"], TEST, |tests| {
        tests.env("SOAK_SECONDS", options.seconds.to_string());
        if options.without_objects {
            tests.env("SOAK_WITHOUT_OBJECTS", "1");
        }
        process::with_node(workspace, tests)
    })
}
