//! `cargo xtask bench`

#![expect(clippy::print_stderr, reason = "the program prints its error")]

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    match bench::run(&bench::Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}
