//! Delivery of events to the app: durable, in order, signed. One Durable Object per installation stores and delivers its
//! events; the Worker passes each verified event to it.
//!
//! - The Worker's side: [`Event`] is what is delivered; [`submit`] passes it to the object. [`requests`] has all requests
//!   to an object.
//! - The object's side: [`Installation`] accepts events and delivers them. `queue` has its rows, `schedule` decides which
//!   event is attempted when, `change` which facts of the installation are events of our own, `maintenance` when the
//!   installation is compared with Wix.
//!
//! An object keeps nothing in memory that its storage lacks, except for the lease of the delivery that runs. It also remembers
//! that its tables are there.

mod about;
mod change;
mod claim;
mod deliver;
mod event;
mod inspect;
mod installation;
mod maintenance;
mod own;
mod port;
mod queue;
pub mod report;
pub mod requests;
mod schedule;
mod schema;
mod settings;
mod signature;
mod statistics;
mod submit;

pub use claim::Claim;
pub use event::{Event, MessageError};
pub use inspect::{EventPage, PageRequest, Parked};
pub use installation::{AcceptError, Accepted, Installation};
pub use maintenance::{Comparison, Maintenance};
pub use port::{Alarm, Answer, BackEnd, Lease, ObjectError, ObjectPorts, Objects, Post, Sql, SqlValue, Target};
pub use requests::{CompareRequest, ObjectReply};
pub use settings::{FIX_INSTALLATIONS, Settings, TargetAddress, Types};
pub use signature::{headers as signed_headers, parse_secret};
pub use submit::{ObjectCallError, ask, command, submit};

#[cfg(test)]
mod tests;
