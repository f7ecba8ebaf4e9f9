//! A removal that other facts contradict: Wix sent or gave something for the instance well after it. It may be an old
//! message that Wix signed anew when it sent it again, so Wix is asked before anything is erased (Wix's rules 4.6 and 7).
//!
//! Until Wix has answered, the removal counts and the tokens stay. A refusal makes it final; a token with the instance's
//! description takes it back ([`Kind::Present`]). Both are facts like any other, so every isolate comes to the same end.

use crate::App;
use crate::error::Error;
use crate::id::InstanceId;
use crate::kv::BETWEEN_WRITES;
use crate::platform::Platform;
use crate::record::{Fact, Instance, Kind, Name, latest_of};
use crate::token::{self, CONFIRM_AFTER_MILLIS};
use crate::wix::WixError;

/// How much later than a removal something must be to contradict it, in seconds: Wix's servers and ours have clocks of
/// their own, and what was on its way arrives.
pub const SKEW: u64 = 60;

/// Whether the facts say that the app is removed, and one of them contradicts it that Wix was not asked about since.
#[must_use]
pub fn in_doubt(facts: &[Fact]) -> bool {
    use Name::{Accepted, Configured, Connected, Healed, Installed, Joined, Plan, Present, Refused, Removed, Seen};
    let latest = |names: &[Name]| latest_of(facts, names);
    let (Some(removed), Some(heard)) = (latest(&[Removed]), latest(&[Seen, Plan, Configured, Healed, Accepted])) else {
        return false;
    };
    let undone = latest(&[Installed, Connected, Joined]) >= Some(removed);
    !undone && heard.since(removed) > SKEW && latest(&[Refused, Present]) < Some(heard)
}

/// Sees that the row agrees with the facts, and asks Wix where they contradict each other. Gives what is known then.
pub async fn settle<P: Platform>(app: &App<P>, id: &InstanceId) -> Result<Option<Instance>, Error> {
    let Some(settled) = app.kv().settle(id).await? else { return Ok(None) };
    if !settled.in_doubt {
        return Ok(Some(settled.instance));
    }
    let kind = if is_there(app, id).await? { Kind::Present } else { Kind::Refused };
    app.trace.outcome(if kind == Kind::Present { "removal_taken_back" } else { "removal_confirmed" });
    app.platform.sleep(BETWEEN_WRITES).await;
    app.kv().learn(id, Fact::new(app.now(), kind), app.now()).await?;
    Ok(app.kv().settle(id).await?.map(|settled| settled.instance))
}

async fn is_there<P: Platform>(app: &App<P>, id: &InstanceId) -> Result<bool, Error> {
    let wix = app.wix();
    let minted = match token::ask(app, &wix, id, true).await {
        Ok(asked) => asked.minted,
        Err(Error::NeedsReconnect) => return Ok(false),
        Err(error) => return Err(error),
    };
    let described = match wix.app_instance(&minted.access_token).await {
        // One refusal alone is not believed.
        Err(WixError::Refused(status)) if status != 403 => {
            wix.pause(CONFIRM_AFTER_MILLIS).await?;
            wix.app_instance(&minted.access_token).await
        }
        described => described,
    };
    match described {
        Ok(described) if described == *id => Ok(true),
        Ok(_) => Err(WixError::Failed("Wix describes another instance than was asked for".to_owned()).into()),
        // The app may lack the permission to read it; then the token is Wix's word.
        Err(WixError::Refused(403)) => Ok(true),
        Err(WixError::Refused(_)) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
#[path = "doubt_tests.rs"]
mod tests;
