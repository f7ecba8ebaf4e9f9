//! The requests that the Worker makes to an object.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::inspect::Redelivery;
use super::{AcceptError, Installation, MessageError, ObjectPorts};
use crate::values::{InstanceId, Timestamp, json};

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
/// The object compares its installation with Wix, if that is due. Body: [`super::CompareRequest`] as JSON.
pub const COMPARE: &str = "/compare";
/// What the object notes of its comparisons with Wix. No body. The answer is [`super::Maintenance`] as JSON.
pub const CHECKED: &str = "/checked";
/// The app's object counts a comparison. Body: [`crate::store::Repaired`] as JSON.
pub const COUNT: &str = "/count";
/// The figures of the reconciliation, from the app's object. No body.
pub const FIGURES: &str = "/figures";
/// The app's object counts what happened by day. Body: see [`super::statistics`].
pub const COUNT_DAYS: &str = "/count-days";
/// The statistics of the latest days, from the app's object. Body: their number, a space, and the time.
pub const DAYS: &str = "/days";
/// The Cron Trigger runs. The app's object notes the time, and tells how far the Cron Trigger has come. Body: the time.
pub const PASS: &str = "/pass";
/// The app's object notes how far it has come. Body: [`crate::store::Pass`] as JSON.
pub const SET_PASS: &str = "/set-pass";
/// The hand-over of a flow is used: answered 200 to the first claimant, else 409. Body: [`super::Claim::to_message`].
pub const CLAIM: &str = "/claim";
/// A fresh access token. Body: the installation and `fresh` or `force`, with a space between. The answer begins with the number
/// of calls to Wix and Wix's request id or `-`. Then 200 has `source expires_at life token`, 409 the code of an error and its
/// detail.
pub const TOKEN: &str = "/token";
/// Permits for calls to Wix, by `WIX_RATE_LIMIT`. Body: the installation and how many are wanted, with a space between. 429 has
/// the seconds until there are some.
pub const PERMITS: &str = "/permits";
/// When the access token was issued that the object keeps, or nothing. Body: the installation.
pub const ISSUED: &str = "/issued";
/// The object erases its storage. No body.
pub const ERASE: &str = "/erase";

/// See [`COMPARE`].
#[derive(Debug, Serialize, Deserialize)]
pub struct CompareRequest {
    /// The installation.
    pub instance_id: InstanceId,
    /// The time of the Worker that asks. An alarm does not follow a clock that was set forward.
    pub now: Timestamp,
}

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
            EVENTS => ObjectReply::new(200, to_json(&self.events(body)?)),
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
            CHECKED => ObjectReply::new(200, to_json(&self.checked()?)),
            COUNT => {
                self.count_comparison(json::parse(body).map_err(|_| MessageError)?)?;
                ObjectReply::new(200, "counted")
            }
            FIGURES => ObjectReply::new(200, to_json(&self.figures()?)),
            COUNT_DAYS => {
                self.count_reports(body)?;
                ObjectReply::new(200, "counted")
            }
            DAYS => ObjectReply::new(200, self.days(body)?),
            PASS => ObjectReply::new(200, self.pass(body)?),
            SET_PASS => {
                self.set_pass(body)?;
                ObjectReply::new(200, "noted")
            }
            CLAIM if self.claim(body)? => ObjectReply::new(200, "claimed"),
            CLAIM => ObjectReply::new(409, "used"),
            ERASE => {
                self.erase().await?;
                ObjectReply::new(200, "erased")
            }
            _ => ObjectReply::new(404, "not_found"),
        })
    }
}

fn to_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
