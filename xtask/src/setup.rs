//! Everything that has to be there before the Worker can be built, installed if it is not.

use std::fs::{self, File, TryLockError};
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::tools::Tools;
use crate::workspace::Workspace;
use crate::{npm, tools};

/// Makes sure of the wasm target, the npm packages and the tools; quick where all is there already.
pub fn ensure(workspace: &Workspace) -> Result<Tools> {
    let _lock = Lock::take(&workspace.tools().join("setup.lock"), "another set-up of this folder")?;
    tools::ensure_wasm_target()?;
    npm::ensure(workspace)?;
    tools::ensure(workspace)
}

/// A lock between processes, kept until it is dropped or the process ends.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Waits for `other`, saying so, if it holds the lock.
    pub fn take(path: &Path, other: &str) -> Result<Self> {
        let file = open(path)?;
        if file.try_lock().is_err() {
            println!("==> waiting for {other} to finish");
            file.lock().with_context(|| format!("{} cannot be locked", path.display()))?;
        }
        Ok(Self { _file: file })
    }

    /// Gives nothing if another process holds the lock.
    pub fn try_take(path: &Path) -> Result<Option<Self>> {
        let file = open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("{} cannot be locked", path.display()))
            }
        }
    }
}

fn open(path: &Path) -> Result<File> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    }
    File::create(path).with_context(|| format!("{} cannot be written", path.display()))
}
