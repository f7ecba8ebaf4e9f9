//! `GET /v1/openapi.json`: what the app API is, in OpenAPI 3.1.
//!
//! The tests make it from the route table, the errors and the types themselves (`openapi/`), and it is kept as a file, so
//! that nothing of what makes it is in the Worker. `cargo xtask openapi` writes it anew.

use crate::reply::Reply;

#[cfg(test)]
pub mod conformance;
#[cfg(test)]
mod document;
#[cfg(test)]
mod operation;
#[cfg(test)]
mod schema;

const DOCUMENT: &str = include_str!("../openapi.json");

/// `GET /v1/openapi.json`
#[must_use]
pub fn openapi() -> Reply {
    Reply::written_json(DOCUMENT.trim_end())
}

#[cfg(test)]
#[path = "openapi_tests.rs"]
mod tests;
