//! schemathesis, which tries the app API by its description: installed into a virtual environment under `target/`, every
//! package of one version and with its hash, as `tests/openapi/requirements.txt` names them.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use sha2::{Digest as _, Sha256};

use crate::keygen::hex;
use crate::process;
use crate::setup::Lock;
use crate::workspace::Workspace;

/// Names under which Python is found on PATH.
const NAMES: [&str; 5] = ["python3", "python3.14", "python3.13", "python3.12", "python3.11"];
/// Ends well where Python is new enough and can make virtual environments, which Debian keeps in a package of their own.
const CHECK: &str = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))";

/// A Python that will do. Fails with what to install.
pub fn find() -> Result<PathBuf> {
    look(&NAMES.map(PathBuf::from))
}

fn look(names: &[PathBuf]) -> Result<PathBuf> {
    let will_do = |name: &&PathBuf| process::succeeds(Command::new(name).args(["-c", CHECK]));
    if let Some(found) = names.iter().find(will_do) {
        return Ok(found.clone());
    }
    bail!(
        "the integration tests try the app API with schemathesis, which needs Python 3.11 or later with its module venv.\n\
         Debian: sudo apt-get install python3-venv; macOS: brew install python.\n\
         Without it: cargo xtask test --only unit"
    )
}

/// Installs schemathesis unless it is there as the requirements name it, and gives its path.
pub fn ensure_schemathesis(workspace: &Workspace, python: &Path) -> Result<PathBuf> {
    let _lock = Lock::take(&workspace.target.join("schemathesis.lock"), "another set-up of schemathesis")?;
    let requirements = workspace.root.join("tests/openapi/requirements.txt");
    let text = fs::read(&requirements).with_context(|| format!("{} cannot be read", requirements.display()))?;
    let wanted = hex(&Sha256::digest(&text));
    let folder = workspace.target.join("schemathesis");
    let (stamp, program) = (folder.join(".xtask"), folder.join("bin/schemathesis"));
    let is_there = fs::read_to_string(&stamp).is_ok_and(|made_from| made_from == wanted);
    if is_there && process::succeeds(Command::new(&program).arg("--version")) {
        return Ok(program);
    }

    println!("==> schemathesis with pip, into {} (seconds, 100 MB)", folder.display());
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
    println!("    done in {} s", start.elapsed().as_secs());
    Ok(program)
}

#[cfg(test)]
mod tests {
    use super::look;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use tempfile::TempDir;

    #[test]
    fn one_that_cannot_make_environments_is_passed_over() {
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
    fn without_python_it_is_said_what_to_do() {
        let error = look(&[]).expect_err("none").to_string();
        assert!(error.contains("apt-get install python3-venv"), "{error}");
    }
}
