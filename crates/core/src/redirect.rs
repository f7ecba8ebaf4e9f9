//! `GET /redirect`: Wix's Redirect URL. Exchanges the code, proves whose it is, stores, and sends the browser on
//! (Wix's rules 3.3, 4 to 6).

use url::Url;

use crate::App;
use crate::config::FinishConfiguration;
use crate::error::Error;
use crate::id::InstanceId;
use crate::platform::Platform;
use crate::record::{Fact, Kind};
use crate::reply::Reply;
use crate::request::Request;
use crate::secret::{AccessToken, AuthorizationCode};
use crate::state::{self, Purpose};
use crate::task::{Outcome, Task};
use crate::token;
use crate::wix::WixError;

/// Longest code taken; its form is not documented.
const CODE_LIMIT: usize = 8192;
const STATE_LIMIT: usize = 512;

struct Callback {
    code: AuthorizationCode,
    instance: InstanceId,
}

/// Answers with the redirect to Wix's page that closes the window, or to `AFTER_INSTALL_URL`.
pub async fn redirect<P: Platform>(app: &App<P>, request: &Request<P::Inbound>) -> Result<Outcome, Error> {
    let callback = parse(app, request)?;
    app.trace.instance(&callback.instance);

    let wix = app.wix();
    let minted = wix.authorization_code(&callback.code).await.map_err(|error| match error {
        WixError::Refused(status) => Error::CodeRefused(status),
        error => error.into(),
    })?;
    let info = wix.token_info(&minted.access_token).await.map_err(|error| match error {
        WixError::Refused(_) => Error::NotProven("Wix does not know the token that it gave"),
        error => error.into(),
    })?;
    let (proven, site) = info.prove(&app.config().app_id).map_err(Error::NotProven)?;
    if proven != callback.instance {
        return Err(Error::NotProven("the token is for another instance than the browser named"));
    }

    let fact = Fact { at: app.now, kind: Kind::Connected { site } };
    app.kv().learn(&proven, vec![fact], minted.refresh_token.as_ref()).await?;
    app.memory().keep(&proven, token::token(&minted, app.now));

    let task = match app.config().finish_configuration {
        FinishConfiguration::OnInstall => Task::FinishConfiguration(proven),
        FinishConfiguration::OnRequest | FinishConfiguration::Never => Task::Settle(proven),
    };
    Ok(Outcome { reply: Reply::redirect(next_page(app, &minted.access_token)?), task: Some(task) })
}

/// The state is looked at first, so that what has not begun here tells nothing about the rest.
fn parse<P: Platform>(app: &App<P>, request: &Request<P::Inbound>) -> Result<Callback, Error> {
    let state = request.parameter("state")?.filter(|state| state.len() <= STATE_LIMIT);
    let state = state.ok_or(Error::State(state::StateError::Invalid))?;
    let cookies = app.platform.header(&request.inbound, "cookie");
    state::check(&app.config().state_keys, Purpose::Install, app.now, &state, cookies.as_deref())?;

    let code = request.parameter("code")?.filter(|code| !code.is_empty() && code.len() <= CODE_LIMIT);
    let code = code.ok_or(Error::BadRequest("code", "it is missing: the installation was not finished at Wix"))?;
    let instance = request.parameter("instanceId")?;
    let instance = instance.ok_or(Error::BadRequest("instanceId", "it is missing"))?;
    let instance = InstanceId::parse(&instance).map_err(|_| Error::BadRequest("instanceId", "it is no GUID"))?;
    Ok(Callback { code: AuthorizationCode::new(code), instance })
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
