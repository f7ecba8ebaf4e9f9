//! Delivery of events to the app: durable, in order, signed. One Durable Object per installation stores and delivers its
//! events; the Worker passes each verified event to it.
//!
//! - The Worker's side: [`Event`] is what is delivered; [`submit`] passes it to the object.
//! - The object's side: [`Installation`] accepts events and delivers them. `queue` has its rows, `schedule` decides which
//!   event is attempted when.
//!
//! An object keeps nothing in memory that its storage lacks, except for the lease of the delivery that runs.

mod deliver;
mod event;
mod installation;
mod port;
mod queue;
mod schedule;
mod settings;
mod signature;
mod submit;

pub use event::{Event, MessageError};
pub use installation::{AcceptError, Accepted, Installation};
pub use port::{Alarm, Answer, Lease, ObjectError, ObjectPorts, Objects, Post, Sql, SqlValue, Target};
pub use settings::{FIX_INSTALLATIONS, Settings, TargetAddress, Types};
pub use signature::parse_secret;
pub use submit::{SubmitError, submit};

/// The path at which an object accepts an event.
pub const ACCEPT: &str = "/accept";

#[cfg(test)]
mod tests;
