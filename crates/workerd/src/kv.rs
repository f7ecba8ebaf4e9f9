//! A KV namespace in memory, behind the HTTP that workerd's KV bindings speak: ordered, exact where Cloudflare's is
//! eventually consistent, and with faults where one wants them.

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

/// What is asked of KV.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Op {
    /// One value, or each of several that are read at once.
    Read,
    /// One value.
    Write,
    /// One value.
    Remove,
    /// One page of keys.
    List,
}

/// An operation as it went.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Operation {
    /// What.
    pub op: Op,
    /// The key; of a listing, its prefix.
    pub key: String,
    /// The status it was answered with; 0 where the connection was cut.
    pub status: u16,
    /// The fault that it met.
    pub fault: Option<Kind>,
}

/// How many operations there were, those that failed among them.
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

/// What is stored under a key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// The value.
    pub value: Vec<u8>,
    /// JSON.
    pub metadata: Option<String>,
    /// In Unix seconds.
    pub expires_at: Option<u64>,
}

impl Entry {
    /// An entry for good.
    pub fn new(key: impl Into<String>, value: impl Into<Vec<u8>>, metadata: Option<String>) -> Self {
        Self { key: key.into(), value: value.into(), metadata, expires_at: None }
    }
}

/// A namespace. It is served from a thread of its own until this is dropped.
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
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).context("no port for KV")?;
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

    /// Where it is served.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stores entries, as if they had always been there.
    pub fn seed(&self, entries: impl IntoIterator<Item = Entry>) {
        let mut state = self.state();
        entries.into_iter().for_each(|entry| state.seed(entry));
    }

    /// What is stored under keys that begin with `prefix`, in their order.
    #[must_use]
    pub fn entries(&self, prefix: &str) -> Vec<Entry> {
        self.state().entries(prefix)
    }

    /// Takes the entries of some keys away, as if they had never been there.
    pub fn forget(&self, is_meant: impl Fn(&str) -> bool) {
        self.state().forget(is_meant);
    }

    /// Makes operations fail, beside the faults that are there: of those that an operation meets, the first counts.
    pub fn fault(&self, fault: Fault) {
        self.state().faults.push(fault);
    }

    /// Takes all faults away, and gets up again after a crash.
    pub fn heal(&self) {
        self.state().heal();
    }

    /// The operations since the start, or since [`Self::forget_operations`].
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.state().counts
    }

    /// The same one by one in the order in which they ended; the last 10,000.
    #[must_use]
    pub fn operations(&self) -> Vec<Operation> {
        self.state().operations.iter().cloned().collect()
    }

    /// How many operations have begun and not ended.
    #[must_use]
    pub fn under_way(&self) -> usize {
        self.state().under_way
    }

    /// Counts from nothing.
    pub fn forget_operations(&self) {
        self.state().forget_operations();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

/// Every change is made in one step, so a poisoned lock is as good as any.
fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
