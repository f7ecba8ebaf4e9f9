//! Clock, randomness and log as ports, and the mechanisms that need nothing else: trace, single flight, bounded maps, a
//! rate limit and backoff.

mod backoff;
mod bounded;
mod point;
mod ports;
mod single_flight;
mod trace;
mod window;

pub use backoff::{Backoff, retry};
pub use bounded::{BoundedMap, Until};
pub use point::Point;
pub use ports::{Clock, Entropy, Level, Log, PlatformError, Signal};
pub use single_flight::{SingleFlight, TimedOut, Turn};
pub use trace::Trace;
pub use window::Window;
