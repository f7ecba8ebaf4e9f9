//! Statistics: installs, removals and deliveries by day, in the app's object.

use serde::{Deserialize, Serialize};

use super::about::About;
use super::event::rfc3339;
use super::{Installation, ObjectPorts};
use crate::runtime::PlatformError;
use crate::values::Timestamp;

const SECONDS: u64 = 86_400;

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
}

/// A request for the latest days.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct DaysRequest {
    /// How many.
    pub count: u16,
    /// The time of the Worker that asks.
    pub now: Timestamp,
}

impl<P: ObjectPorts> Installation<'_, P> {
    /// The days that the app's object has counted, the oldest first.
    pub fn days(&self, request: DaysRequest) -> Result<Vec<Day>, PlatformError> {
        let counted = About::open(self.ports)?.days()?;
        let days = (0..u64::from(request.count)).rev();
        let days = days.map(|back| Day::of(Timestamp(request.now.0.saturating_sub(back * SECONDS))));
        Ok(days.map(|day| counted.iter().find(|known| known.date == day.date).cloned().unwrap_or(day)).collect())
    }
}
