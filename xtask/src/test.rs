//! `cargo xtask test` and `cargo xtask check`: the steps that prove wix-edge, each with its time.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use clap::{Args, ValueEnum};

use crate::build::{self, Profile};
use crate::workspace::Workspace;
use crate::{chrome, client, process, python, setup, tools};

/// `cargo xtask test`
#[derive(Debug, Args)]
pub struct Options {
    /// One part alone, instead of everything
    #[arg(long, value_enum)]
    only: Option<Part>,
    /// Given to the test programs: a part of a test's name, --nocapture, …
    #[arg(last = true)]
    arguments: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Formatting and clippy
    Lint,
    /// The tests of each crate, without the Worker
    Unit,
    /// The Worker itself in workerd, with the simulator and a browser
    It,
}

/// Proves everything, or the one part that is asked for. Stops at the first step that fails.
pub fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let wants = |part| options.only.is_none_or(|only| only == part);
    // Looked for first: nobody should wait for minutes to be told that the browser or Python is missing.
    let found = if wants(Part::It) { Some((chrome::find()?, python::find()?)) } else { None };

    let mut steps = Steps::default();
    let done = (|| {
        if wants(Part::Lint) {
            lint(workspace, &mut steps)?;
        }
        // The Worker comes before the unit tests: what does not compile for wasm is known soon.
        if wants(Part::It) {
            steps.run("wasm build", || {
                let tools = setup::ensure(workspace)?;
                build::build(workspace, &tools, Profile::Release)?;
                build::check_size(workspace)
            })?;
            steps.run("npm package", || client::build(workspace))?;
        }
        if wants(Part::Unit) {
            let mut tests = cargo(workspace, &["test", "--workspace", "--exclude", "wix-edge"]);
            tests.arg("--").args(&options.arguments);
            steps.run("unit tests", || process::run(&mut tests))?;
        }
        if let Some((browser, python)) = &found {
            let schemathesis = python::ensure_schemathesis(workspace, python)?;
            let mut tests = integration_tests(workspace, browser, &schemathesis)?;
            tests.arg("--").args(&options.arguments);
            steps.run("integration tests", || process::run(&mut tests))?;
        }
        Ok(())
    })();
    steps.summarise();
    done
}

/// Formatting and lints.
pub fn check(workspace: &Workspace) -> Result<()> {
    let mut steps = Steps::default();
    let done = lint(workspace, &mut steps);
    steps.summarise();
    done
}

fn lint(workspace: &Workspace, steps: &mut Steps) -> Result<()> {
    tools::ensure_lints()?;
    let mut format = cargo(workspace, &["fmt", "--all", "--check"]);
    steps.run("formatting", || process::run(&mut format).context("`cargo fmt --all` mends it"))?;

    let mut clippy = cargo(workspace, &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]);
    steps.run("clippy", || process::run(&mut clippy))?;

    steps.run("clippy for wasm", || {
        tools::ensure_wasm_target()?;
        let mut clippy = process::for_wasm("cargo");
        clippy.args([
            "clippy",
            "-p",
            "wix-edge",
            "--lib",
            "--target",
            "wasm32-unknown-unknown",
            "--",
            "-D",
            "warnings",
        ]);
        process::run(clippy.current_dir(&workspace.root))
    })
}

/// They start wrangler and the simulator themselves, and find the browser in `CHROME`, schemathesis in `SCHEMATHESIS`.
fn integration_tests(workspace: &Workspace, browser: &Path, schemathesis: &Path) -> Result<Command> {
    let mut tests = cargo(workspace, &["test", "-p", "wix-edge", "--test", "it"]);
    process::with_node(workspace, &mut tests)?;
    tests.env("CHROME", browser).env("SCHEMATHESIS", schemathesis).env("WRANGLER_SEND_METRICS", "false");
    Ok(tests)
}

fn cargo(workspace: &Workspace, arguments: &[&str]) -> Command {
    let mut command = process::cargo();
    command.args(arguments).current_dir(&workspace.root);
    command
}

/// The steps so far, with how each went.
#[derive(Debug, Default)]
struct Steps {
    done: Vec<(&'static str, Duration, bool)>,
}

impl Steps {
    fn run(&mut self, name: &'static str, step: impl FnOnce() -> Result<()>) -> Result<()> {
        println!("\n== {name} ==");
        let start = Instant::now();
        let result = step();
        self.done.push((name, start.elapsed(), result.is_ok()));
        result.with_context(|| format!("the step \"{name}\" failed"))
    }

    fn summarise(&self) {
        println!("\n== summary ==");
        for (name, took, passed) in &self.done {
            let word = if *passed { "passed" } else { "FAILED" };
            println!("{word}  {name:<18} {:>6.1} s", took.as_secs_f64());
        }
        let total: Duration = self.done.iter().map(|(_, took, _)| *took).sum();
        println!("{:<26} {:>6.1} s", "", total.as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use super::Steps;
    use anyhow::bail;

    #[test]
    fn a_failed_step_is_named() {
        let mut steps = Steps::default();
        steps.run("first", || Ok(())).expect("it passes");
        let error = steps.run("second", || bail!("broken")).expect_err("it fails");
        assert_eq!(format!("{error:#}"), "the step \"second\" failed: broken");
        let went: Vec<bool> = steps.done.iter().map(|(_, _, passed)| *passed).collect();
        assert_eq!(went, [true, false]);
    }
}
