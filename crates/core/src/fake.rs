//! A platform of plain Rust for the tests.
