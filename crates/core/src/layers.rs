//! Keeps the order of the modules: reads every import, and names the file and line of one that points up.

use std::fs;
use std::path::{Path, PathBuf};

/// The modules, from the bottom up. Each may use those before it.
const LAYERS: [&[&str]; 13] = [
    &["values"],
    &["facts", "runtime"],
    &["crypto"],
    &["wix"],
    &["store"],
    &["delivery"],
    &["instances"],
    &["background"],
    &["web"],
    &["routes"],
    &["config"],
    &["object"],
    &["lib"],
];
/// Modules for tests only. Nothing else may use them.
const TEST_MODULES: [&str; 4] = ["testing", "tests", "fuzz", "layers"];

fn layer_of(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The top-level modules that a line names by `crate::…`.
fn used(line: &str) -> Vec<String> {
    let code = line.split("//").next().unwrap_or_default();
    let mut used = Vec::new();
    for rest in code.split("crate::").skip(1) {
        // `crate::{one, two::Three}`: the names at the first level of the braces.
        let (names, is_group) = rest.strip_prefix('{').map_or((rest, false), |group| (group, true));
        let mut depth = 0;
        for part in names.split_inclusive(['{', '}', ',']) {
            if depth == 0 {
                let name: String =
                    part.trim().chars().take_while(|char| char.is_alphanumeric() || *char == '_').collect();
                used.push(name);
            }
            depth += i32::from(part.ends_with('{')) - i32::from(part.ends_with('}'));
            if !is_group || depth < 0 {
                break;
            }
        }
    }
    used
}

/// The imports of one file that its module may not have, each with its line.
fn violations(file: &str, text: &str) -> Vec<String> {
    let module = file.split(['/', '.']).next().unwrap_or_default();
    let is_test = TEST_MODULES.contains(&module) || file.ends_with("/tests.rs") || file.contains("/tests/");
    // A file that begins so and is compiled without tests cannot use them: they are not there.
    if is_test || text.starts_with("//! Tests only.") {
        return Vec::new();
    }
    let own = layer_of(module);
    let lines = text.lines().enumerate();
    // An item of the root, such as a type, is used by its name alone.
    let is_module = |name: &&String| layer_of(name).is_some() || TEST_MODULES.contains(&name.as_str());
    lines
        .flat_map(|(number, line)| used(line).into_iter().map(move |name| (number + 1, name)))
        .filter(|(_, name)| is_module(&name) && name != module)
        .filter(|(_, name)| layer_of(name).is_none_or(|used| own.is_none_or(|own| used >= own)))
        .map(|(number, name)| format!("crates/core/src/{file}:{number}: `{module}` uses `{name}`"))
        .collect()
}

#[test]
fn no_module_imports_one_above_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    assert!(files.len() > 80, "only {} files were found", files.len());
    let mut found = Vec::new();
    for path in files {
        let file = path.strip_prefix(&root).expect("below the root").to_str().expect("a name").to_owned();
        let module = file.split(['/', '.']).next().unwrap_or_default();
        let known = layer_of(module).is_some() || TEST_MODULES.contains(&module);
        assert!(known, "crates/core/src/{file}: the module has no place in LAYERS");
        found.extend(violations(&file, &fs::read_to_string(&path).expect("a source")));
    }
    assert!(found.is_empty(), "imports that point up, or to a module beside:\n{}", found.join("\n"));
}

#[test]
fn an_upward_import_is_found_in_every_form() {
    let upward = [
        ("values/id.rs", "use crate::wix::Token;"),
        ("facts/fold.rs", "    let trace: crate::runtime::Trace = todo();"),
        ("store/kv.rs", "use crate::{crypto::Crypto, instances::{Cache, Context}};"),
        ("wix.rs", "pub use crate::store::Store;"),
        ("web/error.rs", "use crate::routes::Found;"),
        ("instances/token.rs", "use crate::testing::Fake;"),
    ];
    for (file, line) in upward {
        let found = violations(file, &format!("//! A module.\n\n{line}\n"));
        assert_eq!(found.len(), 1, "{line}: {found:?}");
        assert!(found[0].starts_with(&format!("crates/core/src/{file}:3: ")), "{found:?}");
    }
    let allowed = [
        ("wix/jws.rs", "use crate::crypto::Crypto;"),
        ("wix/jws.rs", "use crate::wix::Token; // not crate::store"),
        ("routes/health.rs", "use crate::{values::Fault, web::{Call, Error}};"),
        ("store/kv/tests.rs", "use crate::testing::Fake;"),
        ("lib.rs", "use crate::config::Config;"),
    ];
    for (file, line) in allowed {
        assert_eq!(violations(file, line), Vec::<String>::new(), "{line}");
    }
}
