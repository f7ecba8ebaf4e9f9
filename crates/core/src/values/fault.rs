//! A fault of the configuration, as `/readyz`, the home page and the log show it.

use serde::Serialize;

/// A value that is missing or malformed, and how to fix it. It contains no part of the value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// The name in the configuration.
    pub name: &'static str,
    /// Why the value cannot be used.
    pub problem: String,
    /// What the operator must do.
    pub fix: &'static str,
}
