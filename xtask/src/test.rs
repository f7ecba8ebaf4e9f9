//! `cargo xtask test` and `cargo xtask check`: the steps, each with its time.
//!
//! Until everything is compiled, lanes run beside each other: the native programs in `target/debug`, the wasm in
//! `target/release` (cargo locks the folder of a profile), cargo-deny, and the packages of npm and pip. The tests then run
//! alone, because many of them measure time.

use std::path::Path;
use std::process::Command;
use std::thread::{self, Scope};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use clap::{Args, ValueEnum};

use crate::build::{self, Profile};
use crate::lane::{Lane, say};
use crate::programs::{self, Program};
use crate::python::SCHEMATHESIS;
use crate::tools::{self, Bindgen, WASM_TARGET};
use crate::workspace::Workspace;
use crate::{chrome, client, deny, npm, process, python, release};

/// The program of the integration tests.
const IT: &str = "tests/it/main.rs";

/// How many integration tests run beside each other: most of them wait for timers, so that more than a thread for each
/// core saves a third of the time on two cores.
const IT_THREADS: &str = "--test-threads=4";
/// The integration tests with a browser, which take turns: among the others they would occupy all threads. They run first,
/// since many others measure time.
const BROWSER_TESTS: [&str; 2] = ["browser::", "console::"];
/// The integration tests that assert CPU time. They run by themselves, since other tests would raise it.
const CPU_TESTS: &str = "costs::";

/// `cargo xtask test`
#[derive(Debug, Args)]
pub struct Options {
    /// Runs one part only
    #[arg(long, value_enum)]
    only: Option<Part>,
    /// Passed to the test programs: a part of a test's name, --nocapture, …
    #[arg(last = true)]
    arguments: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Formatting, dependencies and clippy
    Lint,
    /// The tests of every crate but the Worker
    Unit,
    /// The Worker in workerd, with the simulator and a browser
    It,
}

/// Runs all parts, or one of them. Stops at the first step that fails.
pub fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let wants = |part| options.only.is_none_or(|only| only == part);
    // Before anything is compiled, so that a missing program is reported at once.
    let needs = if wants(Part::It) { Some((chrome::find()?, python::find()?)) } else { None };
    let mut steps = Steps::default();
    let done = thread::scope(|scope| {
        if wants(Part::Lint) {
            formatting(workspace, &mut steps)?;
        }
        let dependencies = wants(Part::Lint).then(|| Lane::start(scope, || deny::check(workspace)));
        let packages = needs.as_ref().map(|(_, python)| start_packages(scope, workspace, python));
        let wasm = (wants(Part::Lint) || wants(Part::It))
            .then(|| start_wasm(scope, workspace, wants(Part::Lint), wants(Part::It)));

        if wants(Part::Lint) {
            clippy(workspace, &mut steps)?;
            steps.join("dependencies", dependencies)?;
        }
        let mut programs = Vec::new();
        if wants(Part::Unit) || wants(Part::It) {
            let only_it = ["--test", "it", "--test", "bindgen"];
            let filter = if wants(Part::Unit) { &[][..] } else { &only_it };
            steps.run("test programs", || {
                programs = programs::compile(workspace, filter)?;
                Bindgen::find(workspace)?.keep_new()
            })?;
        }
        steps.join("wasm", wasm)?;
        steps.join("packages", packages)?;
        if wants(Part::It) {
            steps.run("build/, packages", || {
                build::assemble(workspace, Profile::Release)?;
                build::check_size(workspace)?;
                release::pack_for_tests(workspace)
            })?;
        }

        let is_it = |program: &&Program| program.source == workspace.root.join(IT);
        if wants(Part::Unit) {
            steps.run("unit tests", || {
                for program in programs.iter().filter(|program| !is_it(program)) {
                    run_tests(workspace, program, options)?;
                }
                doc_tests(workspace, options)
            })?;
        }
        if let Some((browser, _)) = &needs {
            let program = programs.iter().find(is_it).with_context(|| format!("cargo compiled no {IT}"))?;
            steps.run("integration tests", || integration_tests(workspace, program, browser, options))?;
        }
        Ok(())
    });
    steps.summarise();
    done
}

/// Formatting, dependencies and lints.
pub fn check(workspace: &Workspace) -> Result<()> {
    let mut steps = Steps::default();
    let done = thread::scope(|scope| {
        formatting(workspace, &mut steps)?;
        let wasm = start_wasm(scope, workspace, true, false);
        let dependencies = Lane::start(scope, || deny::check(workspace));
        clippy(workspace, &mut steps)?;
        steps.join("dependencies", Some(dependencies))?;
        steps.join("wasm", Some(wasm))
    });
    steps.summarise();
    done
}

fn formatting(workspace: &Workspace, steps: &mut Steps) -> Result<()> {
    tools::ensure_lints()?;
    let mut format = cargo(workspace, &["fmt", "--all", "--check"]);
    steps.run("formatting", || process::run(&mut format).context("`cargo fmt --all` corrects the formatting"))
}

