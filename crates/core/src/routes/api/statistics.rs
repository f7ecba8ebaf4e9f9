//! `GET /v1/statistics`: installs, removals and deliveries by day.

use http::StatusCode;

use super::events::require_objects;
use crate::instances;
use crate::web::{Call, Error, Outcome, Platform, Reply};

/// How many days can be asked for.
pub const DAYS_LIMIT: std::ops::RangeInclusive<u16> = 1..=90;
/// How many days are returned by default.
pub const DAYS_DEFAULT: u16 = 30;

/// The latest days, by UTC, the oldest first.
#[cfg(test)]
#[derive(serde::Serialize, schemars::JsonSchema)]
pub struct Statistics {
    /// Each day of the range, and the present one as the last.
    days: Vec<Day>,
}

/// What happened on one day.
#[cfg(test)]
#[derive(serde::Serialize, schemars::JsonSchema)]
pub struct Day {
    /// The date, by UTC.
    date: String,
    /// How many sites installed the app.
    installs: u64,
    /// How many removed it.
    removals: u64,
    /// How many events the app's back end accepted.
    delivered: u64,
    /// How many events were parked.
    parked: u64,
}

/// `GET /v1/statistics?days=`
pub async fn statistics<P: Platform>(call: Call<'_, P>) -> Result<Outcome<P>, Error> {
    let count = call.request.number("days", DAYS_LIMIT, "it must be a whole number from 1 to 90")?;
    require_objects(&call.cx.settings.events)?;
    let days = instances::statistics(&call.cx, count.unwrap_or(DAYS_DEFAULT)).await?;
    Ok(Reply::serialised_json(StatusCode::OK, format!(r#"{{"days":{days}}}"#)).into())
}
