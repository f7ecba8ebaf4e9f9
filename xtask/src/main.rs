//! The only automation of wix-edge: `cargo xtask <task>` sets up what a task needs, and does it.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "telling a person what happens is what this is for")]

mod bench;
mod build;
mod chrome;
mod client;
mod dev;
mod fuzz;
mod histories;
mod http;
mod keygen;
mod npm;
mod openapi;
mod process;
mod python;
mod setup;
mod soak;
mod test;
mod tools;
mod wasm;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::workspace::Workspace;

/// Builds, runs and proves wix-edge.
///
/// Every task first installs what it needs and finds missing; only the first run takes some minutes.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Runs the Worker and a simulated Wix on this machine, ready to be clicked through
    Dev(dev::Options),
    /// Proves everything: lint, wasm build, unit tests, and the real Worker with a real browser
    Test(test::Options),
    /// Feeds every parser of outside input with what a fuzzer thinks of; needs a nightly compiler
    Fuzz(fuzz::Options),
    /// Plays a million random histories of an instance: some minutes
    Histories(histories::Options),
    /// Keeps the real Worker busy with mixed traffic while Wix fails now and then, and judges every answer
    Soak(soak::Options),
    /// Measures what the Worker costs, beside peers written in JavaScript: five minutes
    Bench(bench::Options),
    /// Checks formatting and lints only
    Check,
    /// Builds the Worker into build/; wrangler runs this by itself
    Build(build::Options),
    /// Writes the description of the app API anew, after a change of the routes or their types
    Openapi,
    /// Builds the npm package clients/js
    Client,
    /// Makes a fresh key, with its configuration entry and how to add it: `keygen api-key` or `keygen sealing-key`
    Keygen(keygen::Options),
}

fn main() -> ExitCode {
    match run(Cli::parse().task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<()> {
    match task {
        Task::Dev(options) => dev::run(&Workspace::find()?, &options),
        Task::Test(options) => test::run(&Workspace::find()?, &options),
        Task::Fuzz(options) => fuzz::run(&Workspace::find()?, &options),
        Task::Histories(options) => histories::run(&Workspace::find()?, &options),
        Task::Soak(options) => soak::run(&Workspace::find()?, &options),
        Task::Bench(options) => bench::run(&Workspace::find()?, &options),
        Task::Check => test::check(&Workspace::find()?),
        Task::Build(options) => build::run(&Workspace::find()?, &options),
        Task::Openapi => openapi::run(&Workspace::find()?),
        Task::Client => client::run(&Workspace::find()?),
        Task::Keygen(options) => keygen::run(&options),
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser as _};

    use super::Cli;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn keygen_makes_one_kind_at_a_time_and_alone_says_which_there_are() {
        let help = Cli::try_parse_from(["cargo xtask", "keygen"]).expect_err("no kind").to_string();
        assert!(help.contains("api-key") && help.contains("sealing-key"), "{help}");
        Cli::try_parse_from(["cargo xtask", "keygen", "api-key", "--name", "shop", "--scopes", "token"]).expect("one");
        Cli::try_parse_from(["cargo xtask", "keygen", "sealing-key"]).expect("the other");
        Cli::try_parse_from(["cargo xtask", "keygen", "--name", "shop"]).expect_err("of which kind?");
    }
}
