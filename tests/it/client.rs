//! The npm package `clients/js`, which `cargo xtask test` builds. The package, Wix's own SDK with it, and `examples/express`
//! call a real Worker and a simulated Wix. The tests are in `clients/js/test`.

use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;

use serde_json::json;

use crate::harness::{API_KEY, Direct, path_with_node};

/// On a busy machine a webhook may come too late for Wix's 1250 ms: it is sent again within a second.
static STAND: LazyLock<Direct> = LazyLock::new(|| {
    let stand = Direct::start(|values| values);
    stand.wix.switch(&json!({ "time_scale": 60 }));
    stand
});

/// Runs one file of tests.
fn run(file: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let built = root.join("clients/js/dist/index.js");
    assert!(built.is_file(), "{} is not there: `cargo xtask test` builds it", built.display());
    let mut node = Command::new("node");
    // An answer whose body nobody reads would keep Node waiting for the end of its connection.
    node.args(["--test", "--test-reporter=tap", "--test-force-exit", "--test-timeout=60000"])
        .arg(root.join("clients/js/test").join(file))
        .current_dir(root)
        .env("PATH", path_with_node(root))
        .env("WORKER_URL", STAND.url())
        .env("WORKER_KEY", API_KEY)
        .env("WIX_URL", &STAND.wix.url);
    let output = node.output().expect("node can be started");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    let passed = text.lines().find_map(|line| line.strip_prefix("# pass ")?.parse::<u32>().ok());
    assert!(passed >= Some(8), "{file} must run 8 tests or more\n{text}");
}

#[test]
fn every_route_is_called_through_the_package() {
    run("client.test.mjs");
}

#[test]
fn wixs_sdk_gets_its_tokens_from_the_worker() {
    run("sdk.test.mjs");
}
