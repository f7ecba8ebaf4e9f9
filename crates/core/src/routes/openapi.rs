//! `GET /v1/openapi.json`: the description of the app API, in OpenAPI 3.1.
//!
//! The tests generate it from the route table, the errors and the types (`openapi/`, compiled for tests only). The Worker
//! contains the resulting file, which `cargo xtask openapi` writes.

use http::StatusCode;

use crate::web::Reply;

#[cfg(test)]
pub mod conformance;
#[cfg(test)]
mod document;
#[cfg(test)]
mod operation;
#[cfg(test)]
mod row;
#[cfg(test)]
mod schema;

const DOCUMENT: &str = include_str!("../../openapi.json");

/// `GET /v1/openapi.json`
pub fn openapi<S>() -> Reply<S> {
    Reply::serialised_json(StatusCode::OK, DOCUMENT.trim_end().to_owned())
}

#[cfg(test)]
mod tests;
