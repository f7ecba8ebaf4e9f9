//! Wix's unmodified SDK from npm against the simulator. The tests are in `tests/sdk/`.

use std::path::Path;
use std::process::Command;

use wix_sim::{Settings, Sim};

const SECRET: &str = "99999999-8888-4777-8666-555555555555";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wixs_sdk_gets_its_tokens_and_takes_its_webhooks() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
    let package = root.join("node_modules/@wix/sdk/package.json");
    let package = std::fs::read_to_string(package)
        .expect("@wix/sdk is not in node_modules: run `cargo xtask test`, which installs the npm packages");
    assert!(package.contains(r#""version": "1.21.16""#), "@wix/sdk in node_modules must be version 1.21.16");

    // One simulator for each file, so that the files share no state.
    for file in ["tokens.test.mjs", "webhooks.test.mjs"] {
        let sim = Sim::start(Settings { app_secret: Some(SECRET.to_owned()), ..Settings::default() }).await.unwrap();
        let pinned = root.join("node_modules/.bin/node");
        let mut command = if pinned.exists() { Command::new(pinned) } else { Command::new("node") };
        command.arg("--test").arg(root.join("tests/sdk").join(file)).current_dir(&root);
        command.env("WIX_SIM_URL", sim.url()).env("WIX_SIM_APP_SECRET", SECRET);
        let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap();
        let output = output.expect("node did not start; it must be Node 20 or later");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{file}\n{text}\n{}", String::from_utf8_lossy(&output.stderr));
        let passed = text.lines().find_map(|line| line.trim_start_matches(['#', 'ℹ', ' ']).strip_prefix("pass "));
        assert!(passed.is_some_and(|count| count.trim() != "0"), "{file} must run at least one test\n{text}");
    }
}
