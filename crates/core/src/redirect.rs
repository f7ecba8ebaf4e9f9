//! `GET /redirect`: Wix's Redirect URL. Exchanges the code, proves whose it is, stores, and sends the browser on
//! (Wix's rules 3.3, 4 to 6).
//!
//! A code is good for one exchange. So what a flow's exchange brought is remembered until its state ends: by this isolate,
//! and sealed in KV for the others. Whoever opens the same redirect again gets the same page; where storing failed, it is
//! tried again without another exchange.

use http::Method;
use url::Url;

use crate::App;
use crate::error::Error;
use crate::id::{InstanceId, SiteId};
use crate::kv::STORE_AGAIN;
use crate::memory::Token;
use crate::platform::Platform;
use crate::record::{Fact, Kind, Status};
use crate::reply::Reply;
use crate::request::Request;
use crate::secret::{AccessToken, AuthorizationCode, RefreshToken};
use crate::state::{self, Flow, Purpose, StateError};
use crate::task::{Outcome, Task};
use crate::time::Timestamp;
use crate::token;
use crate::wix::WixError;

/// Longest code taken; its form is not documented.
const CODE_LIMIT: usize = 8192;

struct Callback {
    flow: Flow,
    code: AuthorizationCode,
    instance: InstanceId,
}

/// What the exchange of a code brought, proven by token info.
#[derive(Clone)]
pub struct Exchanged {
    /// The instance, as Wix says.
    pub instance: InstanceId,
    /// Its site, as Wix says.
    pub site: Option<SiteId>,
    /// When.
    pub at: Timestamp,
    /// The access token.
    pub token: Token,
    /// The refresh token; none where this comes from KV, since it was stored beside it.
    pub refresh_token: Option<RefreshToken>,
    /// Whether this isolate has stored it.
    pub stored: bool,
}

/// Answers with the redirect to Wix's page that closes the window, or to `AFTER_INSTALL_URL`.
pub async fn redirect<P: Platform>(app: &App<P>, request: &Request<P::Inbound>) -> Result<Outcome<P::Stream>, Error> {
    let callback = match parse(app, request) {
        Err(Error::State(StateError::OtherOrigin)) => return Ok(app.begin_again(request, "/install")),
        callback => callback?,
    };
    app.trace.instance(&callback.instance);

    let known = &app.memory().exchanged;
    let exchanged = if let Some(exchanged) = known.value(&callback.flow) {
        exchanged
    } else {
        known.share(&app.platform, &callback.flow, app.turn(false), exchange(app, &callback)).await?
    };
    if exchanged.instance != callback.instance {
        return Err(Error::NotProven("the token is for another instance than the browser named"));
    }
    let is_news = store(app, &callback.flow, &exchanged).await?;

    let outcome = Outcome::from(Reply::redirect(next_page(app, &exchanged.token.access_token)?));
    if !is_news {
        app.trace.outcome("known");
        return Ok(outcome);
    }
    Ok(outcome.with_task(Task::after_install(app.config(), exchanged.instance)))
}

/// The state is looked at first, so that what has not begun here tells nothing about the rest.
fn parse<P: Platform>(app: &App<P>, request: &Request<P::Inbound>) -> Result<Callback, Error> {
    let flow = state::returned(app, request, Purpose::Install)?.flow;
    // A browser that only looks ahead must not use up the code.
    let purpose = app.platform.header(&request.inbound, "sec-purpose");
    if request.method == Method::HEAD || purpose.is_some_and(|purpose| purpose.contains("prefetch")) {
        return Err(Error::Prefetch);
    }

    let code = request.parameter("code")?.filter(|code| !code.is_empty() && code.len() <= CODE_LIMIT);
    let code = code.ok_or(Error::BadRequest("code", "it is missing: the installation was not finished at Wix"))?;
    let instance = request.guid("instanceId")?.ok_or(Error::BadRequest("instanceId", "it is missing"))?;
    Ok(Callback { flow, code: AuthorizationCode::new(code), instance })
}

