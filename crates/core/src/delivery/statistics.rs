//! Statistics: installs, removals and deliveries by day, which the app's object counts.
//!
//! The object of an installation reports an install or a removal at once, and repeats the report until it is confirmed: a
//! report has an id, so that it counts once. Deliveries are not counted one by one, since each count would be a written row.
//! The rows of the events tell what was delivered since a time, and the object reports the sums at most once an hour. Sums
//! have no id before they fail: if only the answer to the first report is lost, they count twice.
//!
//! A report is a line `id date installs removals delivered parked`, with `-` in place of an id that it does not have. An id
//! begins with the time, so that old ones are found by their order. Dates are by UTC.

use super::about::{About, MAINTENANCE};
use super::change::Change;
use super::event::rfc3339;
use super::maintenance::Maintenance;
use super::queue::{DELIVERED, PARKED, Queue, number, text};
use super::{AcceptError, Installation, MessageError, ObjectPorts, Sql, SqlValue};
use crate::facts::{Fact, Instance};
use crate::runtime::PlatformError;
use crate::values::{Timestamp, json};

const DAY_SECONDS: u64 = 86_400;
/// How many days the app's object keeps.
const KEPT: u64 = 90;
/// For how many days it remembers the id of a report.
const REPEATED: u64 = 7;
/// How old the oldest delivery must be that was not reported, and after how long a report that failed is repeated, in seconds.
const REPORT_EVERY: u64 = 3_600;

const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS days (date TEXT PRIMARY KEY, installs, removals, delivered, parked) \
                      WITHOUT ROWID";

impl<P: Sql> Queue<'_, P> {
    /// What the object notes, and when the first event that is not reported was delivered or parked, in Unix milliseconds.
    fn unreported(&self) -> Result<(Maintenance, Option<u64>), PlatformError> {
        let rows = self.sql.sql(
            "WITH noted AS (SELECT (SELECT value FROM about WHERE name = ?) AS value) \
             SELECT value, (SELECT done_at FROM events WHERE sequence >= coalesce(value ->> 'reported_from', 0) \
             AND done_at IS NOT NULL ORDER BY sequence LIMIT 1) AS done_at FROM noted",
            &[SqlValue::Text(MAINTENANCE)],
        )?;
        let Some(row) = rows.first() else { return Ok((Maintenance::default(), None)) };
        let noted = text(row, 0).and_then(|noted| json::parse(&noted).ok());
        Ok((noted.unwrap_or_default(), number(row, 1)))
    }

    /// Reports of what was delivered and parked since a time. What happens in the millisecond of `until` comes later.
    fn sums(&self, from: u64, since: u64, until: u64) -> Result<String, PlatformError> {
        let rows = self.sql.sql(
            "SELECT '- ' || date(done_at / 1000, 'unixepoch') || ' 0 0 ' || sum(state = ?) || ' ' || sum(state = ?) \
             FROM events WHERE sequence >= ? AND done_at >= ? AND done_at < ? GROUP BY done_at / 86400000",
            &[
                SqlValue::Number(DELIVERED),
                SqlValue::Number(PARKED),
                SqlValue::Number(from),
                SqlValue::Number(since),
                SqlValue::Number(until),
            ],
        )?;
        let mut lines = String::new();
        for row in &rows {
            lines.push_str(&text(row, 0).unwrap_or_default());
            lines.push('\n');
        }
        Ok(lines)
    }

    /// The first event that is still to be delivered, or was at this time or later.
    fn first_open(&self, from: u64, until: u64) -> Result<u64, PlatformError> {
        let rows = self.sql.sql(
            "SELECT coalesce((SELECT sequence FROM events WHERE sequence >= ? AND (done_at IS NULL OR done_at >= ?) \
             ORDER BY sequence LIMIT 1), (SELECT max(sequence) + 1 FROM events))",
            &[SqlValue::Number(from), SqlValue::Number(until)],
        )?;
        Ok(rows.first().and_then(|row| number(row, 0)).unwrap_or(from))
    }
}

