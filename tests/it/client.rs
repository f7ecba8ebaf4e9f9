//! The npm package `clients/js`, which `cargo xtask test` builds. The package, Wix's own SDK with it, `examples/express` and
//! `examples/saas` call a real Worker and a simulated Wix. The tests are in `clients/js/test`.

use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;

use serde_json::json;

use crate::harness::{API_KEY, Testbed, path_with_node};

/// On a loaded machine a webhook can exceed Wix's 1250 ms, so the simulator retries it within a second.
static BED: LazyLock<Testbed> = LazyLock::new(|| {
    let bed = Testbed::start(|values| values.with("AFTER_INSTALL_URL", "http://localhost:9/connected"));
    bed.wix.switch(&json!({ "time_scale": 60 }));
    bed
});

/// Runs a test file with Node.
fn run(file: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let built = root.join("clients/js/dist/index.js");
    assert!(built.is_file(), "{} must exist; `cargo xtask test` builds it", built.display());
    let mut node = Command::new("node");
    // `--test-force-exit`: a response with an unread body keeps Node from exiting.
    node.args(["--test", "--test-reporter=tap", "--test-force-exit", "--test-timeout=60000"])
        .arg(root.join("clients/js/test").join(file))
        .current_dir(root)
        .env("PATH", path_with_node(root))
        .env("WORKER_URL", BED.url())
        .env("WORKER_KEY", API_KEY)
        .env("WIX_URL", &BED.wix.url);
    let output = node.output().expect("node must start");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    let passed = text.lines().find_map(|line| line.strip_prefix("# pass ")?.parse::<u32>().ok());
    assert!(passed >= Some(8), "{file} must run 8 tests or more\n{text}");
}

#[test]
fn the_package_calls_every_route() {
    run("client.test.mjs");
}

#[test]
fn wixs_sdk_gets_its_tokens_from_the_worker() {
    run("sdk.test.mjs");
}
