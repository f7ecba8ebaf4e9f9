//! Asks Wix what a site has: its plan, which no event tells completely, its description, and the app's version on it (docs/wix.md,
//! 7).

use super::grant::request_token;
use super::report::report_facts;
use super::{Context, InstanceError, Ports};
use crate::facts::{Auth, Fact, Instance, Kind, is_in_question, latest};
use crate::values::{InstanceId, Timestamp};
use crate::wix::{AppInstance, WixError};

/// Asks Wix if its answer is needed: nothing is known of the plan, something happened since Wix was asked last, or a known end
/// has passed. Nothing depends on the answer: without one, the failure is noted, and Wix is asked again after the next change. An
/// error says that an answer could not be stored or reported.
pub async fn ask_if_in_question<P: Ports>(
    cx: &Context<'_, P>,
    id: &InstanceId,
    instance: &Instance,
    facts: &[Fact],
) -> Result<(), InstanceError> {
    if is_in_question(instance, facts, cx.now()) { ask_wix(cx, id, instance, facts).await } else { Ok(()) }
}

/// Asks Wix, and records an answer that is new. `instance` and `facts` are what [`super::reconcile`] found.
pub async fn ask_wix<P: Ports>(
    cx: &Context<'_, P>,
    id: &InstanceId,
    instance: &Instance,
    facts: &[Fact],
) -> Result<(), InstanceError> {
    let answer = match request_answer(cx, id, instance).await {
        Ok(answer) => answer,
        Err(error) => {
            cx.note::<()>(Err(error));
            return Ok(());
        }
    };
    let news = news_of(answer, instance, facts, cx.now());
    if news.is_empty() {
        return Ok(());
    }
    cx.trace().outcome("wix_asked");
    let store = cx.store();
    store.record_facts(id, news, cx.now()).await?;
    match store.reconcile(id).await? {
        Some(recorded) => report_facts(cx, id, &recorded.facts).await,
        None => Ok(()),
    }
}

/// The facts of an answer that are new.
pub(super) fn news_of(answer: AppInstance, instance: &Instance, facts: &[Fact], now: Timestamp) -> Vec<Fact> {
    let AppInstance { billed, described, site, .. } = answer;
    // An answer that settles a question is recorded even if it is the same as before.
    let is_open = is_in_question(instance, facts, now);
    let nothing = Kind::Described { name: None, url: None, locale: None, currency: None, app_version: None };
    let is_new = |kind: &Kind| match latest(facts, kind.name()).map(|fact| &fact.kind) {
        Some(known) => known != kind || (is_open && matches!(kind, Kind::Billed { .. })),
        None => *kind != nothing,
    };
    let kinds = [billed, Some(described), site.map(|site| Kind::Site { site })].into_iter().flatten();
    kinds.filter(is_new).map(|kind| Fact::new(now, kind)).collect()
}

async fn request_answer<P: Ports>(
    cx: &Context<'_, P>,
    id: &InstanceId,
    instance: &Instance,
) -> Result<AppInstance, InstanceError> {
    let wix = cx.wix();
    // The token is not kept: a refusal here must not decide about the tokens of the app's back end.
    let granted = request_token(cx, &wix, id, instance.auth == Auth::Custom).await?;
    let answer = wix.app_instance(&granted.grant.token.access_token).await?;
    if answer.instance == *id {
        Ok(answer)
    } else {
        Err(WixError::Failed("Wix describes another instance than was asked for".to_owned()).into())
    }
}
