use std::fs;
use std::path::Path;

use super::*;

/// `entry.js` reads a body early if the core will need it whole, and the proxy needs bodies of this length whole.
#[test]
fn the_entry_reads_early_what_the_proxy_buffers() {
    let entry = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../src/entry.js");
    let entry = fs::read_to_string(entry).expect("the entry");
    let line = format!("const SHORT = {} * 1024;", REPLAY_LIMIT / 1024);
    assert!(entry.contains(&line), "src/entry.js must have the line: {line}");
}
