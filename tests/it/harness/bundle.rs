//! Workers in JavaScript, bundled with the npm package.

use std::path::Path;
use std::process::Command;

use workerd::Worker;

use super::path_with_node;

/// A Worker and the package in one module.
pub fn bundled(entry: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut esbuild = Command::new(root.join("node_modules/.bin/esbuild"));
    esbuild.args([entry, "--bundle", "--format=esm", "--log-level=warning"]);
    let output = esbuild.current_dir(root).env("PATH", path_with_node(root)).output().expect("esbuild must start");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}: `cargo xtask test` builds clients/js first");
    String::from_utf8(output.stdout).expect("ASCII")
}

/// `examples/worker-binding` as its `wrangler.toml` configures it, without its KV namespace. It binds the Worker `edge`.
pub fn example_worker(edge: &str) -> Worker {
    let example = read_toml("examples/worker-binding/wrangler.toml");
    let text = |value: &toml::Value, name: &str| value[name].as_str().expect("a text").to_owned();
    let script = bundled(&format!("examples/worker-binding/{}", text(&example, "main")));
    let [service] = example["services"].as_array().expect("services").as_slice() else { panic!("one service") };
    assert_eq!(text(service, "service"), text(&read_toml("wrangler.toml"), "name"));
    Worker::script(&text(&example, "compatibility_date"), &script).service(&text(service, "binding"), edge)
}

fn read_toml(path: &str) -> toml::Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let text = std::fs::read_to_string(path).expect("the file is there");
    text.parse::<toml::Table>().expect("TOML").into()
}
