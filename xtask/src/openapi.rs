//! `cargo xtask openapi`: writes `crates/core/openapi.json` from the code.

use anyhow::Result;

use crate::process;
use crate::workspace::Workspace;

/// Runs the test that compares the file with the code; the variable makes it write the file.
pub fn run(workspace: &Workspace) -> Result<()> {
    const TEST: &str = "routes::openapi::tests::the_file_is_what_the_code_says";
    process::run_test(workspace, &["-p", "wix-edge-core", "--lib"], TEST, |tests| {
        tests.env("UPDATE_OPENAPI", "1");
        Ok(())
    })?;
    println!("==> crates/core/openapi.json is up to date");
    Ok(())
}
