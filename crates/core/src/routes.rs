//! The addresses: a file for each. A handler parses the request, calls a use case, and builds the response.

mod api;
mod connect;
mod health;
mod install;
pub mod openapi;
mod path;
mod plugins;
mod proxy;
mod redirect;
mod table;
mod webhook;

pub use api::import::answer_lines;
pub use table::Found;

#[cfg(test)]
pub use table::Route;
