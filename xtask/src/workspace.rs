//! The repository's folders, and the versions in `Cargo.lock`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::process;

/// This repository on this machine.
#[derive(Debug)]
pub struct Workspace {
    /// The folder of the root `Cargo.toml`.
    pub root: PathBuf,
    /// The folder into which cargo builds: `target`, or the one in the user's settings.
    pub target: PathBuf,
}

impl Workspace {
    /// Asks cargo, which reads the user's settings.
    pub fn find() -> Result<Self> {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        let mut cargo = process::cargo();
        cargo.args(["metadata", "--no-deps", "--format-version", "1", "--manifest-path"]).arg(manifest);
        let metadata: Value = serde_json::from_slice(&process::output(&mut cargo)?)?;
        let folder = |name: &str| {
            let text = metadata.get(name).and_then(Value::as_str);
            text.map(PathBuf::from).with_context(|| format!("the output of `cargo metadata` has no {name}"))
        };
        Ok(Self { root: folder("workspace_root")?, target: folder("target_directory")? })
    }

    /// The tools that are installed for this repository alone.
    pub fn tools(&self) -> PathBuf {
        self.root.join("target/tools")
    }

    /// A program that npm installed.
    pub fn npm_bin(&self, name: &str) -> PathBuf {
        self.root.join("node_modules/.bin").join(name)
    }

    /// The version of a package in `Cargo.lock`, of which there must be exactly one.
    pub fn locked_version(&self, package: &str) -> Result<String> {
        let path = self.root.join("Cargo.lock");
        let text = fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?;
        single_version(&text, package)
    }
}

fn single_version(lock: &str, package: &str) -> Result<String> {
    let lock: toml::Table = lock.parse().context("Cargo.lock must be TOML")?;
    let packages = lock.get("package").and_then(toml::Value::as_array).context("Cargo.lock has no packages")?;
    let text = |entry: &toml::Value, key: &str| entry.get(key).and_then(toml::Value::as_str).map(str::to_owned);
    let versions: Vec<String> = packages
        .iter()
        .filter(|entry| text(entry, "name").as_deref() == Some(package))
        .filter_map(|entry| text(entry, "version"))
        .collect();
    match versions.as_slice() {
        [version] => Ok(version.clone()),
        [] => bail!("Cargo.lock must have `{package}`: add it to Cargo.toml and run `cargo update --workspace`"),
        several => bail!(
            "Cargo.lock must have one version of `{package}` and has {} ({}): see `cargo tree -i {package}`",
            several.len(),
            several.join(", ")
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::single_version;

    const LOCK: &str = "version = 4\n[[package]]\nname = \"one\"\nversion = \"1.2.3\"\n\
        [[package]]\nname = \"two\"\nversion = \"0.1.0\"\n[[package]]\nname = \"two\"\nversion = \"0.2.0\"\n";

    #[test]
    fn the_locked_version_is_found() {
        assert_eq!(single_version(LOCK, "one").expect("there is one"), "1.2.3");
    }

    #[test]
    fn two_versions_are_refused_and_named() {
        let error = single_version(LOCK, "two").expect_err("there are two").to_string();
        assert!(error.contains("0.1.0, 0.2.0"), "{error}");
    }

    #[test]
    fn a_missing_package_is_refused() {
        single_version(LOCK, "three").expect_err("there is none");
    }
}
