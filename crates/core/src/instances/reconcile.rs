//! Reconciliation of one instance: makes the row agree with the facts, and asks Wix about a contested removal (docs/wix.md,
//! 4.6 and 7).
//!
//! A permanent refusal of Wix's confirms the removal. A token and the app instance deny it ([`Kind::Present`]). Both are
//! recorded as facts, so that all isolates agree. Without an answer the question stays open: the removal counts, and the tokens
//! stay.

use super::grant::{CONFIRM_AFTER_MILLIS, request_token};
use super::report::report_facts;
use super::{Context, InstanceError, Ports};
use crate::facts::{Fact, Instance, Kind, Status};
use crate::store::{BETWEEN_WRITES, Recorded};
use crate::values::InstanceId;
use crate::wix::WixError;

/// A reconciled instance.
pub struct Reconciled {
    /// The instance.
    pub instance: Instance,
    /// The facts that it was folded from.
    pub facts: Vec<Fact>,
    /// Whether the object of the installation was given the facts.
    pub reported: Result<(), InstanceError>,
}

/// Reconciles an instance, and reports its facts. `None` if there are none.
pub async fn reconcile<P: Ports>(cx: &Context<'_, P>, id: &InstanceId) -> Result<Option<Reconciled>, InstanceError> {
    let Some(recorded) = settled(cx, id).await? else { return Ok(None) };
    let reported = report_facts(cx, id, &recorded.facts).await;
    // Until the report the object gives its token to this isolate, which would keep it.
    if recorded.instance.status == Status::Removed {
        cx.cache.forget(cx.platform, id);
    }
    Ok(Some(Reconciled { instance: recorded.instance, facts: recorded.facts, reported }))
}

/// The same, without a report.
pub(super) async fn settled<P: Ports>(cx: &Context<'_, P>, id: &InstanceId) -> Result<Option<Recorded>, InstanceError> {
    let Some(recorded) = cx.store().reconcile(id).await? else { return Ok(None) };
    if !recorded.contested {
        return Ok(Some(recorded));
    }
    let (kind, outcome) = match is_present(cx, id).await? {
        Some(true) => (Kind::Present, "removal_taken_back"),
        Some(false) => (Kind::Refused, "removal_confirmed"),
        None => {
            cx.trace().outcome("removal_in_doubt");
            return Ok(Some(recorded));
        }
    };
    cx.trace().outcome(outcome);
    cx.platform.sleep(BETWEEN_WRITES).await;
    cx.store().record(id, Fact::new(cx.now(), kind), cx.now()).await?;
    Ok(cx.store().reconcile(id).await?)
}

/// Whether the app is still installed, as Wix says. `None` if Wix does not say: the app may lack the permission to read its
/// instance, and a token alone proves nothing, since Wix may issue tokens for a while after a removal.
async fn is_present<P: Ports>(cx: &Context<'_, P>, id: &InstanceId) -> Result<Option<bool>, InstanceError> {
    let wix = cx.wix();
    let token = match request_token(cx, &wix, id, true).await {
        Ok(granted) => granted.grant.token.access_token,
        Err(InstanceError::NeedsReconnect) => return Ok(Some(false)),
        Err(error) => return Err(error),
    };
    let described = match wix.app_instance(&token).await {
        // A refusal is confirmed by a second request.
        Err(WixError::Refused(status)) if status != 403 => {
            wix.pause(CONFIRM_AFTER_MILLIS).await?;
            wix.app_instance(&token).await
        }
        described => described,
    };
    match described {
        Ok(described) if described.instance == *id => Ok(Some(true)),
        Ok(_) => Err(WixError::Failed("Wix describes another instance than was asked for".to_owned()).into()),
        Err(WixError::Refused(403)) => Ok(None),
        Err(WixError::Refused(_)) => Ok(Some(false)),
        Err(error) => Err(error.into()),
    }
}
