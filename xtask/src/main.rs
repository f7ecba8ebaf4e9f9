//! All automation of wix-edge: `cargo xtask <task>` installs what the task needs and runs it.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for the command line")]

mod assets;
mod bench;
mod build;
mod chrome;
mod cli;
mod client;
mod deliveries;
mod deny;
mod dev;
mod fuzz;
mod generated;
mod hex;
mod histories;
mod lane;
#[cfg(test)]
mod links;
mod lock;
mod npm;
mod problems;
mod process;
mod programs;
mod python;
mod release;
mod soak;
mod test;
mod tools;
mod wasm;
mod workspace;
mod wrangler_config;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::workspace::Workspace;

/// Builds, runs and tests wix-edge.
///
/// Every task first installs what it needs. Only the first run takes minutes.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Runs the Worker and a simulated Wix on this machine, for a browser
    Dev(dev::Options),
    /// Runs all checks and tests: lints, wasm build, unit tests, and the Worker in workerd with a browser
    Test(test::Options),
    /// Fuzzes every parser of outside input; needs a nightly compiler
    Fuzz(fuzz::Options),
    /// Tests the fold of facts on a million random histories of an instance: some minutes
    Histories(histories::Options),
    /// Sends mixed traffic to the Worker while Wix and the back end fail now and then, and checks answers, events and memory
    Soak(soak::Options),
    /// Delivers many events to a target that fails, while workerd is killed now and then, and checks every delivery
    Deliveries(deliveries::Options),
    /// Measures the CPU time of requests, beside Workers written in JavaScript: six minutes
    Bench(bench::Options),
    /// Checks formatting, dependencies and lints
    Check,
    /// Looks for advisories on the dependencies, in a database on GitHub
    Advisories,
    /// Builds the Worker into build/; wrangler runs this
    Build(build::Options),
    /// Writes crates/core/openapi.json, after a change of the routes or their types
    Openapi,
    /// Writes the tables of docs/configuration.md, after a change of the configuration values
    Configuration,
    /// Builds the npm packages clients/js and cli
    Client,
    /// Builds the npm packages of a release, with the Worker and the simulator in them
    Release(release::Options),
    /// Imports installations that existed before, from a file of NDJSON: `import FILE --url https://…`
    Import(cli::Arguments),
    /// Generates a key and prints its configuration entry: `keygen api-key`, `keygen sealing-key` or `keygen events-secret`
    Keygen(cli::Arguments),
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
        Task::Deliveries(options) => deliveries::run(&Workspace::find()?, &options),
        Task::Bench(options) => bench::run(&Workspace::find()?, &options),
        Task::Check => test::check(&Workspace::find()?),
        Task::Advisories => deny::advisories(&Workspace::find()?),
        Task::Build(options) => build::run(&Workspace::find()?, &options),
        Task::Openapi => generated::openapi(&Workspace::find()?),
        Task::Configuration => generated::configuration(&Workspace::find()?),
        Task::Client => client::run(&Workspace::find()?),
        Task::Release(options) => release::run(&Workspace::find()?, &options),
        Task::Import(options) => cli::run(&Workspace::find()?, "import", &options),
        Task::Keygen(options) => cli::run(&Workspace::find()?, "keygen", &options),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::Cli;

    #[test]
    fn the_command_line_is_valid() {
        Cli::command().debug_assert();
    }
}
