//! `APP_FINISHED_CONFIGURATION`: once for an instance and install (Wix's rules 6).
//!
//! Webhook and redirect of one installation come at the same moment, so the sender claims the instance in this
//! isolate's memory first. Between isolates KV decides, which may lag: there a second event is possible, and harmless.

use std::time::Duration;

use crate::App;
use crate::config::FinishConfiguration;
use crate::error::Error;
use crate::id::InstanceId;
use crate::platform::Platform;
use crate::record::{Fact, Instance, Kind};
use crate::time::Timestamp;
use crate::token;
use crate::wix::{DEADLINE_MILLIS, WixError};

const LOOK_AGAIN: Duration = Duration::from_millis(10);
/// A token and the event, each within Wix's deadline, and KV's around them.
const PATIENCE_MILLIS: u64 = 2 * DEADLINE_MILLIS + 5_000;

/// Sends the event unless it was sent for this installation, and says when it was.
pub async fn finish_configuration<P: Platform>(app: &App<P>, id: &InstanceId) -> Result<Timestamp, Error> {
    if app.config().finish_configuration == FinishConfiguration::Never {
        return Err(Error::FinishDisabled);
    }
    loop {
        let instance = app.installed(id).await?;
        if let Some(at) = already_sent(app, &instance) {
            app.trace.outcome("sent_before");
            return Ok(at);
        }
        if app.memory().claim_finishing(id, app.platform.now_millis(), PATIENCE_MILLIS) {
            let sent = send(app, id).await;
            app.memory().release_finishing(id, sent.as_ref().ok().copied());
            let at = sent?;
            app.trace.outcome("sent");
            app.learn(id, Fact { at, kind: Kind::Configured }).await?;
            return Ok(at);
        }
        app.platform.sleep(LOOK_AGAIN).await;
    }
}

fn already_sent<P: Platform>(app: &App<P>, instance: &Instance) -> Option<Timestamp> {
    let remembered = app.memory().configured_at(&instance.instance_id);
    instance.configured_at.or_else(|| remembered.filter(|at| instance.installed_at.is_none_or(|since| *at >= since)))
}

async fn send<P: Platform>(app: &App<P>, id: &InstanceId) -> Result<Timestamp, Error> {
    let token = token::fresh(app, id, false).await?;
    let wix = app.wix();
    match wix.finished_configuration(&token.access_token).await {
        Err(WixError::Refused(401)) => {
            let token = token::fresh(app, id, true).await?;
            wix.finished_configuration(&token.access_token).await?;
        }
        answer => answer?,
    }
    Ok(app.now)
}

#[cfg(test)]
#[path = "finish_tests.rs"]
mod tests;
