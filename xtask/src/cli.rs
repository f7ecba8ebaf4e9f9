//! The npm package `cli`, whose commands do the work of some tasks.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::{Result, anyhow};
use clap::Args;

use crate::workspace::Workspace;
use crate::{npm, process};

/// The arguments of a task that is a command of the package.
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub struct Arguments {
    /// The arguments of the command of that name; --help lists them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// Runs the command of this name.
pub fn run(workspace: &Workspace, name: &str, arguments: &Arguments) -> Result<()> {
    npm::ensure(workspace)?;
    build(workspace)?;
    become_it(command(workspace, name)?.args(&arguments.arguments))
}

/// Compiles the package.
pub fn build(workspace: &Workspace) -> Result<()> {
    let mut tsc = Command::new(workspace.npm_bin("tsc"));
    process::with_node(workspace, tsc.current_dir(workspace.root.join("cli")))?;
    process::run(&mut tsc)
}

/// One of its commands.
pub fn command(workspace: &Workspace, name: &str) -> Result<Command> {
    let mut node = process::for_this_machine(workspace.npm_bin("node"));
    node.arg(workspace.root.join("cli/dist/main.js")).arg(name);
    process::with_node(workspace, &mut node)?;
    Ok(node)
}

/// Replaces this process by the command, so that Ctrl-C and KILL reach it. Returns only if it cannot be started.
pub fn become_it(command: &mut Command) -> Result<()> {
    Err(anyhow!(command.exec()).context("the package node must be installed: run `npm ci`"))
}
