//! `cargo xtask openapi`: writes `crates/core/openapi.json` anew, from what the code says.

use anyhow::Result;

use crate::process;
use crate::workspace::Workspace;

/// The test that holds the file against the code writes it, if it is told to.
pub fn run(workspace: &Workspace) -> Result<()> {
    const TEST: &str = "routes::openapi::tests::the_file_is_what_the_code_says";
    process::run_test(workspace, &["-p", "wix-edge-core", "--lib"], TEST, |tests| {
        tests.env("UPDATE_OPENAPI", "1");
        Ok(())
    })?;
    println!("==> crates/core/openapi.json is what the code says");
    Ok(())
}
