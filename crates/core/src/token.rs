//! A fresh access token for an instance: memory, then KV, then Wix (contract 5).
//!
//! One flight per instance and isolate: whoever comes while another request is asking Wix waits for what it gets,
//! a failure included. Refresh tokens that are gone or dead heal by client credentials with the instance's id.

use crate::App;
use crate::doubt;
use crate::error::Error;
use crate::id::InstanceId;
use crate::kv::{Kept, LOOK_AGAIN};
use crate::memory::Token;
use crate::platform::Platform;
use crate::record::{Auth, Fact, Instance, Kind, Status};
use crate::secret::RefreshToken;
use crate::time::Timestamp;
use crate::wix::{Minted, Wix, WixError};

/// How long Wix is left alone after it refused for good, in seconds.
pub const COOL_DOWN: u64 = 30;
/// When a refusal is asked about once more, in milliseconds: one that passes mostly has passed by then.
pub const CONFIRM_AFTER_MILLIS: u64 = 2_000;
/// How long what is remembered of an instance counts before its row is looked at again, in seconds: a removal may have
/// been received by another isolate.
pub const CHECK_AGAIN: u64 = 300;

/// A token with more life than its margin; with `force`, one that Wix makes now.
pub async fn fresh<P: Platform>(app: &App<P>, id: &InstanceId, force: bool) -> Result<Token, Error> {
    if !force && let Some(token) = remembered(app, id).await? {
        return Ok(token);
    }
    app.memory().tokens.share(&app.platform, id, app.turn(force), fetch(app, id, force)).await
}

async fn remembered<P: Platform>(app: &App<P>, id: &InstanceId) -> Result<Option<Token>, Error> {
    let tokens = &app.memory().tokens;
    let Some(mut token) = tokens.value(id).filter(|token| token.is_fresh(app.now())) else { return Ok(None) };
    if app.now().since(token.checked_at) >= CHECK_AGAIN {
        match app.installed(id).await {
            // Wix refused tokens elsewhere: an older one is dead, and a newer one shows that all is well again.
            Ok(instance) if instance.status == Status::NeedsReconnect => {
                if !is_newer(&token, &instance) {
                    app.memory().forget(id);
                    return Ok(None);
                }
                app.note(app.learn(id, Fact::new(token.given_at(), Kind::Accepted)).await);
                token.checked_at = app.now();
                tokens.keep(id, token.clone());
            }
            Ok(_) => {
                token.checked_at = app.now();
                tokens.keep(id, token.clone());
            }
            Err(error @ (Error::RemovedInstance | Error::UnknownInstance)) => {
                app.memory().forget(id);
                return Err(error);
            }
            // The token is good; that KV fails for the moment does not make it worse.
            Err(error) => app.note::<()>(Err(error)),
        }
    }
    Ok(Some(token))
}

/// Whether Wix gave a token no earlier than what it last did about tokens for the instance.
fn is_newer(token: &Token, instance: &Instance) -> bool {
    instance.last_token.is_none_or(|last| token.given_at() >= last.at)
}

async fn fetch<P: Platform>(app: &App<P>, id: &InstanceId, force: bool) -> Result<Token, Error> {
    let instance = app.installed(id).await?;
    if app.memory().is_refused(id, app.now()) || is_cooling_down(&instance, app.now()) {
        return Err(Error::NeedsReconnect);
    }
    if !force
        && instance.auth != Auth::Custom
        && instance.status != Status::NeedsReconnect
        && let Some(token) = app.kv().access_token(id, app.now()).await?
        && token.is_fresh(app.now())
        && is_newer(&token, &instance)
    {
        return Ok(token);
    }
    mint(app, &instance).await
}

/// Whether Wix refused a moment ago, as another isolate has stored.
fn is_cooling_down(instance: &Instance, now: Timestamp) -> bool {
    instance.status == Status::NeedsReconnect
        && instance.last_token.is_some_and(|last| last.at <= now && now.since(last.at) < COOL_DOWN)
}

