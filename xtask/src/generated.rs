//! The files that tests of the core write from the code: `cargo xtask openapi` and `cargo xtask configuration`.

use anyhow::Result;

use crate::process;
use crate::workspace::Workspace;

/// Writes `crates/core/openapi.json`.
pub fn openapi(workspace: &Workspace) -> Result<()> {
    const TEST: &str = "routes::openapi::tests::the_file_is_what_the_code_says";
    write(workspace, TEST, "UPDATE_OPENAPI", "crates/core/openapi.json")
}

/// Writes the tables of `docs/configuration.md`.
pub fn configuration(workspace: &Workspace) -> Result<()> {
    const TEST: &str = "config::reference::tests::the_document_has_the_tables";
    write(workspace, TEST, "UPDATE_CONFIGURATION", "docs/configuration.md")
}

/// Runs the test that compares the file with the code; the variable makes it write the file.
fn write(workspace: &Workspace, test: &str, variable: &str, file: &str) -> Result<()> {
    process::run_test(workspace, &["-p", "wix-edge-core", "--lib"], test, |tests| {
        tests.env(variable, "1");
        Ok(())
    })?;
    println!("==> {file} is up to date");
    Ok(())
}
