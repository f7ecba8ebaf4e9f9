//! The npm packages: wrangler with workerd, a Node new enough for it, esbuild, wasm-opt, and packages for the tests.

use std::fs;
use std::process::Command;
use std::time::Instant;

use anyhow::{Result, bail};
use serde_json::{Map, Value};

use crate::lane::say;
use crate::lock::Lock;
use crate::process;
use crate::workspace::Workspace;

/// Runs `npm ci` unless what is installed is what `package-lock.json` says.
pub fn ensure(workspace: &Workspace) -> Result<()> {
    let _lock = Lock::take(&workspace.tools().join("npm.lock"), "another `npm ci`")?;
    if is_installed(workspace) {
        return Ok(());
    }
    // wrangler sets this variable for the build that it starts, and `npm ci` would remove the running wrangler's files.
    if std::env::var_os("WRANGLER_COMMAND").is_some() && workspace.root.join("node_modules").exists() {
        bail!("the npm packages are not those of package-lock.json: run `npm ci`, then start wrangler again");
    }
    if !process::exists("npm") {
        bail!("npm is missing: install Node.js 20 or later (https://nodejs.org), which includes it");
    }
    say("==> npm ci: wrangler, Node, esbuild, wasm-opt (half a minute, 0.5 GB)");
    let start = Instant::now();
    // Warnings about this machine's Node being too old for wrangler do not apply: the package `node` brings a newer one.
    let mut npm = Command::new("npm");
    npm.args(["ci", "--no-audit", "--no-fund", "--loglevel=error"]).current_dir(&workspace.root);
    process::run(&mut npm)?;
    say(&format!("    npm ci: done in {} s", start.elapsed().as_secs()));
    Ok(())
}

/// Compares the list that npm writes of what it installed with the lock file.
fn is_installed(workspace: &Workspace) -> bool {
    let read = |path: &str| {
        let text = fs::read_to_string(workspace.root.join(path)).ok()?;
        serde_json::from_str::<Value>(&text).ok()
    };
    let Some(wanted) = read("package-lock.json") else { return false };
    let Some(installed) = read("node_modules/.package-lock.json") else { return false };
    workspace.npm_bin("wrangler").exists() && workspace.npm_bin("node").exists() && agrees(&wanted, &installed)
}

/// Everything that is installed has the version of the lock file, and only optional packages are missing: the lock file
/// lists workerd and others for every platform, and one of them is installed.
fn agrees(wanted: &Value, installed: &Value) -> bool {
    let nothing = Map::new();
    let packages = |lock: &Value| lock.get("packages").and_then(Value::as_object).cloned().unwrap_or_default();
    let (wanted, installed) = (packages(wanted), packages(installed));
    let identity = |packages: &Map<String, Value>, path: &str| {
        let entry = packages.get(path).and_then(Value::as_object).unwrap_or(&nothing);
        (entry.get("version").cloned(), entry.get("integrity").cloned())
    };
    let nothing_else = installed.keys().all(|path| identity(&wanted, path) == identity(&installed, path));
    let nothing_missing = wanted
        .iter()
        .filter(|(path, entry)| !path.is_empty() && entry.get("optional").is_none() && entry.get("peer").is_none())
        .all(|(path, _)| installed.contains_key(path));
    nothing_else && nothing_missing
}

#[cfg(test)]
mod tests {
    use super::agrees;
    use serde_json::{Value, json};

    fn lock() -> Value {
        json!({ "packages": {
            "": { "name": "root" },
            "node_modules/a": { "version": "1.0.0", "integrity": "sha512-a" },
            "node_modules/a-mac": { "version": "1.0.0", "integrity": "sha512-m", "optional": true },
        }})
    }

    #[test]
    fn another_platforms_packages_may_be_missing() {
        let installed = json!({ "packages": { "node_modules/a": { "version": "1.0.0", "integrity": "sha512-a" } } });
        assert!(agrees(&lock(), &installed));
    }

    #[test]
    fn another_version_is_noticed() {
        let installed = json!({ "packages": { "node_modules/a": { "version": "0.9.0", "integrity": "sha512-b" } } });
        assert!(!agrees(&lock(), &installed));
    }

    #[test]
    fn a_missing_package_is_noticed() {
        assert!(!agrees(&lock(), &json!({ "packages": {} })));
    }

    #[test]
    fn a_package_that_is_no_longer_wanted_is_noticed() {
        let mut installed = lock();
        installed["packages"]["node_modules/b"] = json!({ "version": "1.0.0" });
        assert!(!agrees(&lock(), &installed));
    }
}
