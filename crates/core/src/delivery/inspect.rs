//! What the app's back end sees of the events of an object, and their redelivery.

use serde::{Deserialize, Serialize};

use super::about::{self, About};
use super::queue::{Bounds, PARKED, PENDING, Queue, number, text};
use super::{AcceptError, Installation, MessageError, ObjectPorts, Sql, SqlValue};
use crate::runtime::PlatformError;
use crate::values::{Timestamp, json};

/// The state of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum EventState {
    /// It is attempted until the target accepts it.
    Pending,
    /// The target accepted it.
    Delivered,
    /// The time for its delivery is over. It is kept for 30 days, and attempted again only if it is asked for.
    Parked,
}

/// How an attempt ended: a status of the target's, `timeout`, or `unreachable`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum LastAnswer {
    /// The target's status.
    Status(u16),
    /// `timeout` or `unreachable`.
    None(String),
}

/// An event without its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "DeliveredEvent"))]
pub struct Described {
    /// The `webhook-id`.
    pub event_id: String,
    /// Its number among the events of the installation.
    pub sequence: u64,
    /// Its type.
    #[serde(rename = "type")]
    pub event_type: String,
    /// When it was accepted.
    pub received_at: Timestamp,
    /// Its state.
    pub state: EventState,
    /// How many attempts were made.
    pub attempts: u64,
    /// When a pending event that failed is attempted again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_attempt_at: Option<Timestamp>,
    /// How the latest attempt ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_answer: Option<LastAnswer>,
}

/// A page of events, the newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct EventPage {
    /// The events.
    pub events: Vec<Described>,
    /// The cursor of the next page. Absent on the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// A request for a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageRequest {
    /// Only events before this sequence number.
    pub before: Option<u64>,
    /// The largest number of events.
    pub limit: u16,
}

/// The parked events of one object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parked {
    /// How many.
    pub parked: u64,
    /// When the oldest was accepted.
    pub oldest_at: Timestamp,
}

/// The answer to a request for redelivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Redelivery {
    /// The event is attempted.
    Begun,
    /// Its content was erased.
    Gone,
    /// There is no such event.
    Unknown,
}

impl<P: Sql> Queue<'_, P> {
    fn page(&self, request: PageRequest) -> Result<EventPage, PlatformError> {
        let PageRequest { before, limit } = request;
        // SQLite's largest integer.
        let before = SqlValue::Number(before.unwrap_or(i64::MAX.unsigned_abs()));
        let limit = usize::from(limit);
        let rows = self.sql.sql(
            "SELECT sequence, id, type, received_at, state, attempts, next_at, answer FROM events \
             WHERE sequence < ? ORDER BY sequence DESC LIMIT ?",
            // One more shows whether there is a next page.
            &[before, SqlValue::Number(limit as u64 + 1)],
        )?;
        let mut events: Vec<Described> = rows.iter().filter_map(described).collect();
        let has_more = rows.len() > limit;
        events.truncate(limit);
        let next_cursor = events.last().filter(|_| has_more).map(|event| event.sequence.to_string());
        Ok(EventPage { events, next_cursor })
    }

    /// Lets an event be attempted once more. A pending one waits for its turn, which comes now if it is the first.
    fn redeliver(&self, id: &str) -> Result<Redelivery, PlatformError> {
        // An id that is derived from content has the time of the first copy behind the key.
        let key = id.rsplit_once('_').map_or(id, |(key, _)| key);
        let rows = self.sql.sql(
            "SELECT sequence, state, body IS NOT NULL FROM events WHERE key IN (?1, ?2) AND id = ?1",
            &[SqlValue::Text(id), SqlValue::Text(key)],
        )?;
        let Some(row) = rows.first() else { return Ok(Redelivery::Unknown) };
        let (Some(sequence), state, has_body) = (number(row, 0), number(row, 1), number(row, 2)) else {
            return Ok(Redelivery::Unknown);
        };
        if state == Some(PENDING) {
            if let Some(head) = self.look(Bounds::default())?.head {
                self.change("UPDATE events SET next_at = 0 WHERE sequence = ?", &[SqlValue::Number(head.sequence)])?;
            }
            return Ok(Redelivery::Begun);
        }
        if has_body != Some(1) {
            return Ok(Redelivery::Gone);
        }
        self.change("UPDATE events SET redeliver = 1 WHERE sequence = ?", &[SqlValue::Number(sequence)])?;
        Ok(Redelivery::Begun)
    }

    fn redeliver_parked(&self) -> Result<(), PlatformError> {
        self.change("UPDATE events SET redeliver = 1 WHERE state = 2 AND body IS NOT NULL", &[])
    }

    /// Notes that such an attempt failed: the event stays as it was.
    pub fn redelivery_failed(&self, sequence: u64, answer: &str) -> Result<(), PlatformError> {
        self.change(
            "UPDATE events SET redeliver = NULL, attempts = attempts + 1, answer = ? WHERE sequence = ?",
            &[SqlValue::Text(answer), SqlValue::Number(sequence)],
        )
    }

    /// The parked events, and as the list of parked events in KV has them. With a parameter for the state, `SQLite` would parse
    /// the statement anew each time, to see whether the index of the parked events serves it.
    fn parked(&self) -> Result<(Option<Parked>, Option<String>), PlatformError> {
        let rows = self.sql.sql(
            "SELECT count(*) AS parked, min(received_at) AS oldest, (SELECT value FROM about WHERE name = ?) AS listed \
             FROM events WHERE state = 2 AND body IS NOT NULL",
            &[SqlValue::Text(about::PARKED)],
        )?;
        let Some(row) = rows.first() else { return Ok((None, None)) };
        let parked = number(row, 0).zip(number(row, 1));
        let parked = parked.map(|(parked, oldest)| Parked { parked, oldest_at: Timestamp::from_millis(oldest) });
        Ok((parked, text(row, 2)))
    }
}

