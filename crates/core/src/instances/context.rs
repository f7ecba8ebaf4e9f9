//! What a use case may use.

use futures::future::LocalBoxFuture;

use super::{Cache, InstanceError};
use crate::crypto::{Crypto, Keys};
use crate::delivery::{self, AcceptError, BackEnd, Objects};
use crate::facts::SetupPolicy;
use crate::runtime::{Clock, Entropy, Level, Log, Signal, Trace, Turn};
use crate::store::{KvNamespace, OwnRecord, PendingRecheck, Store, TIMEOUT_MILLIS};
use crate::values::{InstanceId, Timestamp};
use crate::wix::{self, Fetch, Wix};

/// How much longer than Wix's deadline a leader of a single flight may take, in milliseconds: KV operations come before and
/// after its calls.
const KV_MARGIN_MILLIS: u64 = 5_000;

/// The ports that the use cases need.
pub trait Ports: Signal + Entropy + Log + Crypto + Fetch + KvNamespace + Objects + BackEnd {}

impl<P: Signal + Entropy + Log + Crypto + Fetch + KvNamespace + Objects + BackEnd> Ports for P {}

/// What the configuration says about installations.
pub struct Settings {
    /// The app and Wix.
    pub wix: wix::Settings,
    /// `SEALING_KEYS`
    pub keys: Keys,
    /// `FINISH_CONFIGURATION`
    pub setup: SetupPolicy,
    /// The delivery of events to the app.
    pub events: delivery::Settings,
    /// `RETENTION_DAYS`, in seconds; `None` keeps the record of a removed installation for good.
    pub retention_seconds: Option<u64>,
    /// `WIX_RATE_LIMIT`; `None` for no limit.
    pub calls_a_minute: Option<u32>,
    /// `CLOCK_OFFSET_SECONDS`
    pub clock_offset_seconds: i64,
    /// `LOG_LEVEL`
    pub log_level: Level,
}

/// One request, deferred task or recheck: its log line, and the recheck that it has stored.
pub struct Work {
    /// The log line.
    pub trace: Trace,
    pending: PendingRecheck,
}

impl Work {
    /// Begins a piece of work.
    #[must_use]
    pub fn new(trace: Trace) -> Self {
        Self { trace, pending: PendingRecheck::default() }
    }

    /// Begins another piece of work of the same request, with a log line of its own.
    #[must_use]
    pub fn sibling(&self, clock: &impl Clock, name: &'static str, id: &InstanceId) -> Self {
        let trace = self.trace.sibling(name, clock.now_millis());
        trace.instance(id);
        Self::new(trace)
    }

    /// The same, after this one has ended: its recheck serves the next one too.
    #[must_use]
    pub fn next(self, clock: &impl Clock, name: &'static str, id: &InstanceId) -> Self {
        Self { trace: self.sibling(clock, name, id).trace, pending: self.pending }
    }
}

/// The object of the installation, for code that runs in it.
pub trait OwnObject: OwnRecord {
    /// Gives the object facts. Dynamic dispatch avoids a second copy of the use cases in the wasm.
    fn report<'a>(&'a self, message: &'a str) -> LocalBoxFuture<'a, Result<(), AcceptError>>;
}

/// What a use case may use. It borrows from the isolate and from the present piece of work.
pub struct Context<'a, P> {
    /// The platform.
    pub platform: &'a P,
    /// The configuration.
    pub settings: &'a Settings,
    /// What this isolate remembers.
    pub cache: &'a Cache,
    /// The present piece of work.
    pub work: &'a Work,
    /// The object in which the use case runs.
    pub own: Option<&'a dyn OwnObject>,
}

impl<P> Clone for Context<'_, P> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P> Copy for Context<'_, P> {}

impl<'a, P: Ports> Context<'a, P> {
    /// The same, for another piece of work.
    #[must_use]
    pub fn of<'b>(&self, work: &'b Work) -> Context<'b, P>
    where
        'a: 'b,
    {
        Context { work, ..*self }
    }

    /// The log line.
    #[must_use]
    pub fn trace(&self) -> &'a Trace {
        &self.work.trace
    }

    /// When this piece of work began.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.with_offset(self.trace().started_millis)
    }

    /// The present time.
    #[must_use]
    pub fn clock(&self) -> Timestamp {
        self.with_offset(self.platform.now_millis())
    }

    fn with_offset(&self, millis: u64) -> Timestamp {
        let seconds = Timestamp::from_millis(millis).0;
        Timestamp(seconds.saturating_add_signed(self.settings.clock_offset_seconds))
    }

    /// The records.
    #[must_use]
    pub fn store(&self) -> Store<'a, P> {
        let Settings { wix, keys, setup, events, .. } = self.settings;
        let store = Store::new(self.platform, keys, &wix.app_id, *setup).reporting(events.is_bound);
        let own = self.own.map(|object| -> &dyn OwnRecord { object });
        store.noting(self.trace()).with_pending(&self.work.pending).of_object(own)
    }

    /// The records, with a common deadline of all operations that counts from the start of the request.
    #[must_use]
    pub fn store_in_time(&self) -> Store<'a, P> {
        self.store().by(self.trace().started_millis + TIMEOUT_MILLIS)
    }

    /// The client of Wix's API.
    #[must_use]
    pub fn wix(&self) -> Wix<'a, P> {
        let credentials = &self.cache.credentials_refused;
        Wix::new(self.platform, &self.settings.wix, self.trace(), credentials, self.now())
    }

    /// How this request takes part in a single flight of calls to Wix.
    #[must_use]
    pub fn turn(&self, force: bool) -> Turn {
        Turn {
            force,
            lead_millis: wix::DEADLINE_MILLIS + KV_MARGIN_MILLIS,
            wait_until_millis: self.trace().started_millis + wix::DEADLINE_MILLIS,
        }
    }

    /// Notes a secondary error in the log line.
    pub fn note<T>(&self, result: Result<T, impl Into<InstanceError>>) {
        if let Err(error) = result {
            let error = error.into();
            self.trace().secondary(error.code(), error.cause());
        }
    }
}