fn clippy(workspace: &Workspace, steps: &mut Steps) -> Result<()> {
    let mut clippy = cargo(workspace, &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]);
    steps.run("clippy", || process::run(&mut clippy))
}

/// Lints and compiles the Worker for wasm. Clippy has the release profile too: both then share the procedural macros.
fn start_wasm<'scope>(
    scope: &'scope Scope<'scope, '_>,
    workspace: &'scope Workspace,
    lint: bool,
    compile: bool,
) -> Lane<'scope> {
    Lane::start(scope, move || {
        tools::ensure_wasm_target()?;
        if lint {
            say("clippy for wasm:");
            let mut clippy = process::for_wasm("cargo");
            clippy.args(["clippy", "--package", "wix-edge", "--lib", "--release", "--target", WASM_TARGET]);
            clippy.args(["--", "-D", "warnings"]).current_dir(&workspace.root);
            process::run(&mut clippy)?;
        }
        if compile {
            say("release build for wasm:");
            build::compile(workspace, Profile::Release)?;
        }
        Ok(())
    })
}

/// Installs what npm and pip provide, and builds the npm package.
fn start_packages<'scope>(
    scope: &'scope Scope<'scope, '_>,
    workspace: &'scope Workspace,
    python: &'scope Path,
) -> Lane<'scope> {
    Lane::start(scope, move || {
        npm::ensure(workspace)?;
        client::build(workspace)?;
        python::ensure(workspace, python, &SCHEMATHESIS)?;
        Ok(())
    })
}

fn run_tests(workspace: &Workspace, program: &Program, options: &Options) -> Result<()> {
    let source = program.source.strip_prefix(&workspace.root).unwrap_or(&program.source);
    say(&format!("\n     Running {}", source.display()));
    process::run(program.command().args(&options.arguments))
}

fn doc_tests(workspace: &Workspace, options: &Options) -> Result<()> {
    process::run(cargo(workspace, &["test", "--workspace", "--doc", "--"]).args(&options.arguments))
}

/// They start wrangler and the simulator themselves, and find the browser in `CHROME`, schemathesis in `SCHEMATHESIS`, the
/// npm packages in `PACKAGES`.
fn integration_tests(workspace: &Workspace, program: &Program, browser: &Path, options: &Options) -> Result<()> {
    let run = |arguments: &[&str]| -> Result<()> {
        let mut tests = program.command();
        process::with_node(workspace, &mut tests)?;
        tests.env("CHROME", browser).env("SCHEMATHESIS", SCHEMATHESIS.path(workspace));
        tests.env("PACKAGES", release::for_tests(workspace));
        tests.env("WRANGLER_SEND_METRICS", "false");
        process::run(tests.args(arguments))
    };
    if options.arguments.is_empty() {
        run(&[BROWSER_TESTS.as_slice(), &["--test-threads=1"]].concat())?;
        let others = BROWSER_TESTS.into_iter().chain([CPU_TESTS]).flat_map(|name| ["--skip", name]);
        run(&others.chain([IT_THREADS]).collect::<Vec<_>>())?;
        return run(&[CPU_TESTS, "--test-threads=1"]);
    }
    run(&options.arguments.iter().map(String::as_str).collect::<Vec<_>>())
}

fn cargo(workspace: &Workspace, arguments: &[&str]) -> Command {
    let mut command = process::cargo();
    command.args(arguments).current_dir(&workspace.root);
    command
}

/// The steps so far, each with its time and its result.
#[derive(Debug)]
struct Steps {
    done: Vec<(&'static str, Duration, bool)>,
    start: Instant,
}

impl Default for Steps {
    fn default() -> Self {
        Self { done: Vec::new(), start: Instant::now() }
    }
}

impl Steps {
    fn run(&mut self, name: &'static str, step: impl FnOnce() -> Result<()>) -> Result<()> {
        println!("\n== {name} ==");
        let start = Instant::now();
        let result = step();
        self.note(name, start.elapsed(), result)
    }

    /// Waits for a lane, if it was started.
    fn join(&mut self, name: &'static str, lane: Option<Lane<'_>>) -> Result<()> {
        let Some(lane) = lane else { return Ok(()) };
        println!("\n== {name} (ran beside the steps before) ==");
        let (result, took) = lane.join();
        self.note(name, took, result)
    }

    fn note(&mut self, name: &'static str, took: Duration, result: Result<()>) -> Result<()> {
        self.done.push((name, took, result.is_ok()));
        result.with_context(|| format!("the step \"{name}\" failed"))
    }

    fn summarise(&self) {
        println!("\n== summary ==");
        for (name, took, passed) in &self.done {
            let word = if *passed { "passed" } else { "FAILED" };
            println!("{word}  {name:<18} {:>6.1} s", took.as_secs_f64());
        }
        println!("{:<26} {:>6.1} s", "in all", self.start.elapsed().as_secs_f64());
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
