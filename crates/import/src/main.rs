//! `cargo xtask import`: sends a file of installations to `POST /v1/import`, a batch at a time.
//!
//! After an interruption it continues where it stopped. Lines that were not answered are sent again, which is harmless.

#![expect(clippy::print_stderr, reason = "a program for the command line")]

mod file;
mod send;
#[cfg(test)]
mod tests;

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use clap::Parser;

use crate::file::{Progress, Source};
use crate::send::Target;

/// The variable with the API key. It is not an argument, which other users of the machine can see.
const KEY: &str = "WIX_EDGE_API_KEY";
const WIDTH: u64 = 30;

/// Imports installations that existed before, from a file of NDJSON.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask import")]
struct Options {
    /// One line for each installation (docs/api.md)
    file: PathBuf,
    /// The address of the Worker
    #[arg(long)]
    url: String,
    /// How many lines a request has
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u16).range(1..=1000))]
    batch: u16,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<()> {
    let key = std::env::var(KEY).ok().filter(|key| !key.trim().is_empty());
    let key = key.with_context(|| format!("{KEY} must be an API key with the scope admin"))?;
    run_with(options, key.trim())
}

fn run_with(options: &Options, key: &str) -> Result<()> {
    let target = Target::new(&options.url, key)?;
    let mut source = Source::open(&options.file)?;
    let mut progress = Progress::open(&options.file, source.hash())?;
    if progress.lines > 0 {
        eprintln!("continues after line {} of {}", progress.lines, source.lines());
    }
    source.skip(progress.lines)?;
    loop {
        let batch = source.batch(options.batch.into())?;
        if batch.is_empty() {
            break;
        }
        let answers = target.send(&batch)?;
        progress.add(&batch, &answers, source.line())?;
        show(&progress, source.lines());
    }
    progress.finish()?;
    let rejected = progress.rejected.display();
    eprintln!(
        "\n{} imported, {} known, {} refused, {} invalid",
        progress.imported, progress.known, progress.refused, progress.invalid
    );
    if progress.refused + progress.invalid > 0 {
        bail!("{rejected} has the lines that are refused or invalid");
    }
    Ok(())
}

fn show(progress: &Progress, lines: u64) {
    let done = progress.lines.min(lines);
    let text = format!("{done}/{lines} lines, {} rejected", progress.refused + progress.invalid);
    let mut output = std::io::stderr();
    if output.is_terminal() {
        let full = usize::try_from(done * WIDTH / lines.max(1)).unwrap_or_default();
        let empty = usize::try_from(WIDTH).unwrap_or_default().saturating_sub(full);
        let _ = write!(output, "\r[{}{}] {text}", "#".repeat(full), ".".repeat(empty));
    } else {
        eprintln!("{text}");
    }
}
