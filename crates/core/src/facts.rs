//! The record of an instance: immutable facts, and the pure function that folds them into its current state. No I/O.
//!
//! A fact is written once and never changed, so two writers cannot overwrite each other. Only the latest fact of each
//! kind counts, by the fact's own time, and of [`Kind::Listed`] some more. The fold is therefore a join: neither the
//! order nor the number of deliveries changes its result, and superseded facts can be deleted.
//!
//! A row is the projection that listings and token requests read: the folded instance together with the facts it was
//! folded from. A row may be stale. Joining it with any other set of facts loses none.

mod billing;
mod contested;
mod fact;
mod fold;
mod instance;
mod name;
mod row;
mod state;

pub use billing::is_in_question;
pub use contested::is_contested;
pub use fact::{Fact, Kind};
pub use fold::{fold, join, latest, latest_of, outdated};
pub use instance::{Auth, Billing, Corrected, Instance, LastToken, SetupPolicy, SiteInfo, Status, TokenOutcome};
pub use name::Name;
pub use row::Row;
pub use state::{Before, State, are_same};
