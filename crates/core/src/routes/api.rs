//! The app API, for the app's back end.

pub mod bi_events;
pub mod identity;
pub mod instances;
pub mod setup;
pub mod token;
