//! The program as `cargo xtask build` runs it.

#![expect(clippy::expect_used, reason = "a test")]

use std::process::{Command, Output};

fn bindgen(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bindgen")).args(arguments).output().expect("it starts")
}

#[test]
fn without_a_wasm_file_and_a_folder_it_prints_its_usage() {
    for arguments in [&[][..], &["one"], &["one", "two", "three"]] {
        let output = bindgen(arguments);
        assert!(!output.status.success(), "{arguments:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("usage: bindgen WASM FOLDER"), "{output:?}");
    }
}

#[test]
fn a_file_that_is_not_wasm_is_named() {
    let output = bindgen(&[concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"), env!("CARGO_TARGET_TMPDIR")]);
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("crates/bindgen/Cargo.toml"), "{output:?}");
}
