//! Black-box tests of the built Worker over HTTP: in workerd, under `wrangler dev` or alone, against a simulated Wix. Some
//! use a real browser. `cargo xtask test` builds the Worker first.
//!
//! Each file covers one subject. `harness` starts the processes and sends the requests.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests and their helpers report a failure by a panic"
)]

mod harness;

mod api_keys;
mod app_backend;
mod at_once;
mod bi_events;
mod browser;
mod cli;
mod client;
mod connect;
mod console;
mod costs;
mod deliveries;
mod doctor;
mod doubt;
mod events;
mod faults;
mod finish;
mod flood;
mod handoff;
mod identity;
mod import;
mod install;
mod instances;
mod late_row;
mod logs;
mod misconfiguration;
mod object_cost;
mod open_redirect;
mod openapi;
mod peers;
mod plugins;
mod problems;
mod proxy;
mod proxy_stream;
mod reconciliation;
mod record;
mod redirect;
mod replay;
mod restart;
mod rotation;
mod secrets;
mod service_binding;
mod session;
mod soak;
mod state;
mod token;
mod trap;
mod uncached;
mod upgrade;
mod versions;
mod waits;
mod webhook;
mod webhook_refusals;
mod workerd_alone;
mod wycheproof;
