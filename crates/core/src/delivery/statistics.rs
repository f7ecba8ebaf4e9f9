//! Statistics: installs, removals and deliveries by day, which the app's object counts.
//!
//! The object of an installation reports an install or a removal at once, and repeats the report until it is confirmed: a
//! report has an id, so that it counts once. Deliveries are not counted one by one, since each count would be a written row.
//! The rows of the events tell what was delivered since a time, and the object reports the sums at most once an hour. A
//! report of sums has no id: if only its answer is lost, it counts twice.

use serde::{Deserialize, Serialize};

use super::about::About;
use super::change::Change;
use super::event::rfc3339;
use super::maintenance::Maintenance;
use super::queue::{DELIVERED, PARKED, Queue, number};
use super::{AcceptError, Installation, MessageError, ObjectPorts, Sql, SqlValue};
use crate::facts::{Fact, Instance};
use crate::runtime::PlatformError;
use crate::values::{Timestamp, hex};

const DAY_SECONDS: u64 = 86_400;
/// How many days the app's object keeps.
const KEPT: u64 = 90;
/// For how many days it remembers the id of a report.
const REPEATED: u64 = 7;
/// How old the oldest delivery must be that was not reported, and after how long a report that failed is repeated, in seconds.
const REPORT_EVERY: u64 = 3_600;

/// What happened on one day.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Day {
    /// The date, by UTC.
    pub date: String,
    /// How many sites installed the app.
    #[serde(default)]
    pub installs: u64,
    /// How many removed it.
    #[serde(default)]
    pub removals: u64,
    /// How many events the app's back end accepted.
    #[serde(default)]
    pub delivered: u64,
    /// How many events were parked.
    #[serde(default)]
    pub parked: u64,
}

impl Day {
    /// The day of a time, on which nothing has happened.
    #[must_use]
    pub fn of(time: Timestamp) -> Self {
        Self { date: rfc3339(time).chars().take(10).collect(), ..Self::default() }
    }

    /// The same, so many days earlier.
    fn before(now: Timestamp, days: u64) -> Self {
        Self::of(Timestamp(now.0.saturating_sub(days * DAY_SECONDS)))
    }

    fn add(&mut self, other: &Self) {
        self.installs += other.installs;
        self.removals += other.removals;
        self.delivered += other.delivered;
        self.parked += other.parked;
    }
}

/// A request for the latest days.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct DaysRequest {
    /// How many.
    pub count: u16,
    /// The time of the Worker that asks.
    pub now: Timestamp,
}

/// What the app's object shall count.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// If the report may come again. It begins with the time in seconds, so that old ones are found by their order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    days: Vec<Day>,
}

/// What the object of an installation notes of its reports.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reporting {
    /// The reports that the app's object has not confirmed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    open: Vec<Report>,
    /// When they are repeated, if they failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retry_at: Option<Timestamp>,
    /// What was delivered or parked before this time is reported, in Unix milliseconds.
    #[serde(default)]
    until: u64,
    /// Events before this sequence number need not be looked at.
    #[serde(default)]
    from: u64,
}

impl Reporting {
    /// When the next report is due, if the object must wake up for it.
    pub fn next(&self) -> Option<Timestamp> {
        self.retry_at.or_else(|| (!self.open.is_empty()).then_some(Timestamp(0)))
    }

    /// Whether there is nothing to note.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Reports that are about to be sent.
pub struct Unreported {
    reports: Vec<Report>,
    /// Whether the object is the app's, so that it counts them itself.
    is_own: bool,
}

impl Unreported {
    /// The text for the app's object; `None` if this is the app's object.
    #[must_use]
    pub fn to_message(&self) -> Option<String> {
        if self.is_own { None } else { serde_json::to_string(&self.reports).ok() }
    }
}

impl<P: Sql> Queue<'_, P> {
    /// When the first event from a sequence number on was delivered or parked, in Unix milliseconds.
    fn first_done(&self, from: u64) -> Result<Option<u64>, PlatformError> {
        let statement =
            "SELECT done_at FROM events WHERE sequence >= ? AND done_at IS NOT NULL ORDER BY sequence LIMIT 1";
        let rows = self.sql.sql(statement, &[SqlValue::Number(from)])?;
        Ok(rows.first().and_then(|row| number(row, 0)))
    }

