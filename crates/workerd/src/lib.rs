//! Starts workerd without wrangler, with an in-memory KV, for tests and measurements. The proxy of `wrangler dev` is
//! slow, and its KV never fails.
//!
//! - [`Setup`] lists the Workers and their bindings; [`Worker::built`] is the Worker of this repository.
//! - [`Workerd::start`] runs them in one process, each at its own address, until the value is dropped.
//! - [`Kv`] is a KV namespace in this process. Tests seed it, read it, count its operations and inject faults.
//!
//! Unix only. All listeners are on loopback.

mod kv;
mod process;
mod setup;

pub use kv::{Counts, Entry, Fault, Kind, Kv, Op, Operation};
pub use process::Workerd;
pub use setup::{Setup, Worker};
