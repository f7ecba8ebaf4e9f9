//! A lock between processes that work in one folder.

use std::fs::{self, File};
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::lane::say;

/// Held until it is dropped or the process ends.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Waits while another process holds the lock; prints that it waits for `other`.
    pub fn take(path: &Path, other: &str) -> Result<Self> {
        let file = open(path)?;
        if file.try_lock().is_err() {
            say(&format!("==> waiting for {other} to finish"));
            file.lock().with_context(|| format!("{} cannot be locked", path.display()))?;
        }
        Ok(Self { _file: file })
    }
}

fn open(path: &Path) -> Result<File> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| format!("{} cannot be created", folder.display()))?;
    }
    File::create(path).with_context(|| format!("{} cannot be written", path.display()))
}
