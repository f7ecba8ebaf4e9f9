//! The records in KV: their keys, their sealed forms, and the deadlines of KV operations. It decides nothing.
//!
//! KV is eventually consistent, allows one write per second and key, and has no compare-and-set. It is not used as a lock,
//! and nothing depends on reading back a value that was just written.

mod erase;
mod error;
mod exchange;
mod export;
mod facts;
mod handoff;
pub mod keys;
mod kv;
mod list;
mod own;
mod parked;
mod port;
mod recheck;
mod reconciliation;
mod tokens;

pub use erase::Erasure;
pub use error::StoreError;
pub use exchange::{Exchange, Known};
pub use facts::{BETWEEN_WRITES, Recorded};
pub use kv::{Store, Stored, TIMEOUT_MILLIS};
pub use list::ListRequest;
pub use own::{OwnRecord, SealedToken};
pub use parked::ParkedEvents;
pub use port::{KvKey, KvNamespace, KvOptions, KvPage};
pub use recheck::{Attempts, Due, PendingRecheck, RECHECK_AFTER, Recheck};
pub use reconciliation::{Pass, Progress, Reconciliation, Repaired, Round};
pub use tokens::RETRY_PAUSES;
