//! The browser that the tests drive: a Chromium or Chrome that this machine has.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

/// Names under which it is found on PATH.
const NAMES: [&str; 5] =
    ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome-headless-shell"];
/// Where macOS keeps it.
const MACOS: [&str; 2] = [
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
];

/// The browser's path: `CHROME` from the environment, or the first one found. Fails with what to install.
pub fn find() -> Result<PathBuf> {
    look(env::var_os("CHROME"), &env::var_os("PATH").unwrap_or_default(), &MACOS.map(Path::new))
}

fn look(chosen: Option<OsString>, path: &OsString, elsewhere: &[&Path]) -> Result<PathBuf> {
    if let Some(chosen) = chosen.filter(|chosen| !chosen.is_empty()).map(PathBuf::from) {
        if chosen.is_file() {
            return Ok(chosen);
        }
        bail!("CHROME is set to {}, and no such file is there", chosen.display());
    }
    let folders: Vec<PathBuf> = env::split_paths(path).collect();
    let on_path = NAMES.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    if let Some(found) = on_path.chain(elsewhere.iter().map(PathBuf::from)).find(|path| path.is_file()) {
        return Ok(found);
    }
    bail!(
        "the integration tests install the app with a real browser, and none was found.\n\
         Debian: sudo apt-get install chromium; macOS: brew install --cask google-chrome;\n\
         or set CHROME to the path of a Chrome or Chromium. Without a browser: cargo xtask test --only unit"
    )
}

#[cfg(test)]
mod tests {
    use super::look;
    use std::ffi::OsString;
    use std::fs;
    use tempfile::TempDir;

    #[test]
    fn the_one_that_is_chosen_wins() {
        let folder = TempDir::new().expect("a folder");
        let chosen = folder.path().join("mine");
        fs::write(&chosen, "").expect("a file");
        fs::write(folder.path().join("chromium"), "").expect("a file");
        let path = folder.path().as_os_str().to_owned();
        assert_eq!(look(Some(chosen.clone().into()), &path, &[]).expect("there"), chosen);
        assert_eq!(look(None, &path, &[]).expect("there"), folder.path().join("chromium"));
    }

    #[test]
    fn a_wrong_choice_is_not_passed_over() {
        let error = look(Some("/nowhere/chrome".into()), &OsString::new(), &[]).expect_err("not there").to_string();
        assert!(error.contains("/nowhere/chrome"), "{error}");
    }

    #[test]
    fn without_a_browser_it_is_said_what_to_do() {
        let error = look(None, &OsString::new(), &[]).expect_err("none").to_string();
        assert!(error.contains("apt-get install chromium"), "{error}");
    }
}
