//! `cargo xtask dev`: builds the Worker and the simulator, and runs them with the command `wix-edge dev`.

use std::thread;

use anyhow::Result;
use clap::Args;

use crate::build::{self, Profile};
use crate::lane::{Lane, say};
use crate::tools::Bindgen;
use crate::workspace::Workspace;
use crate::{cli, npm, process};

/// `cargo xtask dev`
#[derive(Debug, Args)]
pub struct Options {
    /// The Worker's port [default: 8787 or the next free one]
    #[arg(long)]
    port: Option<u16>,
    /// The simulator's port [default: 8790 or the next free one]
    #[arg(long)]
    sim_port: Option<u16>,
    /// Builds the Worker with optimisation, as for a deployment; a build after a change then takes longer
    #[arg(long)]
    release: bool,
}

/// Builds and runs both until Ctrl-C.
pub fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    say("==> building the Worker and the simulator (the first time: two or three minutes)");
    build_all(workspace, if options.release { Profile::Release } else { Profile::Dev })?;

    let mut dev = cli::command(workspace, "dev")?;
    // With this configuration wrangler builds the Worker again after a change.
    dev.current_dir(&workspace.root);
    dev.args(["--config", "wrangler.toml", "--simulator"]).arg(workspace.target.join("debug/wix-sim"));
    for (flag, port) in [("--port", options.port), ("--sim-port", options.sim_port)] {
        if let Some(port) = port {
            dev.args([flag, &port.to_string()]);
        }
    }
    if options.release {
        dev.env_remove(build::DEV_VARIABLE);
    } else {
        dev.env(build::DEV_VARIABLE, "1");
    }
    cli::become_it(&mut dev)
}

/// Builds the Worker, and beside it the simulator. Neither has work for two cores all the time.
fn build_all(workspace: &Workspace, profile: Profile) -> Result<()> {
    thread::scope(|scope| {
        let npm = Lane::start(scope, || {
            npm::ensure(workspace)?;
            cli::build(workspace)
        });
        let native = Lane::start(scope, || {
            let mut native = process::cargo();
            // One call for both, so that cargo compiles once what they share.
            native.args(["build", "--package", "wix-sim", "--package", "bindgen"]);
            process::run(native.current_dir(&workspace.root))?;
            Bindgen::find(workspace)?.keep_new()
        });
        build::compile(workspace, profile)?;
        native.join().0?;
        npm.join().0
    })?;
    build::assemble(workspace, profile)
}
