//! The Cron Trigger: compares a slice of all installations with Wix, and reconciles every instance whose recheck is due. By then KV shows all writes everywhere, so that stale
//! rows are repaired. An `APP_FINISHED_CONFIGURATION` that failed is sent again, with backoff and an end.

use std::collections::VecDeque;

use crate::facts::Instance;
use crate::instances::{
    Context, InstanceError, Ports, Reconciled, Work, ask_if_in_question, compare_slice, erase, finish_configuration,
    reconcile,
};
use crate::runtime::Backoff;
use crate::store::{Attempts, Due, Recheck};
use crate::values::InstanceId;

/// How many rechecks one run lists. Each costs three KV operations, of which an invocation has 1,000. The next run continues
/// where this one ended.
const BATCH: u16 = 200;
/// After how long a run begins no further recheck, in milliseconds. The next run begins after five minutes.
const LONGEST_RUN_MILLIS: u64 = 240_000;
/// The pauses between failed attempts, in seconds.
const BACKOFF: Backoff = Backoff { first: 60, longest: 6 * 3_600 };
/// After how long a recheck is given up, in seconds. Wix's own retries end after 47 hours.
const GIVE_UP_AFTER: u64 = 48 * 3_600;

/// Runs the rechecks that are due, with a log line for each instance. Several rechecks of one instance are done as one. A
/// failed listing has a log line of its own.
pub async fn run_rechecks<P: Ports>(cx: &Context<'_, P>) {
    let end = cx.platform.now_millis() + LONGEST_RUN_MILLIS;
    let Due { rechecks, erasures } = match cx.store().due(cx.now(), BATCH).await {
        Ok(due) => due,
        Err(error) => {
            cx.note::<()>(Err(error));
            return cx.trace().write(cx.platform, None);
        }
    };
    let mut rechecks = VecDeque::from(rechecks);
    for key in erasures {
        let trace = cx.trace().sibling("cron erase", cx.platform.now_millis());
        let work = Work::new(trace);
        let cx = cx.of(&work);
        match cx.store().erase_again(&key).await {
            Ok(id) => rechecks.retain(|recheck| Some(&recheck.instance) != id.as_ref()),
            Err(error) => cx.note::<()>(Err(error)),
        }
        work.trace.write(cx.platform, None);
    }
    while let Some(recheck) = rechecks.pop_front() {
        if cx.platform.now_millis() > end {
            break;
        }
        let (others, rest): (VecDeque<_>, VecDeque<_>) =
            rechecks.into_iter().partition(|other| other.instance == recheck.instance);
        rechecks = rest;
        let work = cx.work.sibling(cx.platform, "cron look-again", &recheck.instance);
        let cx = cx.of(&work);
        let result = check(&cx, &recheck.instance).await;
        cx.note(finish(&cx, &recheck, &others, result).await);
        cx.trace().write(cx.platform, None);
    }
}

/// Compares the next installations with Wix, with one log line if something failed.
pub async fn reconcile_slice<P: Ports>(cx: &Context<'_, P>) {
    let trace = cx.trace().sibling("cron reconciliation", cx.platform.now_millis());
    let work = Work::new(trace);
    let cx = cx.of(&work);
    cx.note(compare_slice(&cx).await);
    if cx.trace().is_notable() {
        cx.trace().write(cx.platform, None);
    }
}

async fn check<P: Ports>(cx: &Context<'_, P>, id: &InstanceId) -> Result<(), InstanceError> {
    // The recheck proves that a row was written, so that a missing row is a stale read.
    let Reconciled { instance, facts, reported } = reconcile(cx, id).await?.ok_or(InstanceError::Unknown)?;
    if instance.needs_setup_event(cx.settings.setup) {
        finish_configuration(cx, id).await?;
        // The event was sent, but the fact may not be stored. Then the recheck is repeated.
        if cx.store().instance(id).await?.is_some_and(|instance| instance.needs_setup_event(cx.settings.setup)) {
            return Err(InstanceError::SetupNotRecorded);
        }
    }
    ask_if_in_question(cx, id, &instance, &facts).await?;
    reported?;
    forget_in_time(cx, &instance).await
}

/// Erases the record of a removed installation when its time is over. Before, it stores a recheck for that time.
async fn forget_in_time<P: Ports>(cx: &Context<'_, P>, instance: &Instance) -> Result<(), InstanceError> {
    let (Some(removed_at), Some(retention)) = (instance.removed_at, cx.settings.retention_seconds) else {
        return Ok(());
    };
    let due = removed_at.plus(retention);
    if due > cx.now() {
        let attempts = Attempts { since: due, failed: 0 };
        return Ok(cx.store().put_recheck(&instance.instance_id, due, attempts).await?);
    }
    cx.trace().outcome("erased");
    erase(cx, &instance.instance_id).await
}

/// Deletes the rechecks of one instance. After an error it stores one that is due later.
async fn finish<P: Ports>(
    cx: &Context<'_, P>,
    recheck: &Recheck,
    others: &VecDeque<Recheck>,
    result: Result<(), InstanceError>,
) -> Result<(), InstanceError> {
    match result {
        Ok(()) | Err(InstanceError::Removed) => {}
        Err(error) => {
            cx.note::<()>(Err(error));
            // The youngest recheck decides when to give up.
            let attempts = others.iter().map(|other| other.attempts).chain([recheck.attempts]);
            let Attempts { since, failed } = attempts.max_by_key(|attempts| attempts.since).unwrap_or(recheck.attempts);
            if cx.now().since(since) < GIVE_UP_AFTER {
                let attempts = Attempts { since, failed: failed + 1 };
                let due = cx.now().plus(BACKOFF.after(attempts.failed));
                cx.store().put_recheck(&recheck.instance, due, attempts).await?;
            } else {
                cx.trace().outcome("given_up");
            }
        }
    }
    for done in std::iter::once(recheck).chain(others) {
        cx.store().delete_recheck(done).await?;
    }
    Ok(())
}
