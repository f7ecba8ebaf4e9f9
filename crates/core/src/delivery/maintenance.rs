//! What the object does beside the delivery of events: it compares its installation with Wix every `RECHECK_HOURS`, at a time
//! of its own, and it ends some time after the installation was deleted.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::about::{About, Known};
use super::queue::{Queue, REMEMBERED};
use super::{Installation, ObjectPorts};
use crate::facts::{Name, latest};
use crate::runtime::PlatformError;
use crate::store::{RECHECK_AFTER, Reconciliation, Repaired};
use crate::values::{InstanceId, Timestamp};

/// After how long a comparison that failed is repeated, in seconds.
const RETRY_AFTER: u64 = 3_600;

/// What the object notes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Maintenance {
    /// When the installation was compared last, or when the object began.
    compared_at: Timestamp,
    /// When a comparison that failed is repeated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retry_at: Option<Timestamp>,
    /// When Wix said last what the site has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checked_at: Option<Timestamp>,
    /// When a comparison last corrected something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub corrected_at: Option<Timestamp>,
    /// What it corrected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub corrected: Option<Repaired>,
    /// What was corrected, and not counted by the app's object yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    uncounted: Option<Repaired>,
    /// When the object of a deleted installation ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ends_at: Option<Timestamp>,
    /// The reports for the statistics that the app's object has not confirmed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reports: String,
    /// When they are sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report_at: Option<Timestamp>,
    /// What was delivered or parked before this time is reported, in Unix milliseconds.
    #[serde(default)]
    pub reported_until: u64,
    /// Events before this sequence number are reported.
    #[serde(default)]
    pub reported_from: u64,
}

/// How a comparison ended.
pub enum Comparison {
    /// Wix could not be asked.
    Failed,
    /// The record agrees with Wix.
    Done {
        /// Whether Wix has said what the site has.
        is_checked: bool,
        /// What was corrected.
        repaired: Repaired,
    },
}