impl<P: ObjectPorts> Installation<'_, P> {
    /// A page of events.
    pub fn events(&self, message: &str) -> Result<EventPage, AcceptError> {
        let request = json::parse(message).map_err(|_| MessageError)?;
        Ok(Queue::open(self.ports)?.page(request)?)
    }

    /// Lets an event be attempted once more, at once.
    pub async fn redeliver(&self, event_id: &str) -> Result<Redelivery, PlatformError> {
        let alarm = self.ports.alarm().await?;
        let queue = Queue::open(self.ports)?;
        let found = queue.redeliver(event_id)?;
        self.guard(alarm, self.wake()?)?;
        Ok(found)
    }

    /// Lets each parked event be attempted once more, at once.
    pub async fn redeliver_parked(&self) -> Result<(), PlatformError> {
        let alarm = self.ports.alarm().await?;
        let queue = Queue::open(self.ports)?;
        queue.redeliver_parked()?;
        self.guard(alarm, self.wake()?)
    }

    /// The object's name and its parked events, if the list of parked events in KV shows something else.
    pub fn unlisted_parked(&self) -> Result<Option<(String, Option<Parked>)>, PlatformError> {
        let (parked, listed) = Queue::open(self.ports)?.parked()?;
        if listed == parked.map(line) {
            return Ok(None);
        }
        Ok(About::open(self.ports)?.name()?.map(|name| (name, parked)))
    }

    /// Notes that the list in KV shows these parked events.
    pub fn listed_parked(&self, parked: Option<Parked>) -> Result<(), PlatformError> {
        About::open(self.ports)?.set_listed_parked(parked.map(line).as_deref())
    }
}

fn line(parked: Parked) -> String {
    format!("{} {}", parked.parked, parked.oldest_at.0)
}

fn described(row: &super::queue::Row) -> Option<Described> {
    let state = match number(row, 4)? {
        PENDING => EventState::Pending,
        PARKED => EventState::Parked,
        _ => EventState::Delivered,
    };
    let next = number(row, 6).filter(|at| *at > 0 && state == EventState::Pending);
    let answer = |answer: String| answer.parse().map_or(LastAnswer::None(answer), LastAnswer::Status);
    Some(Described {
        event_id: text(row, 1)?,
        sequence: number(row, 0)?,
        event_type: text(row, 2)?,
        received_at: Timestamp::from_millis(number(row, 3)?),
        state,
        attempts: number(row, 5)?,
        next_attempt_at: next.map(Timestamp::from_millis),
        last_answer: text(row, 7).map(answer),
    })
}
