//! The ports of delivery: the objects as the Worker sees them, and what an object has.

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use crate::runtime::{Clock, Entropy, Log, PlatformError};
use crate::values::json;
use crate::wix::SendError;

/// The Durable Objects of the binding `INSTALLATIONS`.
#[expect(async_fn_in_trait, reason = "every implementation is single-threaded: no future needs to be `Send`")]
pub trait Objects {
    /// Sends a request to the object of that name. Returns the status and the text of its response.
    async fn ask_object(&self, name: &str, path: &str, body: &str) -> Result<(u16, String), ObjectError>;
}

/// The runtime could not pass a request to an object, or the object failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct ObjectError {
    /// Whether the same request may succeed at once (`.retryable` without `.overloaded`).
    pub is_retryable: bool,
    /// The cause, for the log.
    pub text: String,
}

/// Everything that an object needs from the platform.
pub trait ObjectPorts: Clock + Entropy + Log + Sql + Alarm + Lease + Target {}

impl<P: Clock + Entropy + Log + Sql + Alarm + Lease + Target> ObjectPorts for P {}

/// The object's database, `SQLite`.
#[expect(async_fn_in_trait, reason = "every implementation is single-threaded: no future needs to be `Send`")]
pub trait Sql {
    /// Runs one statement. Writes without an await between them are committed together, also if one of them fails.
    fn sql(&self, statement: &str, values: &[SqlValue<'_>]) -> Result<Vec<Vec<SqlValue<'static>>>, PlatformError>;
    /// Runs statements that take effect together, or not at all if the work fails.
    fn transaction(&self, work: &mut dyn FnMut() -> Result<(), PlatformError>) -> Result<(), PlatformError>;
    /// Erases the whole storage of the object, and its alarm.
    async fn erase(&self) -> Result<(), PlatformError>;
    /// Whether [`Self::set_has_tables`] was called, in the memory that ends with the object. Also after the storage was erased,
    /// or has failed, this is false: an error may undo what was written before it.
    fn has_tables(&self) -> bool;
    /// Remembers that the tables are there.
    fn set_has_tables(&self);
}

/// A value of a row, or of a parameter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum SqlValue<'a> {
    /// NULL
    Null,
    /// INTEGER
    Number(u64),
    /// TEXT of a parameter
    Text(&'a str),
    /// TEXT of a row
    Owned(String),
}

impl SqlValue<'_> {
    /// The values as JSON.
    #[must_use]
    pub fn to_json(values: &[Self]) -> String {
        serde_json::to_string(values).unwrap_or_default()
    }

    /// Reads rows from JSON: a list of lists.
    pub fn rows_from_json(text: &str) -> Result<Vec<Vec<SqlValue<'static>>>, PlatformError> {
        let rows: Vec<Vec<Value>> = json::parse(text).map_err(|_| PlatformError("rows must be JSON".to_owned()))?;
        let value = |value| match value {
            Value::String(text) => SqlValue::Owned(text),
            value => value.as_u64().map_or(SqlValue::Null, SqlValue::Number),
        };
        Ok(rows.into_iter().map(|row| row.into_iter().map(value).collect()).collect())
    }

    /// The text of a row.
    #[must_use]
    pub fn into_text(self) -> Option<String> {
        match self {
            Self::Owned(text) => Some(text),
            _ => None,
        }
    }
}

/// The object's alarm: one at a time, which survives the end of the process. Times are Unix milliseconds of the runtime's
/// clock, so without `CLOCK_OFFSET_SECONDS`.
#[expect(async_fn_in_trait, reason = "every implementation is single-threaded: no future needs to be `Send`")]
pub trait Alarm {
    /// When the alarm is due, if it is set.
    async fn alarm(&self) -> Result<Option<u64>, PlatformError>;
    /// Sets the alarm, in one commit with the writes around it.
    fn set_alarm(&self, at: u64) -> Result<(), PlatformError>;
}

/// The lease of the delivery that runs in this object, in the memory that ends with the object.
pub trait Lease {
    /// Until when the lease is taken, in Unix milliseconds; 0 if it never was.
    fn lease(&self) -> u64;
    /// Takes the lease, or returns it with 0.
    fn set_lease(&self, until: u64);
}

/// The app's back end.
#[expect(async_fn_in_trait, reason = "every implementation is single-threaded: no future needs to be `Send`")]
pub trait Target {
    /// Sends one event. No redirect is followed, and the body of the response is not read.
    async fn post(&self, post: Post<'_>, timeout: Duration) -> Answer;
}

/// The app's back end, as the Worker calls it while Wix waits.
#[expect(async_fn_in_trait, reason = "every implementation is single-threaded: no future needs to be `Send`")]
pub trait BackEnd {
    /// Sends a service plugin call, and reads the whole response: its status and its body. No redirect is followed.
    async fn call(&self, post: Post<'_>, timeout: Duration) -> Result<(u16, Vec<u8>), SendError>;
}

/// A request to the app's back end.
pub struct Post<'a> {
    /// The URL.
    pub url: &'a str,
    /// The service binding that is called; `None` for a request over the network.
    pub binding: Option<&'static str>,
    /// The headers that differ between requests. The platform adds `content-type` and `user-agent`.
    pub headers: &'a [(&'static str, String)],
    /// The body, as JSON.
    pub body: &'a str,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The target answered.
    Status {
        /// The status.
        status: u16,
        /// The `retry-after` header.
        retry_after: Option<String>,
    },
    /// The target did not answer in time.
    Timeout,
    /// The target could not be reached.
    Unreachable,
}
