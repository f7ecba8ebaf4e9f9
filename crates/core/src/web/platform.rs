//! The port to received requests, and the sum of all ports.
//!
//! Headers and bodies stay in the platform's memory until they are read: each crossing between wasm and JavaScript costs.

use std::cell::Cell;

use crate::crypto::Crypto;
use crate::instances::Ports;
use crate::runtime::PlatformError;
use crate::wix::{self, Fetch, HeldJws, JwsLimits};

/// Everything that the core needs from the platform: implemented by the Worker (`src/platform.rs`), by the tests
/// (`testing/platform.rs`) and for the fuzzer (`fuzz/stub.rs`).
pub trait Platform: Ports + Requests + 'static {}

impl<P: Ports + Requests + 'static> Platform for P {}

/// Received requests.
#[expect(async_fn_in_trait, reason = "every implementation is single-threaded: no future needs to be `Send`")]
pub trait Requests: Crypto + Fetch {
    /// A request whose body is read while the body of its response is written.
    type Duplex: 'static;

    /// A request header. Repeated headers are joined with `, `, cookies with `; `.
    fn header(&self, inbound: &Self::Inbound, name: &'static str) -> Option<String>;
    /// Those of several headers that the request has.
    fn headers(&self, inbound: &Self::Inbound, names: &[&'static str]) -> Vec<(&'static str, String)> {
        names.iter().filter_map(|name| Some((*name, self.header(inbound, name)?))).collect()
    }
    /// Reads the body, unless it is longer than `limit` bytes.
    async fn body(&self, inbound: Self::Inbound, limit: usize) -> Result<Vec<u8>, BodyError>;
    /// Buffers the body if it ends within `limit` bytes. A longer one can still be streamed whole.
    async fn buffer(&self, inbound: Self::Inbound, limit: usize) -> Result<wix::Body<Self::Inbound>, BodyError>;
    /// Begins to read the body, and to write the returned body of the response.
    fn duplex(&self, inbound: Self::Inbound) -> Result<(Self::Duplex, Self::Stream), BodyError>;
    /// Reads the next bytes of the body. `None` at its end.
    async fn read_chunk(&self, duplex: &Self::Duplex) -> Result<Option<Vec<u8>>, BodyError>;
    /// Writes a part of the response, and waits until the client takes it.
    async fn write_chunk(&self, duplex: &Self::Duplex, text: &str) -> Result<(), BodyError>;
    /// Ends the response. One that is not whole is broken off, so that the client can tell.
    async fn end(&self, duplex: &Self::Duplex, is_whole: bool);
    /// Receives the body as a compact JWS (RFC 7515, 3.1), which stays in the platform's memory until its signature is
    /// verified. `None` if it does not have three parts, or a part is longer than its limit.
    async fn hold_jws(
        &self,
        inbound: Self::Inbound,
        limits: JwsLimits,
    ) -> Result<Option<HeldJws<Self::Held>>, BodyError>;
    /// Whether the platform's rate limiter admits a client. Without a rate limiter it admits all.
    async fn is_within_rate(&self, client: &str) -> Result<bool, PlatformError>;
}

/// Why a body was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// It is longer than the limit.
    #[error("too large")]
    TooLarge,
    /// The connection broke.
    #[error("it broke off")]
    Broken,
    /// The isolate holds too many bytes of bodies.
    #[error("too many bodies in memory")]
    Busy,
}

/// The bytes of bodies in an isolate's memory. Senders need no credentials, so that the sum is bounded.
#[derive(Debug, Default)]
pub struct InFlight(Cell<usize>);

impl InFlight {
    /// The bound in bytes. An isolate has 128 MB.
    pub const LIMIT: usize = 16 * 1024 * 1024;

    /// Reserves bytes. False if they would exceed the bound.
    #[must_use]
    pub fn reserve(&self, bytes: usize) -> bool {
        let sum = self.0.get().saturating_add(bytes);
        let fits = sum <= Self::LIMIT;
        if fits {
            self.0.set(sum);
        }
        fits
    }

    /// Releases reserved bytes.
    pub fn release(&self, bytes: usize) {
        self.0.set(self.0.get().saturating_sub(bytes));
    }
}
