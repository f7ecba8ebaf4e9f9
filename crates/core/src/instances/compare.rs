//! The comparison of a record with Wix (docs/wix.md, 7): finds an installation, a removal or a change of the plan whose webhook
//! was lost, and records it.
//!
//! Wix issues a token for the installation and describes it: then it is installed, and Wix says what the site has. Wix refuses a
//! token with 404 each of three times: then the app was removed. Anything else proves nothing.

use super::ask::news_of;
use super::grant::request_token;
use super::reconcile::settled;
use super::report::report_facts;
use super::{Context, InstanceError, Ports};
use crate::facts::{Auth, Fact, Instance, Kind, State, Status};
use crate::store::Repaired;
use crate::values::InstanceId;
use crate::wix::{AppInstance, WixError};

/// For how long after an installation or a removal Wix may still answer as before, in seconds.
const SETTLED_AFTER: u64 = 3_600;

/// The result of a comparison.
pub struct Compared {
    /// What was corrected.
    pub repaired: Repaired,
    /// Whether Wix has said what the site has.
    pub is_checked: bool,
}

/// What Wix says.
enum Found {
    Present(Box<AppInstance>),
    Gone,
    Unclear,
}

/// Compares an installation with Wix, and records what differs. `None` if there is no record of it. Its object
/// is given all facts.
pub async fn compare<P: Ports>(cx: &Context<'_, P>, id: &InstanceId) -> Result<Option<Compared>, InstanceError> {
    // A listing of the facts costs ten times as much as the row, which has them all unless it is stale.
    let recorded = match cx.store().recorded(id).await? {
        Some(recorded) if !recorded.contested => recorded,
        _ => match settled(cx, id).await? {
            Some(recorded) => recorded,
            None => return Ok(None),
        },
    };
    let before = recorded.instance;
    let is_settled = [before.installed_at, before.removed_at]
        .into_iter()
        .flatten()
        .all(|changed| cx.now().since(changed) >= SETTLED_AFTER);
    let found = if recorded.contested { Found::Unclear } else { find(cx, id, &before).await? };
    let is_checked = matches!(&found, Found::Present(answer) if answer.billed.is_some());
    let news = match found {
        Found::Present(answer) => {
            let status = match before.status {
                Status::Removed if !is_settled => {
                    return Ok(Some(Compared { repaired: Repaired::default(), is_checked }));
                }
                Status::Removed | Status::Pending => Some(Kind::Listed),
                Status::NeedsReconnect => Some(Kind::Accepted),
                Status::Installed => None,
            };
            let mut news = news_of(*answer, &before, &recorded.facts, cx.now());
            news.extend(status.map(|kind| Fact::new(cx.now(), kind)));
            news
        }
        Found::Gone if is_settled && before.status != Status::Removed => vec![Fact::new(cx.now(), Kind::Removed)],
        Found::Gone | Found::Unclear => Vec::new(),
    };
    if news.is_empty() {
        report_facts(cx, id, &recorded.facts).await?;
        return Ok(Some(Compared { repaired: Repaired::default(), is_checked }));
    }
    let store = cx.store();
    let after = store.record_facts(id, news, cx.now()).await?;
    // Every writer does so after its last write. It also erases the tokens of a removed installation.
    store.reconcile(id).await?;
    if after.instance.status == Status::Removed {
        cx.cache.forget(cx.platform, id);
    }
    report_facts(cx, id, &after.facts).await?;
    Ok(Some(Compared { repaired: repaired(&before.valid_at(cx.now()), &after.instance), is_checked }))
}

/// What differs.
fn repaired(before: &Instance, after: &Instance) -> Repaired {
    let is_present = |status| matches!(status, Status::Installed | Status::NeedsReconnect);
    let stayed = is_present(before.status) && is_present(after.status);
    let (told, found) = (State::of(before), State::of(after));
    Repaired {
        installed: !is_present(before.status) && is_present(after.status),
        removed: before.status != Status::Removed && after.status == Status::Removed,
        // The first answer of Wix corrects nothing.
        plan: stayed && before.is_free.is_some() && (told.plan, told.is_free) != (found.plan, found.is_free),
    }
}

async fn find<P: Ports>(cx: &Context<'_, P>, id: &InstanceId, instance: &Instance) -> Result<Found, InstanceError> {
    let wix = cx.wix();
    let granted = if instance.status == Status::Removed {
        // One refusal suffices, since it changes nothing.
        wix.client_credentials(id).await
    } else {
        match request_token(cx, &wix, id, instance.auth == Auth::Custom).await {
            Ok(granted) => Ok(granted.grant),
            // The third request, of which the status counts.
            Err(InstanceError::NeedsReconnect) => wix.client_credentials(id).await,
            Err(error) => return Err(error),
        }
    };
    let token = match granted {
        Ok(grant) => grant.token.access_token,
        Err(WixError::Refused(404)) => return Ok(Found::Gone),
        Err(WixError::Refused(_)) => return Ok(Found::Unclear),
        Err(error) => return Err(error.into()),
    };
    match wix.app_instance(&token).await {
        Ok(answer) if answer.instance == *id => Ok(Found::Present(Box::new(answer))),
        Ok(_) => Err(WixError::Failed("Wix describes another instance than was asked for".to_owned()).into()),
        // The app may lack the permission to read its instance.
        Err(WixError::Refused(_)) => Ok(Found::Unclear),
        Err(error) => Err(error.into()),
    }
}
