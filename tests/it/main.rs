//! Black box: the Worker as it is deployed, in the real workerd under `wrangler dev`, against a simulated Wix, by HTTP
//! alone; and once more with a real browser. `cargo xtask test` builds the Worker first.
//!
//! One file a subject. `harness` starts things and speaks to them; the tests say what must come of it.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test says what is wrong by panicking, here as in the functions that carry the tests' attribute"
)]

mod harness;

mod api_keys;
mod at_once;
mod bi_events;
mod browser;
mod client;
mod connect;
mod costs;
mod doubt;
mod faults;
mod finish;
mod flood;
mod identity;
mod install;
mod instances;
mod late_row;
mod logs;
mod misconfiguration;
mod open_redirect;
mod openapi;
mod proxy;
mod proxy_stream;
mod redirect;
mod replay;
mod restart;
mod rotation;
mod secrets;
mod service_binding;
mod soak;
mod state;
mod token;
mod trap;
mod uncached;
mod versions;
mod webhook;
mod webhook_refusals;
mod workerd_alone;
mod wycheproof;
