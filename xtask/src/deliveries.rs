//! `cargo xtask deliveries`: many events to a target that fails, while workerd is killed now and then
//! (`tests/it/deliveries.rs`).

use anyhow::Result;
use clap::Args;

use crate::build::{self, Profile};
use crate::process;
use crate::workspace::Workspace;

/// `cargo xtask deliveries`
#[derive(Debug, Args)]
pub struct Options {
    /// How many events
    #[arg(long, default_value_t = 100_000)]
    events: usize,
    /// How many installations they belong to
    #[arg(long, default_value_t = 100)]
    installations: usize,
    /// How often workerd is killed and started again
    #[arg(long, default_value_t = 20)]
    kills: usize,
    /// Another seed sends other copies in another order, and lets other attempts fail
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Builds the Worker and runs the test.
pub fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    const TEST: &str = "deliveries::a_long_run_loses_no_event";
    build::build(workspace, Profile::Release)?;
    process::run_test(workspace, &["--workspace", "--test", "it"], TEST, |tests| {
        tests
            .env("DELIVERIES_EVENTS", options.events.to_string())
            .env("DELIVERIES_INSTALLATIONS", options.installations.to_string())
            .env("DELIVERIES_KILLS", options.kills.to_string())
            .env("DELIVERIES_SEED", options.seed.to_string());
        process::with_node(workspace, tests)
    })
}
