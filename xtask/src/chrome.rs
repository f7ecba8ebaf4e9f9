//! The browser for the tests: an installed Chromium or Chrome.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

/// Its names on PATH.
const NAMES: [&str; 5] =
    ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome-headless-shell"];
/// Its paths on macOS.
const MACOS: [&str; 2] = [
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
];

/// The browser's path: `CHROME` from the environment, or the first one found. The error says what to install.
pub fn find() -> Result<PathBuf> {
    look(env::var_os("CHROME"), &env::var_os("PATH").unwrap_or_default(), &MACOS.map(Path::new))
}

fn look(chosen: Option<OsString>, path: &OsString, elsewhere: &[&Path]) -> Result<PathBuf> {
    if let Some(chosen) = chosen.filter(|chosen| !chosen.is_empty()).map(PathBuf::from) {
        if chosen.is_file() {
            return Ok(chosen);
        }
        bail!("CHROME must be the path of a file, and {} is none", chosen.display());
    }
    let folders: Vec<PathBuf> = env::split_paths(path).collect();
    let on_path = NAMES.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    if let Some(found) = on_path.chain(elsewhere.iter().map(PathBuf::from)).find(|path| path.is_file()) {
        return Ok(found);
    }
    bail!(
        "the integration tests need a Chrome or Chromium, and none was found.\n\
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
    fn the_chosen_browser_is_used() {
        let folder = TempDir::new().expect("a folder");
        let chosen = folder.path().join("mine");
        fs::write(&chosen, "").expect("a file");
        fs::write(folder.path().join("chromium"), "").expect("a file");
        let path = folder.path().as_os_str().to_owned();
        assert_eq!(look(Some(chosen.clone().into()), &path, &[]).expect("there"), chosen);
        assert_eq!(look(None, &path, &[]).expect("there"), folder.path().join("chromium"));
    }

    #[test]
    fn a_wrong_choice_is_an_error() {
        let error = look(Some("/nowhere/chrome".into()), &OsString::new(), &[]).expect_err("not there").to_string();
        assert!(error.contains("/nowhere/chrome"), "{error}");
    }

    #[test]
    fn without_a_browser_the_error_says_what_to_install() {
        let error = look(None, &OsString::new(), &[]).expect_err("none").to_string();
        assert!(error.contains("apt-get install chromium"), "{error}");
    }
}
