//! The rows of an object: one for each event, from its acceptance until its id need not be remembered any more.
//!
//! An event costs four written rows: its row and the entry of its key when it is accepted, the alarm, and the change of
//! its row when it is delivered. An index of the pending events would cost two more. Instead each row has two lower
//! bounds from when it was inserted, `head` and `next`: of the pending events one at most was before `next`, and that one
//! was not before `head`. The bounds of the latest row find the pending events without a scan of the delivered ones. The
//! latest row is never deleted, so that it also counts the events.

use super::schedule::Pending;
use super::{Event, Sql, SqlValue, about, schema};
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
const COLUMNS: [&str; 9] =
    ["sequence", "id", "type", "received_at", "attempts", "failed_at", "attempted_at", "pause", "next_at"];

/// See the module.
pub struct Queue<'a, P> {
    pub(super) sql: &'a P,
}

/// Lower bounds of the pending events: see the module. They hold for good, so that of two the higher one counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bounds {
    head: u64,
    next: u64,
}

/// What there is to do.
#[derive(Debug, Default)]
pub struct Look {
    /// The first pending event.
    pub head: Option<Pending>,
    /// The second one.
    pub next: Option<Pending>,
    /// The event with the lowest sequence number that a caller asked to redeliver.
    pub again: Option<Pending>,
    /// When the object must erase the next content.
    pub erase_at: Option<u64>,
    /// The latest sequence number.
    last: u64,
    /// The bounds of the pending events, raised.
    pub bounds: Bounds,
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
    pub fn add(&self, event: &Event, now: u64, look: &mut Look) -> Result<(), PlatformError> {
        let sequence = look.last + 1;
        let added = Pending {
            sequence,
            id: event.identity.webhook_id(),
            event_type: event.identity.event_type.clone(),
            received_at: now,
            ..Pending::default()
        };
        self.change(
            "INSERT INTO events (sequence, head, next, key, iat, id, type, received_at, body) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            &[
                SqlValue::Number(sequence),
                SqlValue::Number(look.head.as_ref().map_or(sequence, |head| head.sequence)),
                SqlValue::Number(look.next.as_ref().map_or(sequence, |next| next.sequence)),
                SqlValue::Text(&event.identity.key),
                SqlValue::Number(event.identity.iat.0),
                SqlValue::Text(&added.id),
                SqlValue::Text(&added.event_type),
                SqlValue::Number(now),
                SqlValue::Text(&event.body(sequence)),
            ],
        )?;
        look.last = sequence;
        match (&look.head, &look.next) {
            (None, _) => look.head = Some(added),
            (Some(_), None) => look.next = Some(added),
            (Some(_), Some(_)) => {}
        }
        Ok(())
    }

    /// See [`Look`]. By the bounds, the only pending event before `next` is the first one from `head` on.
    pub fn look(&self, known: Bounds) -> Result<Look, PlatformError> {
        let columns_of = |table| COLUMNS.map(|column| format!("{table}.{column}")).join(", ");
        let (again, head, next) = (columns_of("again"), columns_of("head"), columns_of("next"));
        let statement = format!(
            "SELECT latest.sequence, max(latest.head, ?1), max(latest.next, ?2), \
             (SELECT min(erase_at) FROM events WHERE erase_at IS NOT NULL), {again}, {head}, {next} \
             FROM events AS latest \
             LEFT JOIN events AS again ON again.sequence = \
             (SELECT sequence FROM events WHERE redeliver IS NOT NULL ORDER BY sequence LIMIT 1) \
             LEFT JOIN events AS head ON head.sequence = coalesce(\
             (SELECT sequence FROM events AS e WHERE e.sequence >= max(latest.head, ?1) \
             AND e.sequence < max(latest.next, ?2) AND e.state = 0 ORDER BY sequence LIMIT 1), \
             (SELECT sequence FROM events AS e WHERE e.sequence >= max(latest.next, ?2) \
             AND e.state = 0 ORDER BY sequence LIMIT 1)) \
             LEFT JOIN events AS next ON next.sequence = \
             (SELECT sequence FROM events AS e WHERE e.sequence >= max(latest.next, ?2, head.sequence + 1) \
             AND e.state = 0 ORDER BY sequence LIMIT 1) \
             ORDER BY latest.sequence DESC LIMIT 1"
        );
        let rows = self.sql.sql(&statement, &[SqlValue::Number(known.head), SqlValue::Number(known.next)])?;
        let Some(row) = rows.first() else { return Ok(Look { bounds: known, ..Look::default() }) };
        let event = |at| row.get(4 + at * COLUMNS.len()..).and_then(pending);
        let bounds = Bounds { head: number(row, 1).unwrap_or(0), next: number(row, 2).unwrap_or(0) };
        let mut look = Look {
            last: number(row, 0).unwrap_or(0),
            erase_at: number(row, 3),
            again: event(0),
            head: event(1),
            next: event(2),
            bounds,
        };
        if let Some(head) = &look.head {
            let next = look.next.as_ref().map_or(look.bounds.next.max(head.sequence + 1), |next| next.sequence);
            look.bounds = Bounds { head: head.sequence, next };
        }
        Ok(look)
    }

    /// Whether no event is pending.
    pub fn is_done(&self) -> Result<bool, PlatformError> {
        Ok(self.look(Bounds::default())?.head.is_none())
    }

    /// Stores raised bounds, so that the next invocation need not scan what this one has delivered.
    pub fn store_bounds(&self, look: &Look) -> Result<(), PlatformError> {
        let Look { bounds: Bounds { head, next }, last, .. } = look;
        self.change(
            "UPDATE events SET head = ?, next = ? WHERE sequence = ?",
            &[SqlValue::Number(*head), SqlValue::Number(*next), SqlValue::Number(*last)],
        )
    }

    /// The content of an event, unless it was erased, and the object's own name.
    pub fn content(&self, sequence: u64) -> Result<(Option<String>, Option<String>), PlatformError> {
        let statement = "SELECT body, (SELECT value FROM about WHERE name = ?) FROM events WHERE sequence = ?";
        let mut rows = self.sql.sql(statement, &[SqlValue::Text(about::NAME), SqlValue::Number(sequence)])?.into_iter();
        let mut row = rows.next().into_iter().flatten().map(SqlValue::into_text);
        Ok((row.next().flatten(), row.next().flatten()))
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
        let columns = COLUMNS.join(", ");
        let statement = format!(
            "UPDATE events SET state = ?1, done_at = ?2, erase_at = ?3 \
             WHERE state = 0 AND received_at <= ?4 AND sequence >= ?5 RETURNING {columns}"
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
        Ok(rows.iter().filter_map(|row| pending(row)).collect())
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
}

/// Reads [`COLUMNS`].
fn pending(row: &[SqlValue<'static>]) -> Option<Pending> {
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
pub fn number(row: &[SqlValue<'static>], at: usize) -> Option<u64> {
    match row.get(at)? {
        SqlValue::Number(number) => Some(*number),
        _ => None,
    }
}

/// A text of a row.
pub fn text(row: &[SqlValue<'static>], at: usize) -> Option<String> {
    match row.get(at)? {
        SqlValue::Owned(text) => Some(text.clone()),
        _ => None,
    }
}
