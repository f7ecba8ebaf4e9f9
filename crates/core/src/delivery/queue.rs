//! The rows of an object: one for each event, from its acceptance until its id need not be remembered any more.
//!
//! An event costs four written rows: its row and the entry of its key when it is accepted, the alarm, and the change of
//! its row when it is delivered. An index of the pending events would cost two more. Instead each row has two lower
//! bounds from when it was inserted, `head` and `next`: of the pending events one at most was before `next`, and that one
//! was not before `head`. The bounds of the latest row find the pending events without a scan of the delivered ones. The
//! latest row is never deleted, so that it also counts the events.

use super::schedule::Pending;
use super::{Event, Sql, SqlValue, schema};
use crate::runtime::PlatformError;

/// How far apart the times of two copies of one event may be, in seconds, if it has no id of its own.
const COPIES_APART: u64 = 600;
/// For how long a delivered event is remembered, in milliseconds. Wix resends for two days.
pub const REMEMBERED: u64 = 5 * 86_400_000;
/// How many rows one pruning looks at.
const PRUNED_AT_ONCE: u64 = 100;

/// The states of an event.
pub const PENDING: u64 = 0;
/// See [`PENDING`].
pub const DELIVERED: u64 = 1;
/// See [`PENDING`].
pub const PARKED: u64 = 2;

/// The columns of [`Pending`].
pub const COLUMNS: &str = "sequence, id, type, received_at, attempts, failed_at, attempted_at, pause, next_at";

/// See the module.
pub struct Queue<'a, P> {
    pub(super) sql: &'a P,
}

/// Lower bounds of the pending events: see the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    head: u64,
    next: u64,
    /// The latest sequence number.
    pub(super) last: u64,
}

/// A row.
pub type Row = Vec<SqlValue<'static>>;

impl<'a, P: Sql> Queue<'a, P> {
    /// Opens the rows.
    pub fn open(sql: &'a P) -> Result<Self, PlatformError> {
        schema::create(sql)?;
        Ok(Self { sql })
    }

    pub(super) fn change(&self, statement: &str, values: &[SqlValue<'_>]) -> Result<(), PlatformError> {
        self.sql.sql(statement, values).map(|_| ())
    }

    /// Whether the event was accepted before.
    pub fn knows(&self, event: &Event) -> Result<bool, PlatformError> {
        let key = SqlValue::Text(&event.identity.key);
        let found = if event.identity.by_content {
            let iat = SqlValue::Number(event.identity.iat.0);
            let statement = "SELECT 1 FROM events WHERE key = ? AND abs(iat - ?) <= ? LIMIT 1";
            self.sql.sql(statement, &[key, iat, SqlValue::Number(COPIES_APART)])?
        } else {
            self.sql.sql("SELECT 1 FROM events WHERE key = ? LIMIT 1", &[key])?
        };
        Ok(!found.is_empty())
    }

    /// Appends an event, with the next sequence number.
    pub fn add(&self, event: &Event, now: u64) -> Result<(), PlatformError> {
        let mut bounds = self.bounds()?;
        let sequence = bounds.last + 1;
        let (head, next) = self.pending(&mut bounds)?;
        let head = head.map_or(sequence, |head| head.sequence);
        let next = next.map_or(sequence, |next| next.sequence);
        let body = event.body(sequence);
        self.change(
            "INSERT INTO events (sequence, head, next, key, iat, id, type, received_at, body) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            &[
                SqlValue::Number(sequence),
                SqlValue::Number(head),
                SqlValue::Number(next),
                SqlValue::Text(&event.identity.key),
                SqlValue::Number(event.identity.iat.0),
                SqlValue::Text(&event.identity.webhook_id()),
                SqlValue::Text(&event.identity.event_type),
                SqlValue::Number(now),
                SqlValue::Text(&body),
            ],
        )
    }

