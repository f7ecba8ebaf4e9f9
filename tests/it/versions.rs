//! One version covers the Worker, the app API and the npm package. CHANGELOG.md has it as its newest release.

use std::fs;
use std::path::Path;

use serde_json::Value;

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn field(path: &str, pointer: &str) -> String {
    let document: Value = serde_json::from_str(&read(path)).expect("JSON");
    let version = document.pointer(pointer).and_then(Value::as_str);
    version.unwrap_or_else(|| panic!("{path} has no {pointer}")).to_owned()
}

#[test]
fn the_versions_agree() {
    let version = env!("CARGO_PKG_VERSION");
    for (path, pointer) in [
        ("crates/core/openapi.json", "/info/version"),
        ("clients/js/package.json", "/version"),
        ("package-lock.json", "/packages/clients~1js/version"),
    ] {
        assert_eq!(field(path, pointer), version, "{path}");
    }
}

#[test]
fn the_changelog_has_the_version_as_its_newest_release() {
    let changelog = read("CHANGELOG.md");
    let mut headings = changelog.lines().filter_map(|line| line.strip_prefix("## "));
    assert_eq!(headings.next(), Some("Unreleased"));
    let (version, date) =
        headings.next().and_then(|heading| heading.split_once(" - ")).expect("a release with its date");
    assert_eq!(version, env!("CARGO_PKG_VERSION"));
    let form: String = date.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    assert_eq!(form, "0000-00-00", "{date}");
}
