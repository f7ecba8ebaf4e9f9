//! The test programs of the workspace, compiled by one `cargo test --no-run` and run one by one.
//!
//! Cargo unifies the features of the packages that it is asked for. Two calls for different packages would compile many
//! dependencies twice, AWS-LC among them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::process;
use crate::workspace::Workspace;

/// One test program.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Program {
    /// The source file of its root.
    pub source: PathBuf,
    /// The folder of its package, in which cargo would run it.
    pub folder: PathBuf,
    /// The compiled program.
    pub executable: PathBuf,
}

/// Compiles the test programs, or only those that `filter` names in cargo's words.
pub fn compile(workspace: &Workspace, filter: &[&str]) -> Result<Vec<Program>> {
    let mut cargo = process::cargo();
    cargo.args(["test", "--workspace", "--no-run", "--message-format", "json-render-diagnostics"]).args(filter);
    cargo.current_dir(&workspace.root).stdin(Stdio::null()).stderr(Stdio::inherit());
    let output = cargo.output().context("cargo could not be started")?;
    if !output.status.success() {
        bail!("`{}` failed ({})", process::shown(&cargo), output.status);
    }
    let messages = String::from_utf8(output.stdout)?;
    let mut programs = messages.lines().filter_map(|line| program(line).transpose()).collect::<Result<Vec<_>>>()?;
    // Cargo reports them in the order in which they were compiled.
    programs.sort();
    Ok(programs)
}

/// The program that a message of cargo is about, if it is about one.
fn program(message: &str) -> Result<Option<Program>> {
    let message: Value = serde_json::from_str(message).context("cargo writes a message that is not JSON")?;
    let text = |pointer: &str| message.pointer(pointer).and_then(Value::as_str).map(PathBuf::from);
    let is_test = message.pointer("/profile/test").and_then(Value::as_bool) == Some(true);
    let (Some(executable), true) = (text("/executable"), is_test) else { return Ok(None) };
    let manifest = text("/manifest_path").context("cargo's message about a program has no manifest_path")?;
    let source = text("/target/src_path").context("cargo's message about a program has no src_path")?;
    let folder = manifest.parent().map(Path::to_path_buf).unwrap_or_default();
    Ok(Some(Program { source, folder, executable }))
}

impl Program {
    /// The command that runs it.
    pub fn command(&self) -> Command {
        let mut command = process::for_this_machine(&self.executable);
        command.current_dir(&self.folder);
        command
    }
}

#[cfg(test)]
mod tests {
    use super::{Program, program};

    #[test]
    fn a_test_program_is_found_and_other_messages_are_skipped() {
        let artifact = |test: bool| {
            format!(
                r#"{{"reason":"compiler-artifact","manifest_path":"/w/a/Cargo.toml","target":{{"src_path":"/w/a/src/lib.rs"}},
                "profile":{{"test":{test}}},"executable":"/w/target/debug/deps/a-1"}}"#
            )
        };
        let found = program(&artifact(true)).expect("JSON").expect("a test program");
        let expected = Program {
            folder: "/w/a".into(),
            source: "/w/a/src/lib.rs".into(),
            executable: "/w/target/debug/deps/a-1".into(),
        };
        assert_eq!(found, expected);
        assert_eq!(program(&artifact(false)).expect("JSON"), None);
        assert_eq!(program(r#"{"reason":"build-finished","success":true}"#).expect("JSON"), None);
        program("warning").expect_err("not JSON");
    }
}