async fn exchange<P: Platform>(app: &App<P>, callback: &Callback) -> Result<Exchanged, Error> {
    // One exchange for a flow: whatever code comes next was not made by Wix for it.
    if app.memory().is_flow_refused(&callback.flow) {
        return Err(Error::CodeRefused(None));
    }
    if let Some(exchanged) = app.kv().exchanged(&callback.flow, &callback.instance).await? {
        return Ok(exchanged);
    }
    let wix = app.wix();
    let (at, minted) = match app.memory().take_unproven(&callback.flow) {
        Some(unproven) => unproven,
        None => match wix.authorization_code(&callback.code).await {
            Ok(minted) => (app.now(), minted),
            Err(WixError::Refused(status)) => {
                // Perhaps it was used a moment ago, in another isolate.
                let exchanged = app.kv().exchanged(&callback.flow, &callback.instance).await?;
                if exchanged.is_none() {
                    app.memory().refuse_flow(&callback.flow);
                }
                return exchanged.ok_or(Error::CodeRefused(Some(status)));
            }
            Err(error) => return Err(error.into()),
        },
    };
    let info = match wix.token_info(&minted.access_token).await {
        Ok(info) => info,
        Err(error) => {
            // The code is used up: whoever opens the redirect again goes on from here.
            app.memory().keep_unproven(&callback.flow, at, minted);
            return Err(match error {
                WixError::Refused(_) => Error::NotProven("Wix does not know the token that it gave"),
                error => error.into(),
            });
        }
    };
    let (instance, site) = info.prove(&app.config().app_id).map_err(Error::NotProven)?;
    let token = token::token(&minted, at);
    Ok(Exchanged { instance, site, at, token, refresh_token: minted.refresh_token, stored: false })
}

/// Stores what the exchange brought, unless that was done. Whether it was news. The fact carries the time of the exchange,
/// so that storing twice stores the same.
async fn store<P: Platform>(app: &App<P>, flow: &Flow, exchanged: &Exchanged) -> Result<bool, Error> {
    let (memory, id) = (app.memory(), &exchanged.instance);
    let fact = || Fact::new(exchanged.at, Kind::Connected { site: exchanged.site.clone() });
    // By then the refresh token may be another one, and the installation too.
    let done = Exchanged { refresh_token: None, stored: true, ..exchanged.clone() };
    if exchanged.stored {
        return Ok(false);
    }
    if exchanged.refresh_token.is_none() && app.kv().knows(id, &fact()).await? {
        memory.exchanged.keep(flow, done);
        return Ok(false);
    }
    let mut pauses = STORE_AGAIN.into_iter();
    let learnt = loop {
        match (app.kv().connect(flow, exchanged, fact()).await, pauses.next()) {
            (Ok(learnt), _) => break learnt,
            (Err(_), Some(pause)) => app.platform.sleep(pause).await,
            (Err(error), None) => return Err(Error::InstallNotStored(error.cause().unwrap_or_default())),
        }
    };
    memory.exchanged.keep(flow, done);
    let is_present = learnt.removed.is_none_or(|removed| removed <= exchanged.at);
    if learnt.instance.status != Status::Removed
        && is_present
        && memory.tokens.value(id).is_none_or(|token| token.checked_at <= exchanged.at)
    {
        memory.tokens.keep(id, exchanged.token.clone());
        memory.clear_cool_down(id);
    }
    Ok(true)
}

fn next_page<P: Platform>(app: &App<P>, token: &AccessToken) -> Result<String, Error> {
    if let Some(url) = &app.config().after_install_url {
        return Ok(url.clone());
    }
    let mut close = Url::parse(&format!("{}/installer/close-window", app.config().wix_site_url))
        .map_err(|_| Error::Internal("WIX_SITE_URL makes no URL".to_owned()))?;
    close.query_pairs_mut().append_pair("access_token", token.expose());
    Ok(close.into())
}

#[cfg(test)]
#[path = "redirect_tests.rs"]
mod tests;