impl<P: ObjectPorts> Installation<'_, P> {
    /// Stores the object's own name, and that it begins now, unless it is known.
    pub(super) fn begin(&self, about: &About<'_, P>, name: &str) -> Result<Known, PlatformError> {
        let mut known = about.known()?;
        if known.name.is_none() {
            about.set_name(name)?;
            known.name = Some(name.to_owned());
            if self.installation(name).is_some() && self.settings.recheck_seconds.is_some() {
                let begun = Maintenance { compared_at: self.time(), ..Maintenance::default() };
                about.set_maintenance(&begun)?;
                known.maintenance = Some(begun);
            }
        }
        Ok(known)
    }

    /// The installation of an object with this name. The app's object has none.
    fn installation(&self, name: &str) -> Option<InstanceId> {
        InstanceId::parse(name).ok().filter(|_| name != self.app_id.as_str())
    }

    /// When the next of these tasks is due, on the Worker's clock. `is_done`: no event is pending.
    pub(super) fn next_task(&self, known: &Known, is_done: bool) -> Option<u64> {
        let name = known.name.as_deref().filter(|name| self.installation(name).is_some())?;
        let noted = known.maintenance.as_ref();
        let ends_at = noted.and_then(|noted| noted.ends_at).filter(|_| is_done);
        let report = noted.and_then(|noted| noted.report_at);
        let at = [self.next_comparison(name, noted), ends_at, report].into_iter().flatten().min();
        at.map(|at| at.0.saturating_mul(1000))
    }

    fn next_comparison(&self, name: &str, noted: Option<&Maintenance>) -> Option<Timestamp> {
        let every = self.settings.recheck_seconds?;
        let Some(noted) = noted else { return Some(Timestamp(0)) };
        Some(noted.retry_at.unwrap_or_else(|| next_slot(name, noted.compared_at, every)))
    }

    /// Returns the installation if its next comparison with Wix is due at `now`.
    pub fn due_comparison(&self, now: Timestamp) -> Result<Option<InstanceId>, PlatformError> {
        let Known { name: Some(name), maintenance } = About::open(self.ports)?.known()? else { return Ok(None) };
        let is_due = self.next_comparison(&name, maintenance.as_ref()).is_some_and(|at| at <= now);
        Ok(self.installation(&name).filter(|_| is_due))
    }

    /// Returns whether the next comparison of the installation with Wix is due at `now`. A new object stores the id that the
    /// Cron Trigger sends, and its first comparison is due at once.
    pub fn is_comparison_due(&self, id: &InstanceId, now: Timestamp) -> Result<bool, PlatformError> {
        let about = About::open(self.ports)?;
        about.learn_name(id.as_str())?;
        Ok(self.due_comparison(now)?.is_some())
    }

    /// Lets the object compare its installation when KV shows all writes everywhere.
    pub async fn compare_soon(&self, id: &InstanceId) -> Result<(), PlatformError> {
        if self.settings.recheck_seconds.is_none() {
            return Ok(());
        }
        let alarm = self.ports.alarm().await?;
        // Nothing is awaited from here on.
        let about = About::open(self.ports)?;
        self.begin(&about, id.as_str())?;
        let noted = about.maintenance()?.unwrap_or_default();
        about.set_maintenance(&Maintenance { retry_at: Some(self.time().plus(RECHECK_AFTER)), ..noted })?;
        self.guard(alarm, self.wake()?)
    }

    /// What earlier comparisons have corrected and the app's object has not counted.
    pub fn uncounted(&self) -> Result<Option<Repaired>, PlatformError> {
        Ok(About::open(self.ports)?.maintenance()?.unwrap_or_default().uncounted)
    }

    /// Notes how a comparison ended, and sets the alarm for the next one.
    pub async fn note_comparison(
        &self,
        ended: &Comparison,
        uncounted: Option<Repaired>,
        now: Timestamp,
    ) -> Result<(), PlatformError> {
        let alarm = self.ports.alarm().await?;
        // Nothing is awaited from here on.
        let about = About::open(self.ports)?;
        let noted = about.maintenance()?.unwrap_or_default();
        let noted = match ended {
            Comparison::Failed => Maintenance { retry_at: Some(now.plus(RETRY_AFTER)), uncounted, ..noted },
            Comparison::Done { is_checked, repaired } => Maintenance {
                compared_at: now,
                retry_at: uncounted.map(|_| now.plus(RETRY_AFTER)),
                checked_at: if *is_checked { Some(now) } else { noted.checked_at },
                corrected_at: if repaired.any() { Some(now) } else { noted.corrected_at },
                corrected: if repaired.any() { Some(*repaired) } else { noted.corrected },
                uncounted,
                ..noted
            },
        };
        about.set_maintenance(&noted)?;
        self.guard(alarm, self.wake()?)
    }

    /// Notes when the object ends, after it was given facts.
    pub(super) fn note_end(&self, about: &About<'_, P>, deleted: Option<Timestamp>) -> Result<(), PlatformError> {
        let ends_at = deleted.map(|at| at.plus(REMEMBERED / 1000));
        let noted = about.maintenance()?;
        if noted.as_ref().and_then(|noted| noted.ends_at) == ends_at {
            return Ok(());
        }
        let noted = noted.unwrap_or_else(|| Maintenance { compared_at: self.time(), ..Maintenance::default() });
        about.set_maintenance(&Maintenance { ends_at, ..noted })
    }

    /// The installation, if it was deleted, no event of it is pending, and Wix sends none again.
    pub fn is_over(&self) -> Result<Option<InstanceId>, PlatformError> {
        let about = About::open(self.ports)?;
        let ends_at = about.maintenance()?.and_then(|noted| noted.ends_at);
        if ends_at.is_none_or(|at| at > self.time()) || !Queue::open(self.ports)?.is_done()? {
            return Ok(None);
        }
        Ok(about.name()?.and_then(|name| self.installation(&name)))
    }

    /// What the object notes, with the time at which Wix said last what the site has.
    pub fn checked(&self) -> Result<Maintenance, PlatformError> {
        let about = About::open(self.ports)?;
        let told = about.told()?.and_then(|told| latest(&told.facts, Name::Billed).map(|fact| fact.at));
        let noted = about.maintenance()?.unwrap_or_default();
        Ok(Maintenance { checked_at: noted.checked_at.max(told), ..noted })
    }

    /// The app's object counts a comparison.
    pub fn count_comparison(&self, repaired: Repaired) -> Result<(), PlatformError> {
        let Some(every) = self.settings.recheck_seconds else { return Ok(()) };
        let about = About::open(self.ports)?;
        about.learn_name(self.app_id.as_str())?;
        let mut figures = about.figures()?;
        figures.count(repaired, every, self.time());
        about.set_figures(&figures)
    }

    /// The figures that the app's object has.
    pub fn figures(&self) -> Result<Reconciliation, PlatformError> {
        let figures = About::open(self.ports)?.figures()?;
        let every = self.settings.recheck_seconds.unwrap_or(u64::MAX);
        Ok(Reconciliation { round: figures.round.within(every, self.time()), ..figures })
    }

    /// Notes that the Cron Trigger runs. Returns how far it has come, as JSON, if the app's object has it.
    pub fn pass(&self, now: &str) -> Result<String, PlatformError> {
        let about = About::open(self.ports)?;
        if let Ok(now) = now.parse() {
            about.learn_name(self.app_id.as_str())?;
            about.set_figures(&Reconciliation { cron_ran_at: Some(Timestamp(now)), ..about.figures()? })?;
        }
        Ok(about.pass()?.unwrap_or_default())
    }

    /// Notes how far the Cron Trigger has come.
    pub fn set_pass(&self, pass: &str) -> Result<(), PlatformError> {
        let about = About::open(self.ports)?;
        about.learn_name(self.app_id.as_str())?;
        about.set_pass(pass)
    }
}

/// The first time after `since` at which the installation is compared. These times are spread by a hash of its id, so that
/// Wix is asked evenly.
fn next_slot(name: &str, since: Timestamp, every: u64) -> Timestamp {
    let hash: [u8; 32] = Sha256::digest(name).into();
    let offset = hash.iter().take(8).fold(0, |number: u64, byte| number << 8 | u64::from(*byte)) % every.max(1);
    let before = since.0 + every - offset;
    Timestamp(before - before % every.max(1) + offset)
}
