//! `cargo xtask histories`: a million random histories of an instance, in an optimised build (`tests/record/histories.rs`).

use anyhow::Result;
use clap::Args;

use crate::process;
use crate::workspace::Workspace;

/// `cargo xtask histories`
#[derive(Debug, Args)]
pub struct Options {
    /// How many histories
    #[arg(long, default_value_t = 1_000_000)]
    count: u64,
    /// The seed of the first history; each further one has the next number. A failure names its seed: run it with --count 1
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Compiles and runs the test.
pub fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    const TEST: &str = "tests::record::histories::random_histories_end_in_the_fold_of_all_facts";
    process::run_test(workspace, &["--profile", "long", "-p", "wix-edge-core", "--lib"], TEST, |tests| {
        tests.env("HISTORIES", options.count.to_string()).env("HISTORY_SEED", options.seed.to_string());
        Ok(())
    })
}
