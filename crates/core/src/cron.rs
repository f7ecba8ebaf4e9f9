//! The Cron Trigger: instances that are to be looked at again are. By now KV shows everybody the same, so rows that lag
//! are mended; and `APP_FINISHED_CONFIGURATION` that did not get through is sent, with back-off and an end.

use crate::App;
use crate::doubt;
use crate::error::Error;
use crate::finish;
use crate::id::InstanceId;
use crate::kv::{Todo, Tries};
use crate::platform::Platform;
use crate::trace::Trace;

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

/// Looks at what is due, with a line in the log for each.
pub async fn run<P: Platform>(app: &mut App<P>) -> Result<(), Error> {
    let end = app.platform.now_millis() + LONGEST_RUN;
    for todo in app.kv().todos(app.now, AT_ONCE).await? {
        app.started_millis = app.platform.now_millis();
        if app.started_millis > end {
            break;
        }
        app.trace = Trace::new(app.trace.request_id.clone(), "cron look-again");
        app.trace.instance(&todo.instance);
        let looked = look(app, &todo.instance).await;
        app.note(settle(app, &todo, looked).await);
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

/// Crosses it out, or puts it down for later.
async fn settle<P: Platform>(app: &App<P>, todo: &Todo, looked: Result<(), Error>) -> Result<(), Error> {
    match looked {
        Ok(()) | Err(Error::RemovedInstance) => {}
        Err(error) => {
            app.note::<()>(Err(error));
            if app.now.since(todo.tries.since) < GIVE_UP {
                let pause = PAUSE.saturating_mul(1 << todo.tries.failed.min(16)).min(LONGEST_PAUSE);
                let tries = Tries { failed: todo.tries.failed + 1, ..todo.tries };
                app.kv().put_todo(&todo.instance, app.now.plus(pause), tries).await?;
            } else {
                app.trace.outcome("given_up");
            }
        }
    }
    app.kv().delete_todo(todo).await
}

#[cfg(test)]
#[path = "cron_tests.rs"]
mod tests;
