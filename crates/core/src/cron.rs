//! The Cron Trigger: instances that are to be looked at again are. By now KV shows everybody the same, so rows that lag
//! are mended; and `APP_FINISHED_CONFIGURATION` that did not get through is sent, with back-off and an end.

use std::collections::VecDeque;

use crate::App;
use crate::doubt;
use crate::error::Error;
use crate::finish;
use crate::id::InstanceId;
use crate::kv::{Todo, Tries};
use crate::platform::Platform;

/// How many instances are looked at in one run. Each costs three operations of KV, of which an invocation has a thousand;
/// one that is cut off goes on in the next run where it was.
const AT_ONCE: u16 = 200;
/// When a run begins with no further instance, in milliseconds: the next run comes after five minutes.
const LONGEST_RUN: u64 = 240_000;
/// The first pause after a look in vain, and the longest, in seconds.
const PAUSE: u64 = 60;
const LONGEST_PAUSE: u64 = 6 * 3_600;
/// For how long it is tried, in seconds; Wix's own retries end after 47 hours.
const GIVE_UP: u64 = 48 * 3_600;

/// Looks at what is due, with a line in the log for each instance. Several rechecks of one instance are done as one.
pub async fn run<P: Platform>(app: &mut App<P>) -> Result<(), Error> {
    let end = app.platform.now_millis() + LONGEST_RUN;
    let mut todos = VecDeque::from(app.kv().todos(app.now(), AT_ONCE).await?);
    while let Some(todo) = todos.pop_front() {
        if app.platform.now_millis() > end {
            break;
        }
        app.restart("cron look-again", &todo.instance);
        let looked = look(app, &todo.instance).await;
        let (others, rest): (VecDeque<_>, VecDeque<_>) =
            todos.into_iter().partition(|other| other.instance == todo.instance);
        todos = rest;
        app.note(settle(app, &todo, &others, looked).await);
        app.log();
    }
    Ok(())
}

async fn look<P: Platform>(app: &App<P>, id: &InstanceId) -> Result<(), Error> {
    // What was put down is there: KV that does not show it shows what was before.
    let instance = doubt::settle(app, id).await?.ok_or(Error::UnknownInstance)?;
    if !instance.is_to_be_finished(app.config()) {
        return Ok(());
    }
    finish::finish_configuration(app, id).await?;
    // Sent, and perhaps not noted: then it is seen to once more.
    match app.kv().instance(id).await? {
        Some(instance) if instance.is_to_be_finished(app.config()) => {
            Err(Error::Store("that the event was sent is not noted".to_owned()))
        }
        _ => Ok(()),
    }
}

/// Crosses them out, or puts them down for later, as one.
async fn settle<P: Platform>(
    app: &App<P>,
    todo: &Todo,
    others: &VecDeque<Todo>,
    looked: Result<(), Error>,
) -> Result<(), Error> {
    match looked {
        Ok(()) | Err(Error::RemovedInstance) => {}
        Err(error) => {
            app.note::<()>(Err(error));
            // The youngest of them decides how long it is tried.
            let tries = others.iter().map(|other| other.tries).chain([todo.tries]).max_by_key(|tries| tries.since);
            let Tries { since, failed } = tries.unwrap_or(todo.tries);
            if app.now().since(since) < GIVE_UP {
                let pause = PAUSE.saturating_mul(1 << failed.min(16)).min(LONGEST_PAUSE);
                let tries = Tries { since, failed: failed + 1 };
                app.kv().put_todo(&todo.instance, app.now().plus(pause), tries).await?;
            } else {
                app.trace.outcome("given_up");
            }
        }
    }
    for done in std::iter::once(todo).chain(others) {
        app.kv().delete_todo(done).await?;
    }
    Ok(())
}

#[cfg(test)]
#[path = "cron_tests.rs"]
mod tests;
