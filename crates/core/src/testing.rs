//! Tests only. A fake platform with a scripted Wix, requests to it, and Wix's signatures.

pub mod clock;
pub mod jws;
pub mod kv;
mod platform;
pub mod wix;
pub mod world;

pub use platform::{Fake, Inbound};
