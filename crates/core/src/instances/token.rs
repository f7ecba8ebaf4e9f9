//! A fresh access token of an instance: from the isolate's memory, then from the object of the installation, which has one
//! flight worldwide. Without objects: from KV, or from Wix, in one flight per isolate. The same code runs in both.
//!
//! A refresh token that is missing or revoked is replaced by client credentials with the instance id.

use super::grant::{COOL_DOWN, Granted, Refresh, request_token};
use super::own_token::from_object;
use super::rate::permit;
use super::registry::{CHECK_INTERVAL, record};
use super::{Context, InstanceError, Ports, installed, reconcile};
use crate::facts::{Auth, Fact, Instance, Kind, Status};
use crate::store::RECHECK_AFTER;
use crate::values::{InstanceId, Timestamp};
use crate::wix::Token;

/// A token with more life than its margin. With `force`, Wix issues a new one.
pub async fn fresh_token<P: Ports>(cx: &Context<'_, P>, id: &InstanceId, force: bool) -> Result<Token, InstanceError> {
    if !force && let Some(token) = from_memory(cx, id).await? {
        cx.trace().token_source("memory");
        return Ok(token);
    }
    let token = cx.cache.tokens.share(cx.platform, id, cx.turn(force), fetch(cx, id, force)).await?;
    // Only the leader of the single flight has noted it.
    cx.trace().token_source_or("shared");
    Ok(token)
}

/// The same in the object of the installation, which does not share the memory of an isolate that may run in the same process.
pub async fn object_token<P: Ports>(cx: &Context<'_, P>, id: &InstanceId, force: bool) -> Result<Token, InstanceError> {
    cx.cache.object_tokens.share(cx.platform, id, cx.turn(force), issue(cx, id, force)).await
}

async fn fetch<P: Ports>(cx: &Context<'_, P>, id: &InstanceId, force: bool) -> Result<Token, InstanceError> {
    if !cx.settings.events.is_bound {
        return issue(cx, id, force).await;
    }
    match from_object(cx, id, force).await {
        // A removal is reported to the object after the response to its webhook, and Wix refuses tokens at once.
        Err(InstanceError::NeedsReconnect) if matches!(installed(cx, id).await, Err(InstanceError::Removed)) => {
            Err(InstanceError::Removed)
        }
        result => result,
    }
}

async fn from_memory<P: Ports>(cx: &Context<'_, P>, id: &InstanceId) -> Result<Option<Token>, InstanceError> {
    let tokens = &cx.cache.tokens;
    let Some(mut token) = tokens.value(id).filter(|token| token.is_fresh(cx.now())) else { return Ok(None) };
    if cx.now().since(token.checked_at) < CHECK_INTERVAL {
        return Ok(Some(token));
    }
    if cx.settings.events.is_bound {
        return match from_object(cx, id, false).await {
            Ok(fresh) => {
                tokens.keep(id, fresh.clone());
                Ok(Some(fresh))
            }
            Err(error @ (InstanceError::Removed | InstanceError::Unknown | InstanceError::NeedsReconnect)) => {
                cx.cache.forget(cx.platform, id);
                Err(error)
            }
            // A failure of the object does not invalidate the token.
            Err(error) => {
                cx.note::<()>(Err(error));
                Ok(Some(token))
            }
        };
    }
    match installed(cx, id).await {
        // Another isolate saw a refusal: an older token is revoked, and a newer one shows that the refusal has ended.
        Ok(instance) if instance.status == Status::NeedsReconnect => {
            if !is_newer(&token, &instance) {
                cx.cache.forget(cx.platform, id);
                return Ok(None);
            }
            cx.note(record(cx, id, Fact::new(token.issued_at(), Kind::Accepted)).await);
            token.checked_at = cx.now();
            tokens.keep(id, token.clone());
        }
        Ok(_) => {
            token.checked_at = cx.now();
            tokens.keep(id, token.clone());
        }
        Err(error @ (InstanceError::Removed | InstanceError::Unknown)) => {
            cx.cache.forget(cx.platform, id);
            return Err(error);
        }
        // A failure of KV does not invalidate the token.
        Err(error) => cx.note::<()>(Err(error)),
    }
    Ok(Some(token))
}

/// Whether Wix issued the token no earlier than its latest answer to a token request for the instance.
fn is_newer(token: &Token, instance: &Instance) -> bool {
    instance.last_token.is_none_or(|last| token.issued_at() >= last.at)
}