impl<P: ObjectPorts> Installation<'_, P> {
    /// The report of these changes; `None` if none of them counts. A change counts on the day of the fact that decided it.
    pub(super) fn report_of(
        &self,
        changes: &[Change],
        instance: &Instance,
        facts: &[Fact],
    ) -> Result<Option<String>, PlatformError> {
        for change in changes {
            let counts = match change {
                Change::Installed => "1 0 0 0",
                Change::Removed => "0 1 0 0",
                Change::NeedsReconnect | Change::Reconnected | Change::PlanChanged => continue,
            };
            let now = self.time();
            let at = change.at(instance, facts).map_or(now, |at| at.min(now));
            return Ok(Some(format!("{} {} {counts}\n", self.report_id()?, date(at))));
        }
        Ok(None)
    }

    fn report_id(&self) -> Result<String, PlatformError> {
        Ok(format!("{:012}{}", self.time().0, base16ct::lower::encode_string(&self.token()?)))
    }

    /// Stores a report that the object sends at once.
    pub(super) fn add_report(&self, about: &About<'_, P>, report: &str) -> Result<(), PlatformError> {
        let mut noted = about.maintenance()?.unwrap_or_default();
        noted.reports.push_str(report);
        noted.report_at = Some(self.time());
        about.set_maintenance(&noted)
    }

    /// Lets a delivered event that was redelivered be counted.
    pub(super) fn recount(&self, sequence: u64) -> Result<(), PlatformError> {
        let about = About::open(self.ports)?;
        match about.maintenance()? {
            Some(mut noted) if noted.reported_from > sequence => {
                noted.reported_from = sequence;
                about.set_maintenance(&noted)
            }
            _ => Ok(()),
        }
    }

    /// Takes the reports that are due. Sums that are taken are not taken again.
    pub fn take_reports(&self) -> Result<Option<String>, PlatformError> {
        let (now, queue) = (self.now(), Queue::open(self.ports)?);
        let (mut noted, first_done) = queue.unreported()?;
        if let Some(at) = noted.report_at {
            return Ok((at <= self.time()).then_some(noted.reports));
        }
        let latest = now.saturating_sub(REPORT_EVERY * 1000);
        let (from, since) = (noted.reported_from, noted.reported_until);
        if since > latest || first_done.is_none_or(|at| at > latest) {
            return Ok(None);
        }
        let sums = queue.sums(from, since, now)?;
        if sums.is_empty() {
            return Ok(None);
        }
        noted.reported_from = queue.first_open(from, now)?;
        noted.reported_until = now;
        About::open(self.ports)?.set_maintenance(&noted)?;
        Ok(Some(sums))
    }

    /// Notes whether reports were counted. If they were not, they are repeated by the alarm.
    pub async fn note_reported(&self, sent: &str, is_counted: bool) -> Result<(), PlatformError> {
        let alarm = self.ports.alarm().await?;
        // Nothing is awaited from here on.
        let about = About::open(self.ports)?;
        // An object that was erased meanwhile stays empty.
        let Some(mut noted) = about.maintenance()? else { return Ok(()) };
        if is_counted {
            // Others may have been added, or another run has sent the same.
            let Some(rest) = noted.reports.strip_prefix(sent) else { return Ok(()) };
            noted.reports = rest.to_owned();
            noted.report_at = noted.report_at.filter(|_| !noted.reports.is_empty());
            return about.set_maintenance(&noted);
        }
        if sent.starts_with('-') {
            let id = self.report_id()?;
            for line in sent.lines() {
                let counts = line.strip_prefix('-').unwrap_or(line);
                noted.reports.push_str(&[id.as_str(), counts, "\n"].concat());
            }
        }
        noted.report_at = Some(self.time().plus(REPORT_EVERY));
        about.set_maintenance(&noted)?;
        self.guard(alarm, self.wake()?)
    }

    /// Whether this is the app's object, which counts its own reports.
    pub fn is_app(&self) -> Result<bool, PlatformError> {
        Ok(About::open(self.ports)?.name()?.is_some_and(|name| name == self.app_id.as_str()))
    }

    /// The app's object counts reports, each with an id once.
    pub fn count_reports(&self, lines: &str) -> Result<(), AcceptError> {
        let about = About::open(self.ports)?;
        about.learn_name(self.app_id.as_str())?;
        self.ports.sql(SCHEMA, &[])?;
        let mut is_valid = true;
        self.ports.transaction(&mut || {
            for line in lines.lines() {
                let parts: Vec<&str> = line.split(' ').collect();
                let &[id, date, ..] = &parts[..] else { continue };
                is_valid &= parts.len() == 6;
                if !is_valid || (id != "-" && !about.count_once(&[id, date].concat())?) {
                    continue;
                }
                let values: Vec<SqlValue<'_>> = parts.iter().skip(1).map(|part| SqlValue::Text(part)).collect();
                self.ports.sql(
                    "INSERT INTO days VALUES (?, ? + 0, ? + 0, ? + 0, ? + 0) ON CONFLICT (date) DO UPDATE SET \
                     installs = installs + excluded.installs, removals = removals + excluded.removals, \
                     delivered = delivered + excluded.delivered, parked = parked + excluded.parked",
                    &values,
                )?;
            }
            let before = |days| Timestamp(self.time().0.saturating_sub(days * DAY_SECONDS));
            self.ports.sql("DELETE FROM days WHERE date <= ?", &[SqlValue::Text(&date(before(KEPT)))])?;
            about.forget_reports(before(REPEATED))
        })?;
        if is_valid { Ok(()) } else { Err(MessageError.into()) }
    }

    /// The latest days that the app's object has counted, as JSON. The message is their number and the time.
    pub fn days(&self, message: &str) -> Result<String, AcceptError> {
        let parse = |text: &str| text.parse().ok().map(SqlValue::Number);
        let (count, now) = message.split_once(' ').ok_or(MessageError)?;
        let (Some(count), Some(now)) = (parse(count), parse(now)) else { return Err(MessageError.into()) };
        self.ports.sql(SCHEMA, &[])?;
        let rows = self.ports.sql(
            "WITH RECURSIVE range (date) AS (VALUES (date(?1, 'unixepoch', '-' || (?2 - 1) || ' days')) \
             UNION ALL SELECT date(date, '+1 day') FROM range WHERE date < date(?1, 'unixepoch')) \
             SELECT json_group_array(json_object('date', date, 'installs', coalesce(installs, 0), \
             'removals', coalesce(removals, 0), 'delivered', coalesce(delivered, 0), 'parked', coalesce(parked, 0))) \
             FROM range LEFT JOIN days USING (date)",
            &[now, count],
        )?;
        Ok(rows.first().and_then(|row| text(row, 0)).unwrap_or_default())
    }
}

/// The day of a time.
fn date(time: Timestamp) -> String {
    rfc3339(time).split('T').next().unwrap_or_default().to_owned()
}
