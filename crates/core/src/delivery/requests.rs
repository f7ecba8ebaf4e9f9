//! The requests that the Worker makes to an object.

use std::borrow::Cow;

use super::inspect::Redelivery;
use super::{AcceptError, Installation, ObjectPorts};

/// An event is accepted. Body: [`super::Event::to_message`].
pub const ACCEPT: &str = "/accept";
/// The facts of the installation. Body: [`super::report::to_message`].
pub const REPORT: &str = "/report";
/// A page of events. Body: [`super::PageRequest`] as JSON.
pub const EVENTS: &str = "/events";
/// An event is attempted once more. Body: its id.
pub const REDELIVER: &str = "/redeliver";
/// All parked events of the object are attempted once more. No body.
pub const REDELIVER_PARKED: &str = "/redeliver-parked";
/// The app's object lets all installations redeliver their parked events. Body: the object's name.
pub const REDELIVER_ALL: &str = "/redeliver-all";
/// The object imports its installation. Body: the line of the import.
pub const IMPORT: &str = "/import";
/// The object erases its storage. No body.
pub const ERASE: &str = "/erase";

/// An object's answer.
pub struct ObjectReply {
    /// The status.
    pub status: u16,
    /// The body.
    pub text: Cow<'static, str>,
    /// Whether an event may be due: the caller then delivers.
    pub delivers: bool,
}

impl ObjectReply {
    /// An answer after which nothing is due.
    #[must_use]
    pub fn new(status: u16, text: impl Into<Cow<'static, str>>) -> Self {
        Self { status, text: text.into(), delivers: false }
    }

    fn and_deliver(text: &'static str) -> Self {
        Self { delivers: true, ..Self::new(200, text) }
    }
}

impl<P: ObjectPorts> Installation<'_, P> {
    /// Answers a request of the Worker's.
    pub async fn answer(&self, path: &str, body: &str) -> Result<ObjectReply, AcceptError> {
        Ok(match path {
            ACCEPT => ObjectReply::and_deliver(self.accept(body).await?.as_str()),
            REPORT => {
                self.report(body).await?;
                ObjectReply::and_deliver("told")
            }
            EVENTS => ObjectReply::new(200, serde_json::to_string(&self.events(body)?).unwrap_or_default()),
            REDELIVER => match self.redeliver(body).await? {
                Redelivery::Begun => ObjectReply::and_deliver("begun"),
                Redelivery::Gone => ObjectReply::new(410, "gone"),
                Redelivery::Unknown => ObjectReply::new(404, "unknown"),
            },
            REDELIVER_PARKED => {
                self.redeliver_parked().await?;
                ObjectReply::and_deliver("begun")
            }
            REDELIVER_ALL => {
                self.redeliver_all(body)?;
                ObjectReply::new(200, "begun")
            }
            ERASE => {
                self.erase().await?;
                ObjectReply::new(200, "erased")
            }
            _ => ObjectReply::new(404, "not_found"),
        })
    }
}
