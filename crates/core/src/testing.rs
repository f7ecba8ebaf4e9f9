//! For tests only: a fake platform with a scripted Wix, an isolate on it, requests to the isolate, and signatures made
//! as Wix makes them.
//!
//! Test values that must not reach the log, an error or KV in plain text contain the word `planted`, which tests search
//! for there.

pub mod back_end;
pub mod clock;
pub mod duplex;
pub mod jws;
pub mod kv;
pub mod object;
mod platform;
pub mod wix;
pub mod world;

pub use platform::{DataPoint, Fake, Inbound};