    /// What was delivered and parked since a time, by day. What happens in the millisecond of `until` comes later.
    fn done(&self, from: u64, since: u64, until: u64) -> Result<Vec<Day>, PlatformError> {
        let rows = self.sql.sql(
            "SELECT done_at / 86400000, sum(state = ?), sum(state = ?) FROM events \
             WHERE sequence >= ? AND done_at >= ? AND done_at < ? GROUP BY 1",
            &[
                SqlValue::Number(DELIVERED),
                SqlValue::Number(PARKED),
                SqlValue::Number(from),
                SqlValue::Number(since),
                SqlValue::Number(until),
            ],
        )?;
        let day = |row| {
            let [day, delivered, parked] = [number(row, 0)?, number(row, 1)?, number(row, 2)?];
            Some(Day { delivered, parked, ..Day::of(Timestamp(day * DAY_SECONDS)) })
        };
        Ok(rows.iter().filter_map(day).collect())
    }

    /// The first event that is still to be delivered, or was at this time or later.
    fn first_open(&self, from: u64, until: u64) -> Result<u64, PlatformError> {
        let rows = self.sql.sql(
            "SELECT sequence FROM events WHERE sequence >= ? AND (done_at IS NULL OR done_at >= ?) \
             ORDER BY sequence LIMIT 1",
            &[SqlValue::Number(from), SqlValue::Number(until)],
        )?;
        match rows.first().and_then(|row| number(row, 0)) {
            Some(sequence) => Ok(sequence),
            None => Ok(self.bounds()?.last + 1),
        }
    }
}