    /// The bounds that the latest row has.
    pub fn bounds(&self) -> Result<Bounds, PlatformError> {
        let rows = self.sql.sql("SELECT sequence, head, next FROM events ORDER BY sequence DESC LIMIT 1", &[])?;
        let row = rows.first();
        let number = |at| row.and_then(|row| number(row, at)).unwrap_or(0);
        Ok(Bounds { last: number(0), head: number(1), next: number(2) })
    }

    /// The first two pending events. The bounds are raised.
    pub fn pending(&self, bounds: &mut Bounds) -> Result<(Option<Pending>, Option<Pending>), PlatformError> {
        // By the bounds, the only pending event before `next` is the first one from `head` on.
        let select = format!(
            "SELECT {COLUMNS} FROM events WHERE sequence >= ?1 AND sequence < ?2 AND state = 0 ORDER BY sequence LIMIT 1"
        );
        let parameters = [SqlValue::Number(bounds.head), SqlValue::Number(bounds.next)];
        let before = self.sql.sql(&select, &parameters)?;
        let wanted = if before.is_empty() { 2 } else { 1 };
        let rest = self.sql.sql(
            &format!("SELECT {COLUMNS} FROM events WHERE sequence >= ?1 AND state = 0 ORDER BY sequence LIMIT ?2"),
            &[SqlValue::Number(bounds.next), SqlValue::Number(wanted)],
        )?;
        let mut pending = before.into_iter().chain(rest).filter_map(|row| pending(&row));
        let (head, next) = (pending.next(), pending.next());
        match (&head, &next) {
            (Some(head), Some(next)) => (bounds.head, bounds.next) = (head.sequence, next.sequence),
            (Some(head), None) => {
                bounds.head = head.sequence;
                bounds.next = bounds.next.max(head.sequence + 1);
            }
            (None, _) => {}
        }
        Ok((head, next))
    }

    /// Whether no event is pending.
    pub fn is_done(&self) -> Result<bool, PlatformError> {
        Ok(self.pending(&mut self.bounds()?)?.0.is_none())
    }

    /// Stores raised bounds, so that the next invocation need not scan what this one has delivered.
    pub fn store_bounds(&self, bounds: Bounds) -> Result<(), PlatformError> {
        self.change(
            "UPDATE events SET head = ?, next = ? WHERE sequence = ?",
            &[SqlValue::Number(bounds.head), SqlValue::Number(bounds.next), SqlValue::Number(bounds.last)],
        )
    }

    /// The content of an event; `None` if it was erased.
    pub fn body(&self, sequence: u64) -> Result<Option<String>, PlatformError> {
        let rows = self.sql.sql("SELECT body FROM events WHERE sequence = ?", &[SqlValue::Number(sequence)])?;
        Ok(rows.first().and_then(|row| text(row, 0)))
    }

    /// Notes that an event was delivered. Its content is erased now, or at `erase_at`.
    pub fn deliver(&self, sequence: u64, answer: &str, now: u64, erase_at: Option<u64>) -> Result<(), PlatformError> {
        let (state, sequence) = (SqlValue::Number(DELIVERED), SqlValue::Number(sequence));
        let (answer, now) = (SqlValue::Text(answer), SqlValue::Number(now));
        match erase_at {
            None => self.change(
                "UPDATE events SET state = ?, attempts = attempts + 1, answer = ?, done_at = ?, redeliver = NULL, \
                 body = NULL WHERE sequence = ?",
                &[state, answer, now, sequence],
            ),
            Some(at) => self.change(
                "UPDATE events SET state = ?, attempts = attempts + 1, answer = ?, done_at = ?, redeliver = NULL, \
                 erase_at = ? WHERE sequence = ?",
                &[state, answer, now, SqlValue::Number(at), sequence],
            ),
        }
    }

    /// Notes a failed attempt.
    pub fn fail(&self, event: &Pending, answer: &str, now: u64) -> Result<(), PlatformError> {
        self.change(
            "UPDATE events SET attempts = attempts + 1, answer = ?, failed_at = ?, attempted_at = ?, pause = ?, next_at = ? \
             WHERE sequence = ?",
            &[
                SqlValue::Text(answer),
                SqlValue::Number(event.failed_at.unwrap_or(now)),
                SqlValue::Number(now),
                SqlValue::Number(event.pause),
                SqlValue::Number(event.next_at),
                SqlValue::Number(event.sequence),
            ],
        )
    }

