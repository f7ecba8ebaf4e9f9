//! The npm package `cli`, whose commands do the work of some tasks.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::{Result, anyhow};

use crate::process;
use crate::workspace::Workspace;

/// Compiles it.
pub fn build(workspace: &Workspace) -> Result<()> {
    let mut tsc = Command::new(workspace.npm_bin("tsc"));
    process::with_node(workspace, tsc.current_dir(workspace.root.join("cli")))?;
    process::run(&mut tsc)
}

/// One of its commands, to be run in the root of the repository.
pub fn command(workspace: &Workspace, name: &str) -> Result<Command> {
    let mut node = process::for_this_machine(workspace.npm_bin("node"));
    node.args(["cli/dist/main.js", name]).current_dir(&workspace.root);
    process::with_node(workspace, &mut node)?;
    Ok(node)
}

/// Replaces this process by the command, so that Ctrl-C and KILL reach it. Returns only if it cannot be started.
pub fn become_it(command: &mut Command) -> Result<()> {
    Err(anyhow!(command.exec()).context("the package node must be installed: run `npm ci`"))
}
