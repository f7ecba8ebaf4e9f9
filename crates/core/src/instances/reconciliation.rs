//! The reconciliation of all installations with Wix, every `RECHECK_HOURS`.
//!
//! Where objects are bound, each object compares its installation by its own alarm, and the app's object counts. The Cron
//! Trigger only asks the objects one after the other whether they are overdue, which also creates those that are missing.
//! Without objects the Cron Trigger compares.
//!
//! Each run of the Cron Trigger is noted in the app's object. KV allows 1,000 writes a day on the free plan, so that without
//! objects a run that stores nothing else notes its time once an hour.

use futures::{StreamExt as _, stream};

use super::compare::compare;
use super::events::deadline;
use super::{Context, InstanceError, Ports};
use crate::delivery::{CompareRequest, Maintenance, ObjectCallError, command, requests};
use crate::store::{Pass, Progress, Reconciliation, Repaired, StoreError, TIMEOUT_MILLIS};
use crate::values::{InstanceId, Timestamp, json};
use crate::wix::DEADLINE_MILLIS;

/// How many objects one run of the Cron Trigger asks. The free plan allows 50 subrequests.
const OBJECTS: u16 = 40;
/// How many installations it compares itself: each takes two calls to Wix, or more if Wix refuses or fails.
const COMPARED: u16 = 12;
/// How many of either run at a time.
const AT_ONCE: usize = 4;
/// How much longer than Wix's deadline an object may take, in milliseconds.
const OBJECT_MARGIN: u64 = 10_000;

/// How often a run is noted in KV, in seconds.
const NOTED_EVERY: u64 = 3_600;
/// How much later than expected the next run may be noted, in seconds. The Cron Trigger runs every five minutes.
const TOLERANCE: u64 = 900;

/// By when the Cron Trigger must have noted another run after this one.
pub fn next_run_by<P: Ports>(cx: &Context<'_, P>, ran_at: Timestamp) -> Timestamp {
    ran_at.plus(TOLERANCE + if cx.settings.events.is_bound { 0 } else { NOTED_EVERY })
}

/// The figures.
pub async fn reconciliation<P: Ports>(cx: &Context<'_, P>) -> Result<Reconciliation, InstanceError> {
    if !cx.settings.events.is_bound {
        return Ok(cx.store().progress().await?.figures);
    }
    let app = cx.settings.wix.app_id.as_str();
    let text = command(cx.platform, app, requests::FIGURES, "", deadline(cx)).await?;
    let malformed = |_| ObjectCallError::Failed("its answer has another form".to_owned());
    Ok(json::parse(&text).map_err(malformed)?)
}

/// What the object of a known installation notes of its comparisons. Without objects nobody notes it.
pub async fn checked<P: Ports>(cx: &Context<'_, P>, id: &InstanceId) -> Maintenance {
    if !cx.settings.events.is_bound {
        return Maintenance::default();
    }
    // The record is worth no longer wait.
    let deadline = cx.platform.now_millis() + TIMEOUT_MILLIS;
    match command(cx.platform, id.as_str(), requests::CHECKED, "", deadline).await {
        Ok(text) => json::parse(&text).unwrap_or_default(),
        Err(error) => {
            cx.note::<()>(Err(error));
            Maintenance::default()
        }
    }
}

/// Notes that the Cron Trigger runs. Compares the next installations, or lets their objects do it. The next run continues
/// after them.
pub async fn compare_slice<P: Ports>(cx: &Context<'_, P>) -> Result<(), InstanceError> {
    let is_bound = cx.settings.events.is_bound;
    let mut progress = if is_bound {
        Progress { pass: note_run(cx).await?, ..Progress::default() }
    } else {
        cx.store().progress().await?
    };
    let has_compared = compare_next(cx, &mut progress).await?;
    if is_bound && has_compared {
        let pass = serde_json::to_string(&progress.pass).map_err(|_| StoreError::NotJson)?;
        command(cx.platform, cx.settings.wix.app_id.as_str(), requests::SET_PASS, &pass, deadline(cx)).await?;
    }
    let noted_at = progress.figures.cron_ran_at;
    if is_bound || !has_compared && noted_at.is_some_and(|at| cx.now().since(at) < NOTED_EVERY) {
        return Ok(());
    }
    progress.figures.cron_ran_at = Some(cx.now());
    Ok(cx.store().put_progress(&progress).await?)
}

/// Returns whether this run has come further.
async fn compare_next<P: Ports>(cx: &Context<'_, P>, progress: &mut Progress) -> Result<bool, InstanceError> {
    let is_bound = cx.settings.events.is_bound;
    let Some(every) = cx.settings.events.recheck_seconds else { return Ok(false) };
    let Some(pass) = progress.pass.clone().next(every, cx.now()) else { return Ok(false) };
    let mut figures = progress.figures;
    if pass.is_new() && !is_bound {
        figures.begin(cx.now());
    }
    let limit = if is_bound { OBJECTS } else { COMPARED };
    let (ids, cursor) = cx.store().ids(pass.cursor.as_deref(), limit).await?;
    let compared: Vec<_> =
        stream::iter(&ids)
            .map(|id| async move {
                if is_bound { ask_object(cx, id).await.map(|()| None) } else { compare_here(cx, id).await }
            })
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
    let mut failed = 0;
    for result in compared {
        match result {
            Ok(Some(repaired)) => figures.round.add(repaired),
            Ok(None) => {}
            Err(error) => {
                failed += 1;
                cx.note::<()>(Err(error));
            }
        }
    }
    // Wix or the objects fail altogether: the next run does it again.
    if failed > 0 && failed == ids.len() {
        return Ok(false);
    }
    progress.pass = pass.after(cursor);
    if progress.pass.is_complete {
        figures.round.completed_at = Some(cx.clock());
    }
    progress.figures = figures;
    Ok(true)
}

/// Lets the app's object note the run. Returns how far the Cron Trigger has come.
async fn note_run<P: Ports>(cx: &Context<'_, P>) -> Result<Pass, InstanceError> {
    let now = cx.now().0.to_string();
    let text = command(cx.platform, cx.settings.wix.app_id.as_str(), requests::PASS, &now, deadline(cx)).await?;
    Ok(json::parse(&text).unwrap_or_default())
}

async fn ask_object<P: Ports>(cx: &Context<'_, P>, id: &InstanceId) -> Result<(), InstanceError> {
    let request = CompareRequest { instance_id: id.clone(), now: cx.now() };
    let message = serde_json::to_string(&request).map_err(|_| StoreError::NotJson)?;
    let deadline = cx.platform.now_millis() + DEADLINE_MILLIS + OBJECT_MARGIN;
    command(cx.platform, id.as_str(), requests::COMPARE, &message, deadline).await?;
    Ok(())
}

/// Compares an installation, with a log line of its own if something was wrong.
async fn compare_here<P: Ports>(cx: &Context<'_, P>, id: &InstanceId) -> Result<Option<Repaired>, InstanceError> {
    let work = cx.work.sibling(cx.platform, "cron compare", id);
    let cx = cx.of(&work);
    let compared = compare(&cx, id).await?;
    let repaired = compared.map(|compared| compared.repaired);
    if repaired.is_some_and(Repaired::any) {
        cx.trace().outcome("repaired");
        cx.trace().write(cx.platform, None);
    }
    Ok(repaired)
}