impl<P: ObjectPorts> Installation<'_, P> {
    /// The report of these changes; `None` if none of them counts. A change counts on the day of the fact that decided it.
    pub(super) fn report_of(
        &self,
        changes: &[Change],
        instance: &Instance,
        facts: &[Fact],
    ) -> Result<Option<Report>, PlatformError> {
        let mut days = Vec::new();
        for change in changes {
            let at = change.at(instance, facts).map_or(self.time(), |at| at.min(self.time()));
            match change {
                Change::Installed => days.push(Day { installs: 1, ..Day::of(at) }),
                Change::Removed => days.push(Day { removals: 1, ..Day::of(at) }),
                Change::NeedsReconnect | Change::Reconnected | Change::PlanChanged => {}
            }
        }
        if days.is_empty() { Ok(None) } else { Ok(Some(Report { id: Some(self.report_id()?), days })) }
    }

    fn report_id(&self) -> Result<String, PlatformError> {
        Ok(format!("{:012}{}", self.time().0, hex(&self.token()?)))
    }

    /// Notes a report that is to be sent.
    pub(super) fn open_report(about: &About<'_, P>, report: &Report) -> Result<(), PlatformError> {
        Self::change_reporting(about, |reporting| reporting.open.push(report.clone()))
    }

    fn change_reporting(about: &About<'_, P>, change: impl FnOnce(&mut Reporting)) -> Result<(), PlatformError> {
        let mut noted = about.maintenance()?.unwrap_or_default();
        let before = noted.reporting.clone();
        change(&mut noted.reporting);
        if noted.reporting == before { Ok(()) } else { about.set_maintenance(&noted) }
    }

    /// Lets a delivered event that was redelivered be counted.
    pub(super) fn recount(&self, sequence: u64) -> Result<(), PlatformError> {
        let about = About::open(self.ports)?;
        Self::change_reporting(&about, |reporting| reporting.from = reporting.from.min(sequence))
    }

    /// Takes what the app's object shall count now. The sums that are taken are not taken again.
    pub fn take_unreported(&self) -> Result<Option<Unreported>, PlatformError> {
        let about = About::open(self.ports)?;
        let Maintenance { reporting, .. } = about.maintenance()?.unwrap_or_default();
        let now = self.now();
        if reporting.retry_at.is_some_and(|at| at > self.time()) {
            return Ok(None);
        }
        let mut reports = reporting.open;
        let latest = now.saturating_sub(REPORT_EVERY * 1000);
        let queue = Queue::open(self.ports)?;
        if reporting.until <= latest && queue.first_done(reporting.from)?.is_some_and(|at| at <= latest) {
            let days = queue.done(reporting.from, reporting.until, now)?;
            if !days.is_empty() {
                let from = queue.first_open(reporting.from, now)?;
                Self::change_reporting(&about, |reporting| (reporting.from, reporting.until) = (from, now))?;
                reports.push(Report { id: None, days });
            }
        }
        if reports.is_empty() {
            return Ok(None);
        }
        let is_own = about.name()?.is_some_and(|name| name == self.app_id.as_str());
        Ok(Some(Unreported { reports, is_own }))
    }

    /// Counts the reports if this is the app's object.
    pub fn count_own(&self, sent: &Unreported) -> Result<(), PlatformError> {
        self.count_all(&sent.reports)
    }

    /// Notes whether the reports were counted, and sets the alarm to repeat them if they were not.
    pub async fn note_reported(&self, sent: &Unreported, is_counted: bool) -> Result<(), PlatformError> {
        let about = About::open(self.ports)?;
        if is_counted {
            return Self::change_reporting(&about, |reporting| {
                reporting.open.retain(|report| !sent.reports.contains(report));
                reporting.retry_at = None;
            });
        }
        let alarm = self.ports.alarm().await?;
        // Nothing is awaited from here on. An object that was erased meanwhile stays empty.
        if about.name()?.is_none() {
            return Ok(());
        }
        let retry_at = Some(self.time().plus(REPORT_EVERY));
        let sums = sent.reports.iter().find(|report| report.id.is_none());
        let sums = sums
            .map(|sums| Ok::<_, PlatformError>(Report { id: Some(self.report_id()?), days: sums.days.clone() }))
            .transpose()?;
        Self::change_reporting(&about, |reporting| {
            reporting.open.extend(sums);
            reporting.retry_at = retry_at;
        })?;
        self.guard(&Queue::open(self.ports)?, alarm, self.now())
    }

    /// The app's object counts reports, each with an id once.
    pub fn count_days(&self, message: &str) -> Result<(), AcceptError> {
        let reports: Vec<Report> = serde_json::from_str(message).map_err(|_| MessageError)?;
        Ok(self.count_all(&reports)?)
    }

    fn count_all(&self, reports: &[Report]) -> Result<(), PlatformError> {
        let about = About::open(self.ports)?;
        about.learn_name(self.app_id.as_str())?;
        let now = self.time();
        let oldest = Day::before(now, KEPT).date;
        self.ports.transaction(&mut || {
            for report in reports {
                if let Some(id) = &report.id
                    && !about.count_once(id)?
                {
                    continue;
                }
                for day in report.days.iter().filter(|day| day.date > oldest) {
                    let mut sum =
                        about.day(&day.date)?.unwrap_or_else(|| Day { date: day.date.clone(), ..Day::default() });
                    sum.add(day);
                    about.set_day(&sum)?;
                }
            }
            about.forget_days(&oldest, Timestamp(now.0.saturating_sub(REPEATED * DAY_SECONDS)))
        })
    }

    /// The days that the app's object has counted, the oldest first.
    pub fn days(&self, request: DaysRequest) -> Result<Vec<Day>, PlatformError> {
        let counted = About::open(self.ports)?.days()?;
        let days = (0..u64::from(request.count)).rev().map(|back| Day::before(request.now, back));
        Ok(days.map(|day| counted.iter().find(|known| known.date == day.date).cloned().unwrap_or(day)).collect())
    }
}
