//! `APP_FINISHED_CONFIGURATION`: once for an instance and install (Wix's rules 6).
//!
//! Webhook and redirect of one installation come at the same moment; in one isolate they share one sending. Between
//! isolates KV decides, which may lag: there a second event is possible, and harmless.

use crate::App;
use crate::bi_event::{self, BiEvent};
use crate::config::FinishConfiguration;
use crate::error::Error;
use crate::id::InstanceId;
use crate::platform::Platform;
use crate::record::{Fact, Kind};
use crate::time::Timestamp;

/// Sends the event unless it was sent for this installation, and says when it was.
pub async fn finish_configuration<P: Platform>(app: &App<P>, id: &InstanceId) -> Result<Timestamp, Error> {
    if app.config().finish_configuration == FinishConfiguration::Never {
        return Err(Error::FinishDisabled);
    }
    app.memory().finished.share(&app.platform, id, app.turn(false), send_once(app, id)).await
}

async fn send_once<P: Platform>(app: &App<P>, id: &InstanceId) -> Result<Timestamp, Error> {
    let instance = app.installed(id).await?;
    if let Some(at) = instance.configured_at {
        app.trace.outcome("sent_before");
        return Ok(at);
    }
    // KV may not show yet what this isolate did a moment ago, or may not have taken it.
    let remembered = app.memory().finished.value(id);
    if let Some(at) = remembered.filter(|at| instance.installed_at.is_none_or(|since| *at >= since)) {
        app.trace.outcome("sent_before");
        app.note(app.learn(id, Fact::new(at, Kind::Configured)).await);
        return Ok(at);
    }
    bi_event::send(app, id, &BiEvent::finished_configuration()).await??;
    app.trace.outcome("sent");
    // Wix has the event even if the fact cannot be stored. Then it may be sent a second time, which does no harm.
    app.note(app.learn(id, Fact::new(app.now(), Kind::Configured)).await);
    Ok(app.now())
}

#[cfg(test)]
#[path = "finish_tests.rs"]
mod tests;
