//! `bindgen WASM FOLDER`: generates the JavaScript that loads the Worker's wasm and that the wasm calls.
//!
//! `wasm-bindgen-cli` has the same options, but `cargo install` compiles it without this workspace's `Cargo.lock` and with
//! its test runner and web server, which takes twice as long.

use std::env;

use anyhow::{Context as _, Result};
use wasm_bindgen_cli_support::Bindgen;

/// Classes that the crates `worker` and `wasm-streams` export, and no Worker of ours makes. An export keeps its code in the wasm.
const UNUSED: [&str; 6] = [
    "containerstartupoptions",
    "intounderlyingbytesource",
    "intounderlyingsink",
    "intounderlyingsource",
    "minifyconfig",
    "r2range",
];

fn main() -> Result<()> {
    let mut arguments = env::args_os().skip(1);
    let (Some(wasm), Some(folder), None) = (arguments.next(), arguments.next(), arguments.next()) else {
        anyhow::bail!("usage: bindgen WASM FOLDER");
    };
    let mut output = Bindgen::new()
        .input_path(&wasm)
        .out_name("index")
        // ECMAScript modules that import the wasm as a module.
        .module(true)?
        .typescript(false)
        // `src/entry.js` replaces an instance that trapped: it needs to learn of the trap, and a function that resets.
        .reset_state_function(true)
        .force_enable_abort_handler(true)
        .generate_output()
        .with_context(|| format!("wasm-bindgen cannot convert {}", wasm.display()))?;
    let exports = &mut output.wasm_mut().exports;
    // A method is `class_method`, a field `__wbg_get_class_field`.
    let is_unused = |name: &str| name.split('_').any(|part| UNUSED.contains(&part));
    let names: Vec<String> = exports.iter().map(|export| export.name.clone()).collect();
    for name in names.iter().filter(|name| is_unused(name)) {
        exports.remove(name)?;
    }
    output.emit(&folder)
}
