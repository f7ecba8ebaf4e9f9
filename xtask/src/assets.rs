//! The static assets of the Worker, in `build/assets/`: a copy of `console/`, and generated files.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// Makes `target` equal to `source` with the generated files. A file that is equal already is not touched, since wrangler
/// watches `target`.
pub fn write(source: &Path, generated: &[(&str, String)], target: &Path) -> Result<()> {
    let mut contents = BTreeMap::new();
    for file in files(source)? {
        let from = source.join(&file);
        let content = fs::read(&from).with_context(|| format!("{} cannot be read", from.display()))?;
        contents.insert(file, content);
    }
    contents.extend(generated.iter().map(|(name, text)| (PathBuf::from(name), text.clone().into_bytes())));
    for (file, content) in &contents {
        let to = target.join(file);
        if fs::read(&to).is_ok_and(|present| present == *content) {
            continue;
        }
        if let Some(folder) = to.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&to, content).with_context(|| format!("{} cannot be written", to.display()))?;
    }
    for file in files(target)?.into_iter().filter(|file| !contents.contains_key(file)) {
        fs::remove_file(target.join(file))?;
    }
    Ok(())
}

/// The files in a folder and in those below it, relative to it.
fn files(folder: &Path) -> Result<BTreeSet<PathBuf>> {
    let mut found = BTreeSet::new();
    let mut pending = vec![PathBuf::new()];
    while let Some(below) = pending.pop() {
        let path = folder.join(&below);
        for entry in fs::read_dir(&path).with_context(|| format!("{} cannot be read", path.display()))? {
            let entry = entry?;
            let name = below.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                pending.push(name);
            } else {
                found.insert(name);
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::write;
    use std::fs;
    use tempfile::TempDir;

    #[test]
    fn the_copy_follows_each_change_and_leaves_equal_files_alone() {
        let folder = TempDir::new().expect("a folder");
        let (source, target) = (folder.path().join("console"), folder.path().join("build/assets"));
        fs::create_dir_all(source.join("below")).expect("a folder");
        fs::write(source.join("page.html"), "1").expect("a file");
        fs::write(source.join("below/app.js"), "2").expect("a file");
        let generated = [("below/page.html", "made".to_owned())];
        write(&source, &generated, &target).expect("copied");
        assert_eq!(fs::read_to_string(target.join("below/page.html")).expect("there"), "made");
        assert_eq!(fs::read_to_string(target.join("below/app.js")).expect("there"), "2");

        let modified = |name: &str| fs::metadata(target.join(name)).and_then(|data| data.modified()).expect("a time");
        let before = modified("page.html");
        fs::write(source.join("below/app.js"), "3").expect("a file");
        fs::write(target.join("old.js"), "left over").expect("a file");
        write(&source, &generated, &target).expect("copied");
        assert_eq!(fs::read_to_string(target.join("below/app.js")).expect("there"), "3");
        assert!(!target.join("old.js").exists());
        assert_eq!(modified("page.html"), before);
    }

    #[test]
    fn a_missing_source_is_an_error() {
        let folder = TempDir::new().expect("a folder");
        write(&folder.path().join("none"), &[], folder.path()).expect_err("there is none");
    }
}
