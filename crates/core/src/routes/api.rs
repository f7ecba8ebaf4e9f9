//! The app API, for the app's back end.

pub mod bi_events;
pub mod events;
pub mod export;
pub mod handoffs;
pub mod identity;
pub mod import;
pub mod instances;
pub mod reconciliation;
pub mod session;
pub mod setup;
pub mod statistics;
pub mod token;

/// The largest JSON body, in bytes. The body of `/v1/identity`, which contains a token, may be larger.
const BODY_LIMIT: usize = 16 * 1024;