/// A token of the record, or a new one of Wix's.
async fn issue<P: Ports>(cx: &Context<'_, P>, id: &InstanceId, force: bool) -> Result<Token, InstanceError> {
    let instance = installed(cx, id).await?;
    if cx.cache.cool_downs.contains(id, cx.now()) || is_cooling_down(&instance, cx.now()) {
        return Err(InstanceError::NeedsReconnect);
    }
    if !force
        && (cx.own.is_some() || instance.auth != Auth::Custom)
        && instance.status != Status::NeedsReconnect
        && let Some(token) = cx.store().access_token(id, cx.now()).await?
        && token.is_fresh(cx.now())
        && is_newer(&token, &instance)
    {
        cx.trace().token_source(if cx.own.is_some() { "object" } else { "kv" });
        return Ok(token);
    }
    if force {
        cx.note(cx.store().erase_orphaned_copy(id).await);
    }
    from_wix(cx, &instance).await
}

/// Whether the cool-down of a refusal lasts that another isolate recorded.
fn is_cooling_down(instance: &Instance, now: Timestamp) -> bool {
    instance.status == Status::NeedsReconnect
        && instance.last_token.is_some_and(|last| last.at <= now && now.since(last.at) < COOL_DOWN)
}

async fn from_wix<P: Ports>(cx: &Context<'_, P>, instance: &Instance) -> Result<Token, InstanceError> {
    let id = &instance.instance_id;
    permit(cx, id).await?;
    let Granted { grant, refresh } = match request_token(cx, &cx.wix(), id, instance.auth == Auth::Custom).await {
        Ok(granted) => granted,
        Err(InstanceError::NeedsReconnect) => {
            refused(cx, instance).await;
            return Err(InstanceError::NeedsReconnect);
        }
        Err(error) => return Err(error),
    };
    let had_refused = cx.cache.cool_downs.clear(id) || instance.status == Status::NeedsReconnect;

    let token = grant.token;
    // Just after a redirect KV may not show its refresh token yet: this is no sign that the token is missing.
    let is_new = instance.last_token.is_some_and(|last| cx.now().since(last.at) < RECHECK_AFTER);
    let news = match refresh {
        Refresh::Revoked => Some(Kind::Healed),
        Refresh::NotFound if instance.auth == Auth::Custom && !is_new => Some(Kind::Healed),
        _ => had_refused.then_some(Kind::Accepted),
    };
    let has_news = news.is_some();
    // The token is valid even if the fact cannot be stored. It is then not cached in KV, so that another isolate records
    // the fact.
    let recorded = match news {
        Some(kind) => record(cx, id, Fact::new(cx.now(), kind)).await,
        None => Ok(()),
    };
    // KV has no access token of an instance that has a refresh token.
    let is_kept = refresh != Refresh::Unreadable && (cx.own.is_some() || token.is_long_lived());
    if recorded.is_ok() && is_kept {
        cx.note(cx.store().put_access_token(id, &token, cx.now()).await);
    }
    cx.note(recorded);
    // The row is read again after tokens were written, since the app may have been removed meanwhile.
    match installed(cx, id).await {
        Err(InstanceError::Removed) => {
            if let Some(reconciled) = reconcile(cx, id).await? {
                cx.note(reconciled.reported);
            }
            return Err(InstanceError::Removed);
        }
        // The first read was stale and did not show the refusal.
        Ok(now) if now.status == Status::NeedsReconnect && !has_news && is_newer(&token, &now) => {
            cx.note(record(cx, id, Fact::new(cx.now(), Kind::Accepted)).await);
        }
        _ => {}
    }
    Ok(token)
}

/// Records a permanent refusal, begins the cool-down, and erases the cached token, so that no older one is returned.
async fn refused<P: Ports>(cx: &Context<'_, P>, instance: &Instance) {
    let id = &instance.instance_id;
    // The present time: the refusal came seconds after the request began.
    let now = cx.clock();
    cx.cache.cool_downs.set(id.clone(), now.plus(COOL_DOWN));
    if instance.status != Status::NeedsReconnect {
        cx.note(record(cx, id, Fact::new(now, Kind::Refused)).await);
        cx.note(cx.store().erase_access_token(id).await);
    }
}
