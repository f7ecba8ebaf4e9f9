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
    node.args(["--test", "--test-reporter=tap", "--test-force-exit", "--test-timeout=300000"])
        .arg(root.join("cli/test").join(file))
        .current_dir(root)
        .env("PATH", path_with_node(root))
        // wrangler is large, and the tests start it and `wix-edge` more than a hundred times.
        .env("NODE_COMPILE_CACHE", root.join("target/node-compile-cache"))
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

#[test]
fn the_settings_of_dev_are_private_and_its_refusals_say_what_to_do() {
    run("dev.test.mjs", &[]);
}

#[test]
fn an_import_continues_after_an_interruption() {
    run("import.test.mjs", &[]);
}

#[test]
fn child_processes_end_with_the_command() {
    run("leash.test.mjs", &[]);
}

/// Without Rust, in a clean folder. `cargo xtask test` makes the packages, with the simulator that the other tests have.
#[test]
fn the_packages_run_the_demo_within_a_minute() {
    let packages = std::env::var("PACKAGES").unwrap_or_default();
    assert!(Path::new(&packages).is_dir(), "PACKAGES must be a folder with the packages; `cargo xtask test` sets it");
    run("package.test.mjs", &[]);
}
