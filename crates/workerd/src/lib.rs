//! workerd, started directly, and the KV that it is given: for tests and measurements that `wrangler dev` stands in the way
//! of. Its proxy is slow, and its KV never fails.
//!
//! - [`Setup`] says which Workers there are and what each is bound to; [`Worker::built`] is the Worker of this repository.
//! - [`Workerd::start`] runs them in one process, each at an address of its own, until it is dropped.
//! - [`Kv`] is a namespace that lives in this process: it can be filled, read, counted, and made to fail.
//!
//! Unix only. Everything listens on loopback.

mod kv;
mod process;
mod setup;

pub use kv::{Counts, Entry, Fault, Kind, Kv, Op, Operation};
pub use process::Workerd;
pub use setup::{Setup, Worker};
