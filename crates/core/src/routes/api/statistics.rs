//! `GET /v1/statistics`: installs, removals and deliveries by day.

use http::StatusCode;
use serde::Serialize;

use super::events::require_objects;
use crate::delivery::Day;
use crate::instances;
use crate::web::{Call, Error, Outcome, Platform, Reply};

/// How many days can be asked for.
pub const DAYS_LIMIT: std::ops::RangeInclusive<u16> = 1..=90;
/// How many days are returned by default.
pub const DAYS_DEFAULT: u16 = 30;

/// The latest days, by UTC, the oldest first.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Statistics {
    /// Each day of the range, and the present one as the last.
    days: Vec<Day>,
}

/// `GET /v1/statistics?days=`
pub async fn statistics<P: Platform>(call: Call<'_, P>) -> Result<Outcome<P>, Error> {
    let count = call.request.number("days", DAYS_LIMIT, "it must be a whole number from 1 to 90")?;
    require_objects(&call.cx.settings.events)?;
    let days = instances::statistics(&call.cx, count.unwrap_or(DAYS_DEFAULT)).await?;
    Ok(Reply::json(StatusCode::OK, &Statistics { days }).into())
}
