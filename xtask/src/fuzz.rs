//! `cargo xtask fuzz`: fuzzes every parser of outside input, one after the other.
//!
//! The targets are in `fuzz/targets`, their checks in `crates/core/src/fuzz`, and their seeds in `fuzz/seeds`. The corpus of
//! a run stays in `target/fuzz`, and the next run continues from it.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, Result, bail};
use clap::Args;

use crate::workspace::Workspace;
use crate::{process, tools};

/// `cargo xtask fuzz`
#[derive(Debug, Args)]
pub struct Options {
    /// How long each target runs
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Runs one target only
    #[arg(long)]
    target: Option<String>,
    /// Without the address sanitizer, which does not link on every machine; faster
    #[arg(long)]
    no_sanitizer: bool,
}

/// Fuzzes, and prints the number of executions of each target. Stops at the first target that panics.
pub fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let targets = targets(&workspace.root.join("fuzz/Cargo.toml"))?;
    let chosen: Vec<&String> =
        targets.iter().filter(|name| options.target.as_ref().is_none_or(|only| only == *name)).collect();
    if chosen.is_empty() {
        bail!("--target must be one of {}", targets.join(", "));
    }
    let cargo_fuzz = tools::ensure_fuzz(workspace)?;
    println!("==> building the targets with the nightly compiler (a minute or two, the first time)");
    let sanitizer = if options.no_sanitizer { "none" } else { "address" };
    let mut build = with_nightly(workspace, &cargo_fuzz);
    build.args(["build", "--release", "--sanitizer", sanitizer, "--fuzz-dir", "fuzz"]);
    process::run(&mut build).context("if the linker failed, try --no-sanitizer")?;

    let mut total = 0;
    for target in chosen {
        let executions = fuzz(workspace, &cargo_fuzz, sanitizer, target, options.seconds)?;
        println!("{target:<18} {executions:>12} executions");
        total += executions;
    }
    println!("{:<18} {total:>12} executions, no panic", "");
    Ok(())
}

fn fuzz(workspace: &Workspace, cargo_fuzz: &Path, sanitizer: &str, target: &str, seconds: u64) -> Result<u64> {
    let corpus = workspace.root.join("target/fuzz").join(target);
    fs::create_dir_all(&corpus).with_context(|| format!("{} cannot be created", corpus.display()))?;
    let mut fuzz = with_nightly(workspace, cargo_fuzz);
    fuzz.args(["run", "--release", "--sanitizer", sanitizer, "--fuzz-dir", "fuzz", target]).arg(&corpus);
    fuzz.arg(format!("fuzz/seeds/{target}"));
    // Wix's messages have some thousand bytes. An input that takes ten seconds counts as a failure.
    fuzz.args(["--", "-print_final_stats=1", "-max_len=8192", "-timeout=10", "-rss_limit_mb=2048"]);
    fuzz.arg(format!("-max_total_time={seconds}"));
    let Output { status, stderr, .. } =
        fuzz.stdin(Stdio::null()).output().context("cargo-fuzz could not be started")?;
    let told = String::from_utf8_lossy(&stderr);
    if !status.success() {
        bail!("{}\n\n{target} fails. Fix it, and add the input as a seed to fuzz/seeds/{target}", reasons(&told));
    }
    executions(&told).with_context(|| format!("the fuzzer does not print the number of executions of {target}"))
}

/// The lines of the fuzzer's output that name the panic and the file with the input, without the bytes of the input.
fn reasons(told: &str) -> String {
    let says = ["panicked at", "assertion", "ERROR:", "error", "cargo fuzz run"];
    let lines = told.lines().filter(|line| line.len() < 400 && says.iter().any(|word| line.contains(word)));
    lines.map(str::trim).collect::<Vec<_>>().join("\n")
}

fn executions(told: &str) -> Option<u64> {
    told.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:")?.trim().parse().ok())
}

/// cargo-fuzz runs the cargo of the toolchain that rustup chooses.
fn with_nightly(workspace: &Workspace, cargo_fuzz: &Path) -> Command {
    let mut command = process::for_this_machine(cargo_fuzz);
    command.env("RUSTUP_TOOLCHAIN", "nightly").current_dir(&workspace.root);
    command
}

/// The programs of the fuzz crate.
fn targets(manifest: &Path) -> Result<Vec<String>> {
    let text = fs::read_to_string(manifest).with_context(|| format!("{} cannot be read", manifest.display()))?;
    let table: toml::Table = text.parse().with_context(|| format!("{} must be TOML", manifest.display()))?;
    let programs = table.get("bin").and_then(toml::Value::as_array).into_iter().flatten();
    let names = programs.filter_map(|program| program.get("name").and_then(toml::Value::as_str));
    Ok(names.map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::{executions, reasons, targets};
    use std::path::Path;

    #[test]
    fn the_number_of_executions_is_read() {
        let told = "Done 7 runs\nstat::number_of_executed_units: 4242\nstat::average_exec_per_sec: 1\n";
        assert_eq!(executions(told), Some(4242));
        assert_eq!(executions("Done"), None);
    }

    #[test]
    fn a_panic_is_shown_without_the_inputs_bytes() {
        let told =
            "#1 INITED\nthread panicked at jwt.rs:1:1:\n[1, 2]\n\tcargo fuzz run jwt fuzz/artifacts/jwt/crash-1\n";
        assert_eq!(reasons(told), "thread panicked at jwt.rs:1:1:\ncargo fuzz run jwt fuzz/artifacts/jwt/crash-1");
    }

    #[test]
    fn the_targets_are_found() {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/Cargo.toml");
        let targets = targets(&manifest).expect("the fuzz crate");
        assert!(targets.iter().any(|name| name == "jwt"), "{targets:?}");
    }
}