async fn mint<P: Platform>(app: &App<P>, instance: &Instance) -> Result<Token, Error> {
    let id = &instance.instance_id;
    let wix = app.wix();
    let Asked { minted, refresh } = match ask(app, &wix, id, instance.auth == Auth::Custom).await {
        Ok(asked) => asked,
        Err(Error::NeedsReconnect) => {
            refused(app, instance).await;
            return Err(Error::NeedsReconnect);
        }
        Err(error) => return Err(error),
    };
    let had_refused = app.memory().clear_cool_down(id) || instance.status == Status::NeedsReconnect;

    let token = token(&minted, app.now());
    // KV may not show yet what the redirect stored a moment ago: nobody is called healed who only came too early.
    let is_new = instance.last_token.is_some_and(|last| app.now().since(last.at) < LOOK_AGAIN);
    let news = match refresh {
        Refresh::Dead => Some(Kind::Healed),
        Refresh::NotFound if instance.auth == Auth::Custom && !is_new => Some(Kind::Healed),
        _ => had_refused.then_some(Kind::Accepted),
    };
    let is_noted = news.is_some();
    // The token is good even if the fact cannot be stored. Then it is not cached in KV, so that another isolate stores the fact.
    let noted = match news {
        Some(kind) => app.learn(id, Fact::new(app.now(), kind)).await,
        None => Ok(()),
    };
    // Of an instance whose refresh token cannot be opened here, nobody would look for it.
    let is_looked_for = refresh != Refresh::Unreadable;
    if noted.is_ok() && token.is_long_lived() && is_looked_for {
        app.note(app.kv().put_access_token(id, &token, app.now()).await);
    }
    app.note(noted);
    // Whoever may have written a token looks once more, in case the app was removed meanwhile.
    match app.installed(id).await {
        Err(Error::RemovedInstance) => {
            doubt::settle(app, id).await?;
            return Err(Error::RemovedInstance);
        }
        // The row said nothing of the refusal before: it lagged behind.
        Ok(now) if now.status == Status::NeedsReconnect && !is_noted && is_newer(&token, &now) => {
            app.note(app.learn(id, Fact::new(app.now(), Kind::Accepted)).await);
        }
        _ => {}
    }
    Ok(token)
}

/// Wix refuses tokens for the instance: it is left alone for a while, and no older token is given out meanwhile.
async fn refused<P: Platform>(app: &App<P>, instance: &Instance) {
    let id = &instance.instance_id;
    // By the clock: the refusal came seconds after the request.
    let now = app.clock();
    app.memory().refuse(id, now.plus(COOL_DOWN));
    if instance.status != Status::NeedsReconnect {
        app.note(app.learn(id, Fact::new(now, Kind::Refused)).await);
        app.note(app.kv().erase_access_token(id).await);
    }
}

/// What Wix gave.
pub struct Asked {
    /// The token.
    pub minted: Minted,
    /// What became of the refresh token.
    refresh: Refresh,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Refresh {
    /// None was looked for, or KV shows none.
    NotFound,
    /// There is one that cannot be opened here. Another configuration may open it, so nothing is concluded from that.
    Unreadable,
    /// Wix does not take it.
    Dead,
    /// It gave the token.
    Used,
}

/// Asks Wix for a token: by refresh token where one may be kept, else by client credentials. `NeedsReconnect` where it
/// refuses for good.
pub async fn ask<P: Platform>(app: &App<P>, wix: &Wix<'_, P>, id: &InstanceId, custom: bool) -> Result<Asked, Error> {
    let kept = if custom { app.kv().refresh_token(id).await? } else { Kept::Nothing };
    let refresh = match kept {
        Kept::Nothing => Refresh::NotFound,
        Kept::Unreadable => {
            let cause = "no key of SEALING_KEYS opens it; client credentials take its place for this call";
            app.trace.beside("refresh_token_unreadable", cause.to_owned());
            Refresh::Unreadable
        }
        Kept::Value(kept) => match by_refresh_token(app, wix, id, kept).await? {
            Some(minted) => return Ok(Asked { minted, refresh: Refresh::Used }),
            None => Refresh::Dead,
        },
    };
    Ok(Asked { minted: last_resort(wix, id).await?, refresh })
}

/// Client credentials. Nothing comes after them, so one refusal is not believed.
async fn last_resort<P: Platform>(wix: &Wix<'_, P>, id: &InstanceId) -> Result<Minted, Error> {
    match wix.client_credentials(id).await {
        Err(WixError::Refused(_)) => {
            wix.pause(CONFIRM_AFTER_MILLIS).await?;
            match wix.client_credentials(id).await {
                Err(WixError::Refused(_)) => Err(Error::NeedsReconnect),
                minted => Ok(minted?),
            }
        }
        minted => Ok(minted?),
    }
}

/// By refresh token, if Wix takes it.
async fn by_refresh_token<P: Platform>(
    app: &App<P>,
    wix: &Wix<'_, P>,
    id: &InstanceId,
    kept: RefreshToken,
) -> Result<Option<Minted>, Error> {
    match wix.refresh_token(&kept).await {
        Ok(mut minted) => {
            // Wix documents that it does not change; should it, the new one counts.
            let new = minted.refresh_token.take().filter(|new| !new.same_as(&kept));
            if let Some(new) = &new {
                // The token beside it is good all the same; without this one, client credentials take over.
                app.note(app.kv().put_refresh_token(id, new).await);
            }
            minted.refresh_token = Some(new.unwrap_or(kept));
            Ok(Some(minted))
        }
        Err(WixError::Refused(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// A token as it is kept.
#[must_use]
pub fn token(minted: &Minted, now: Timestamp) -> Token {
    let access_token = minted.access_token.clone();
    Token { access_token, expires_at: now.plus(minted.life), life: minted.life, checked_at: now }
}

#[cfg(test)]
#[path = "token_tests.rs"]
mod tests;
