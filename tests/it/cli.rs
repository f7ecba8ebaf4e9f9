//! The npm package `cli`, which `cargo xtask test` builds. The tests are in `cli/test`.

use std::path::Path;
use std::process::Command;

use crate::harness::path_with_node;

/// Runs a test file with Node, with more variables in its environment.
pub fn run(file: &str, variables: &[(&str, &str)]) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let built = root.join("cli/dist/main.js");
    assert!(built.is_file(), "{} must exist; `cargo xtask test` builds it", built.display());
    let mut node = Command::new("node");
    node.args(["--test", "--test-reporter=tap", "--test-force-exit", "--test-timeout=120000"])
        .arg(root.join("cli/test").join(file))
        .current_dir(root)
        .env("PATH", path_with_node(root))
        .envs(variables.iter().copied());
    let output = node.output().expect("node must start");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(!text.contains("# pass 0\n"), "{file} must run a test\n{text}");
}

#[test]
fn keygen_makes_keys_of_the_form_that_the_worker_takes() {
    run("keygen.test.mjs", &[]);
}
