//! Programs that pip installs into virtual environments under `target/`, from requirements with versions and hashes.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use sha2::{Digest as _, Sha256};

use crate::hex::hex;
use crate::lane::say;
use crate::lock::Lock;
use crate::process;
use crate::workspace::Workspace;

/// Names under which Python is found on PATH.
const NAMES: [&str; 5] = ["python3", "python3.14", "python3.13", "python3.12", "python3.11"];
/// Succeeds where Python is new enough and can create virtual environments. On Debian that takes a separate package.
const CHECK: &str = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))";

/// A suitable Python. The error says what to install.
pub fn find() -> Result<PathBuf> {
    look(&NAMES.map(PathBuf::from))
}

fn look(names: &[PathBuf]) -> Result<PathBuf> {
    let will_do = |name: &&PathBuf| process::succeeds(Command::new(name).args(["-c", CHECK]));
    if let Some(found) = names.iter().find(will_do) {
        return Ok(found.clone());
    }
    bail!(
        "the integration tests test the app API with schemathesis, which needs Python 3.11 or later with the module venv.\n\
         Debian: sudo apt-get install python3-venv; macOS: brew install python.\n\
         Without it: cargo xtask test --only unit"
    )
}

/// A program in a virtual environment of its own.
#[derive(Debug)]
pub struct Environment {
    /// The environment's folder, under `target`.
    pub folder: &'static str,
    /// The packages, each with its version and hashes.
    pub requirements: &'static str,
    /// The program's name.
    pub program: &'static str,
}

impl Environment {
    /// The path of the program.
    pub fn path(&self, workspace: &Workspace) -> PathBuf {
        workspace.target.join(self.folder).join("bin").join(self.program)
    }
}

/// schemathesis, which tests the app API by its description.
pub const SCHEMATHESIS: Environment =
    Environment { folder: "schemathesis", requirements: "tests/openapi/requirements.txt", program: "schemathesis" };

/// Installs the program where it is missing or its requirements have changed, and returns its path.
pub fn ensure(workspace: &Workspace, python: &Path, environment: &Environment) -> Result<PathBuf> {
    let folder = workspace.target.join(environment.folder);
    let _lock =
        Lock::take(&folder.with_extension("lock"), &format!("another installation of {}", environment.program))?;
    let requirements = workspace.root.join(environment.requirements);
    let text = fs::read(&requirements).with_context(|| format!("{} cannot be read", requirements.display()))?;
    let wanted = hex(&Sha256::digest(&text));
    let (stamp, program) = (folder.join(".xtask"), environment.path(workspace));
    let is_current = fs::read_to_string(&stamp).is_ok_and(|made_from| made_from == wanted);
    if is_current && process::succeeds(Command::new(&program).arg("--version")) {
        return Ok(program);
    }

    say(&format!("==> pip install {}, into {} (seconds)", environment.program, folder.display()));
    let start = Instant::now();
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    process::run(Command::new(python).args(["-m", "venv"]).arg(&folder))?;
    let mut pip = Command::new(folder.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes", "-r"])
        .arg(&requirements);
    for (name, _) in env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PYTHON")) {
        pip.env_remove(name);
    }
    process::run(&mut pip)?;
    fs::write(&stamp, wanted).with_context(|| format!("{} cannot be written", stamp.display()))?;
    say(&format!("    pip: done in {} s", start.elapsed().as_secs()));
    Ok(program)
}

#[cfg(test)]
mod tests {
    use super::look;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use tempfile::TempDir;

    #[test]
    fn one_that_cannot_create_environments_is_skipped() {
        let folder = TempDir::new().expect("a folder");
        let make = |name: &str, status: u8| {
            let path = folder.path().join(name);
            fs::write(&path, format!("#!/bin/sh\nexit {status}\n")).expect("a file");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a mode");
            path
        };
        let (old, good) = (make("old", 1), make("good", 0));
        assert_eq!(look(&[folder.path().join("missing"), old, good.clone()]).expect("there"), good);
    }

    #[test]
    fn without_python_the_error_says_what_to_install() {
        let error = look(&[]).expect_err("none").to_string();
        assert!(error.contains("apt-get install python3-venv"), "{error}");
    }
}
