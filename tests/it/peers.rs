//! The peers of the benchmark that claim the same work as the Worker.

use std::path::Path;

use crate::harness::build_folder;

#[test]
fn peers_with_the_same_work_answer_refuse_and_log_as_the_worker() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    bench::check_same_work(root, &build_folder(root)).unwrap_or_else(|error| panic!("{error:#}"));
}