    /// Lets an event wait as long as the one before it had to.
    pub fn hold_back(&self, sequence: u64, pause: u64, next_at: u64) -> Result<(), PlatformError> {
        self.change(
            "UPDATE events SET pause = ?, next_at = ? WHERE sequence = ?",
            &[SqlValue::Number(pause), SqlValue::Number(next_at), SqlValue::Number(sequence)],
        )
    }

    /// Parks the pending events that were received before a time. Their content is erased at `erase_at`. Returns how many.
    pub fn park(
        &self,
        bounds: Bounds,
        received_before: u64,
        now: u64,
        erase_at: u64,
    ) -> Result<Vec<Pending>, PlatformError> {
        let statement = format!(
            "UPDATE events SET state = ?1, done_at = ?2, erase_at = ?3 \
             WHERE state = 0 AND received_at <= ?4 AND sequence >= ?5 RETURNING {COLUMNS}"
        );
        let rows = self.sql.sql(
            &statement,
            &[
                SqlValue::Number(PARKED),
                SqlValue::Number(now),
                SqlValue::Number(erase_at),
                SqlValue::Number(received_before),
                SqlValue::Number(bounds.head),
            ],
        )?;
        Ok(rows.iter().filter_map(pending).collect())
    }

    /// Erases the contents that are due, and forgets events that were delivered or erased long ago.
    pub fn tidy(&self, now: u64) -> Result<(), PlatformError> {
        let erase = "UPDATE events SET body = NULL, erase_at = NULL, redeliver = NULL WHERE erase_at <= ?";
        self.change(erase, &[SqlValue::Number(now)])?;
        let oldest = self.sql.sql("SELECT done_at FROM events ORDER BY sequence LIMIT 1", &[])?;
        let forgotten_before = now.saturating_sub(REMEMBERED);
        if oldest.first().and_then(|row| number(row, 0)).is_none_or(|done_at| done_at >= forgotten_before) {
            return Ok(());
        }
        self.change(
            "DELETE FROM events WHERE sequence IN (SELECT sequence FROM \
             (SELECT sequence, state, body IS NULL AS is_erased, done_at FROM events ORDER BY sequence LIMIT ?1) \
             WHERE state <> ?2 AND is_erased AND done_at < ?3) AND sequence < (SELECT max(sequence) FROM events)",
            &[SqlValue::Number(PRUNED_AT_ONCE), SqlValue::Number(PENDING), SqlValue::Number(forgotten_before)],
        )
    }

    /// When the object must erase the next content.
    pub fn next_erasure(&self) -> Result<Option<u64>, PlatformError> {
        let rows = self.sql.sql("SELECT min(erase_at) FROM events WHERE erase_at IS NOT NULL", &[])?;
        Ok(rows.first().and_then(|row| number(row, 0)))
    }
}

/// Reads [`COLUMNS`].
pub fn pending(row: &Row) -> Option<Pending> {
    Some(Pending {
        sequence: number(row, 0)?,
        id: text(row, 1)?,
        event_type: text(row, 2)?,
        received_at: number(row, 3)?,
        attempts: number(row, 4)?,
        failed_at: number(row, 5),
        attempted_at: number(row, 6)?,
        pause: number(row, 7)?,
        next_at: number(row, 8)?,
    })
}

/// A number of a row.
pub fn number(row: &Row, at: usize) -> Option<u64> {
    match row.get(at)? {
        SqlValue::Number(number) => Some(*number),
        _ => None,
    }
}

/// A text of a row.
pub fn text(row: &Row, at: usize) -> Option<String> {
    match row.get(at)? {
        SqlValue::Owned(text) => Some(text.clone()),
        _ => None,
    }
}
