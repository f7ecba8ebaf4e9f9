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
const COOL_DOWN: u64 = 30;
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
    let Some(mut token) = tokens.value(id).filter(|token| token.is_fresh(app.now)) else { return Ok(None) };
    if app.now.since(token.checked_at) >= CHECK_AGAIN {
        match app.installed(id).await {
            Ok(_) => {
                token.checked_at = app.now;
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

async fn fetch<P: Platform>(app: &App<P>, id: &InstanceId, force: bool) -> Result<Token, Error> {
    let instance = app.installed(id).await?;
    if app.memory().is_refused(id, app.now) {
        return Err(Error::NeedsReconnect);
    }
    if !force
        && instance.auth != Auth::Custom
        && let Some(token) = app.kv().access_token(id, app.now).await?
        && token.is_fresh(app.now)
    {
        return Ok(token);
    }
    mint(app, &instance).await
}

async fn mint<P: Platform>(app: &App<P>, instance: &Instance) -> Result<Token, Error> {
    let id = &instance.instance_id;
    let wix = app.wix();
    let Asked { minted, refresh } = match ask(app, &wix, id, instance.auth == Auth::Custom).await {
        Ok(asked) => asked,
        Err(Error::NeedsReconnect) => {
            app.memory().refuse(id, app.now.plus(COOL_DOWN));
            if instance.status != Status::NeedsReconnect {
                app.note(app.learn(id, Fact { at: app.now, kind: Kind::Refused }).await);
            }
            return Err(Error::NeedsReconnect);
        }
        Err(error) => return Err(error),
    };
    app.memory().forgive(id);

    let token = token(&minted, app.now);
    // KV may not show yet what the redirect stored a moment ago: nobody is called healed who only came too early.
    let is_new = instance.last_token.is_some_and(|last| app.now.since(last.at) < LOOK_AGAIN);
    let news = match refresh {
        Refresh::Dead => Some(Kind::Healed),
        Refresh::NotFound if instance.auth == Auth::Custom && !is_new => Some(Kind::Healed),
        _ => (instance.status == Status::NeedsReconnect).then_some(Kind::Accepted),
    };
    // The token is good whatever becomes of the notes beside it. It is not shared with those who would make them again.
    let noted = match news {
        Some(kind) => app.learn(id, Fact { at: app.now, kind }).await,
        None => Ok(()),
    };
    if noted.is_ok() && token.is_long_lived() {
        app.note(app.kv().put_access_token(id, &token, app.now).await);
    }
    app.note(noted);
    // Whoever may have written a token looks once more, in case the app was removed meanwhile.
    if let Err(Error::RemovedInstance) = app.installed(id).await {
        doubt::settle(app, id).await?;
        return Err(Error::RemovedInstance);
    }
    Ok(token)
}

/// What Wix gave.
pub struct Asked {
    /// The token.
    pub minted: Minted,
    /// What became of the refresh token.
    refresh: Refresh,
}

enum Refresh {
    /// None was looked for, or KV shows none.
    NotFound,
    /// Wix does not take it, or nobody can open it.
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
        Kept::Shut => Refresh::Dead,
        Kept::Value(kept) => match by_refresh_token(app, wix, id, kept).await? {
            Some(minted) => return Ok(Asked { minted, refresh: Refresh::Used }),
            None => Refresh::Dead,
        },
    };
    match wix.client_credentials(id).await {
        Ok(minted) => Ok(Asked { minted, refresh }),
        Err(WixError::Refused(_)) => Err(Error::NeedsReconnect),
        Err(error) => Err(error.into()),
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
