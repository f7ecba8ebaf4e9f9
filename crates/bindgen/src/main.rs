//! `bindgen WASM FOLDER`: generates the JavaScript that loads the Worker's wasm and that the wasm calls.
//!
//! `wasm-bindgen-cli` has the same options, but `cargo install` compiles it without this workspace's `Cargo.lock` and with
//! its test runner and web server, which takes twice as long.

use std::env;

use anyhow::{Context as _, Result};
use wasm_bindgen_cli_support::Bindgen;

fn main() -> Result<()> {
    let mut arguments = env::args_os().skip(1);
    let (Some(wasm), Some(folder), None) = (arguments.next(), arguments.next(), arguments.next()) else {
        anyhow::bail!("usage: bindgen WASM FOLDER");
    };
    Bindgen::new()
        .input_path(&wasm)
        .out_name("index")
        // ECMAScript modules that import the wasm as a module.
        .module(true)?
        .typescript(false)
        // `src/entry.js` replaces an instance that trapped: it needs to learn of the trap, and a function that resets.
        .reset_state_function(true)
        .force_enable_abort_handler(true)
        .generate(&folder)
        .with_context(|| format!("wasm-bindgen cannot convert {}", wasm.display()))
}
