//! `cargo xtask openapi`: writes `crates/core/openapi.json` anew, from what the code says.

use anyhow::Result;

use crate::process;
use crate::workspace::Workspace;

/// The test that holds the file against the code writes it, if it is told to.
pub fn run(workspace: &Workspace) -> Result<()> {
    let mut tests = process::cargo();
    tests
        .args(["test", "-p", "wix-edge-core", "--lib", "openapi::tests::the_file_is_what_the_code_says"])
        .env("UPDATE_OPENAPI", "1")
        .current_dir(&workspace.root);
    process::run(&mut tests)?;
    println!("==> crates/core/openapi.json is what the code says");
    Ok(())
}
