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

/// A test for each file. A file that is not named here must be [run](run) elsewhere.
macro_rules! tests {
    ($($name:ident: $file:literal,)*) => {
        const FILES: &[&str] = &[$($file),*];
        $(#[test] fn $name() { run($file, &[]); })*
    };
}

tests! {
    keygen_makes_keys_of_the_form_that_the_worker_takes: "keygen.test.mjs",
    the_settings_of_dev_are_private_and_its_refusals_say_what_to_do: "dev.test.mjs",
    an_import_continues_after_an_interruption: "import.test.mjs",
    child_processes_end_with_the_command: "leash.test.mjs",
    init_writes_a_project_and_the_template_of_the_deploy_button: "init.test.mjs",
    setup_deploys_and_continues_after_a_failure: "setup.test.mjs",
    upgrade_adds_what_a_version_needs_and_refuses_what_loses_data: "upgrade.test.mjs",
    setup_and_upgrade_ask_in_a_terminal: "terminal.test.mjs",
    setup_takes_values_in_the_forms_that_the_worker_takes: "shapes.test.mjs",
    // Without Rust, in a clean folder, from the packages that `cargo xtask test` makes (`PACKAGES`).
    the_packages_run_the_demo_within_a_minute: "package.test.mjs",
}

#[test]
fn every_test_file_is_run() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("cli/test");
    let names = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").file_name());
    let mut files: Vec<String> = names.map(|name| name.to_string_lossy().into_owned()).collect();
    files.retain(|name| name.ends_with(".test.mjs") && !FILES.contains(&name.as_str()));
    // `doctor.rs` starts the Workers that it examines.
    assert_eq!(files, ["doctor.test.mjs"]);
}
