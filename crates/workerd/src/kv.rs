//! An in-memory KV namespace that serves the HTTP protocol of workerd's KV bindings. It is strongly consistent, where
//! Cloudflare's KV is eventually consistent, and it injects faults.

mod fault;
mod http;
mod state;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use anyhow::{Context as _, Result};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

pub use self::fault::{Fault, Kind};
use self::state::State;

/// The kind of a KV operation.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Op {
    /// Reads one value. A bulk read counts once for each key.
    Read,
    /// Writes one value.
    Write,
    /// Removes one value.
    Remove,
    /// Lists one page of keys.
    List,
}

/// A finished operation.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Operation {
    /// Its kind.
    pub op: Op,
    /// The key, or the prefix of a listing.
    pub key: String,
    /// The status of the response; 0 if the connection was cut.
    pub status: u16,
    /// The injected fault.
    pub fault: Option<Kind>,
}

/// The numbers of operations, failed ones included.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    /// Values read.
    pub reads: u64,
    /// Values written.
    pub writes: u64,
    /// Values removed.
    pub removals: u64,
    /// Pages listed.
    pub lists: u64,
}

/// A stored key with its value.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// The value.
    pub value: Vec<u8>,
    /// The metadata, as JSON.
    pub metadata: Option<String>,
    /// The expiration, in Unix seconds.
    pub expires_at: Option<u64>,
}

impl Entry {
    /// An entry without expiration.
    pub fn new(key: impl Into<String>, value: impl Into<Vec<u8>>, metadata: Option<String>) -> Self {
        Self { key: key.into(), value: value.into(), metadata, expires_at: None }
    }
}

/// A namespace. A separate thread serves it until the value is dropped.
#[derive(Debug)]
pub struct Kv {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    _end: oneshot::Sender<()>,
}

impl Kv {
    /// An empty namespace, served on a free port of `127.0.0.1`.
    pub fn start() -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).context("could not bind a port for KV")?;
        let address = listener.local_addr()?;
        let state = Arc::new(Mutex::new(State::default()));
        let (end, ended) = oneshot::channel();
        let served = Arc::clone(&state);
        thread::Builder::new().name("kv".to_owned()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = http::serve(listener, served) => {}
                    _ = ended => {}
                }
            });
        })?;
        Ok(Self { address, state, _end: end })
    }

    /// The address of its listener.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stores entries without a write time: a stale read sees them too.
    pub fn seed(&self, entries: impl IntoIterator<Item = Entry>) {
        let mut state = self.state();
        entries.into_iter().for_each(|entry| state.seed(entry));
    }

    /// The entries whose keys begin with `prefix`, in key order.
    #[must_use]
    pub fn entries(&self, prefix: &str) -> Vec<Entry> {
        self.state().entries(prefix)
    }

    /// Deletes the entries whose keys match, with their history: a stale read does not see them either.
    pub fn delete_where(&self, matches: impl Fn(&str) -> bool) {
        self.state().delete_where(matches);
    }

    /// Adds a fault. If several faults match an operation, the one that was added first applies.
    pub fn add_fault(&self, fault: Fault) {
        self.state().faults.push(fault);
    }

    /// Removes all faults, and ends the failures that follow [`Kind::Crash`].
    pub fn clear_faults(&self) {
        self.state().clear_faults();
    }

    /// The numbers of operations since the start, or since [`Self::clear_operations`].
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.state().counts
    }

    /// The last 10,000 of these operations, in the order in which they ended.
    #[must_use]
    pub fn operations(&self) -> Vec<Operation> {
        self.state().operations.iter().cloned().collect()
    }

    /// The number of operations in flight.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.state().in_flight
    }

    /// Sets the counts to zero and clears the list of operations.
    pub fn clear_operations(&self) {
        self.state().clear_operations();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

/// Ignores a poisoned lock: each change of the state is complete before the lock is released.
fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
