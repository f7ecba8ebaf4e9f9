//! The route table: every path, its methods, who reads its answers, and its handler.

use http::Method;

use crate::api_key::Scope;
use crate::config::Fault;
use crate::error::Error;
use crate::platform::Platform;
use crate::reply::{Audience, Reply};
use crate::request::Request;
use crate::task::Outcome;
use crate::{App, api, bi_event, connect, health, identity, install, proxy, redirect, webhook};

/// A route, as found by path alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// `/`
    Home,
    /// `/healthz`
    Healthz,
    /// `/readyz`
    Readyz,
    /// `/install`
    Install,
    /// `/redirect`
    Redirect,
    /// `/connect`
    Connect,
    /// `/connected`
    Connected,
    /// `/webhook`
    Webhook,
    /// `/v1/instances`
    Instances,
    /// `/v1/instances/{id}`
    Instance,
    /// `/v1/instances/{id}/token`
    Token,
    /// `/v1/instances/{id}/finish-configuration`
    FinishConfiguration,
    /// `/v1/instances/{id}/bi-events`
    BiEvents,
    /// `/v1/identity`
    Identity,
    /// `/v1/instances/{id}/wix/{path…}`
    Wix,
    /// `/v1/…`, none of the above
    UnknownApi,
    /// None of the above
    Unknown,
}

impl Route {
    /// Finds the route of a path.
    #[must_use]
    pub fn of(segments: &[&str]) -> Self {
        match segments {
            [""] => Self::Home,
            ["healthz"] => Self::Healthz,
            ["readyz"] => Self::Readyz,
            ["install"] => Self::Install,
            ["redirect"] => Self::Redirect,
            ["connect"] => Self::Connect,
            ["connected"] => Self::Connected,
            ["webhook"] => Self::Webhook,
            ["v1", "instances"] => Self::Instances,
            ["v1", "instances", _] => Self::Instance,
            ["v1", "instances", _, "token"] => Self::Token,
            ["v1", "instances", _, "finish-configuration"] => Self::FinishConfiguration,
            ["v1", "instances", _, "bi-events"] => Self::BiEvents,
            ["v1", "identity"] => Self::Identity,
            ["v1", "instances", _, "wix", _, ..] => Self::Wix,
            ["v1", ..] => Self::UnknownApi,
            _ => Self::Unknown,
        }
    }

    /// Its name in the log: the path's pattern, never the path.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().0
    }

    /// Who reads its answers.
    #[must_use]
    pub fn audience(self) -> Audience {
        self.row().2
    }

    /// Pattern, methods, audience.
    fn row(self) -> (&'static str, &'static str, Audience) {
        use Audience::{Api, Browser, Machine};
        match self {
            Self::Home => ("/", "GET, HEAD", Browser),
            Self::Healthz => ("/healthz", "GET, HEAD", Machine),
            Self::Readyz => ("/readyz", "GET, HEAD", Machine),
            Self::Install => ("/install", "GET", Browser),
            Self::Redirect => ("/redirect", "GET", Browser),
            Self::Connect => ("/connect", "GET", Browser),
            Self::Connected => ("/connected", "GET", Browser),
            Self::Webhook => ("/webhook", "POST", Machine),
            Self::Instances => ("/v1/instances", "GET", Api),
            Self::Instance => ("/v1/instances/{id}", "GET", Api),
            Self::Token => ("/v1/instances/{id}/token", "POST", Api),
            Self::FinishConfiguration => ("/v1/instances/{id}/finish-configuration", "POST", Api),
            Self::BiEvents => ("/v1/instances/{id}/bi-events", "POST", Api),
            Self::Identity => ("/v1/identity", "POST", Api),
            Self::Wix => ("/v1/instances/{id}/wix/…", "GET, HEAD, POST, PUT, PATCH, DELETE", Api),
            Self::UnknownApi => ("/v1/…", "", Api),
            Self::Unknown => ("unknown", "", Browser),
        }
    }

    fn check_method(self, method: &Method) -> Result<(), Error> {
        match self.row().1 {
            "" => Err(Error::NotFound),
            methods if methods.split(", ").any(|allowed| allowed == method.as_str()) => Ok(()),
            methods => Err(Error::MethodNotAllowed(methods)),
        }
    }

    /// What a route answers whose configuration has faults.
    pub fn misconfigured(self, method: &Method, faults: &[Fault]) -> Result<Reply, Error> {
        self.check_method(method)?;
        match self {
            Self::Healthz => Ok(health::healthz()),
            Self::Readyz => Ok(health::not_ready(faults)),
            Self::Home => Ok(health::home(faults)),
            _ => Err(Error::Misconfigured(faults.to_vec())),
        }
    }

    /// Calls the handler.
    pub async fn handle<P: Platform>(
        self,
        app: &App<P>,
        request: Request<P::Inbound>,
    ) -> Result<Outcome<P::Stream>, Error> {
        self.check_method(&request.method)?;
        let segments = request.segments();
        let id = segments.get(2).copied().unwrap_or_default();
        let reply = match self {
            Self::Home => health::home(&[]),
            Self::Healthz => health::healthz(),
            Self::Readyz => health::readyz(app).await?,
            Self::Install => install::install(app, &request)?,
            Self::Redirect => return redirect::redirect(app, &request).await,
            Self::Connect => connect::connect(app, &request)?,
            Self::Connected => return connect::connected(app, &request).await,
            Self::Webhook => return webhook::webhook(app, request).await,
            Self::Instances => {
                api::authorize(app, &request.inbound, Scope::Instances)?;
                api::list(app, &request).await?
            }
            Self::Instance => {
                api::authorize(app, &request.inbound, Scope::Instances)?;
                api::get(app, &api::instance_id(app, id)?).await?
            }
            Self::Token => {
                api::authorize(app, &request.inbound, Scope::Token)?;
                let id = api::instance_id(app, id)?;
                api::token(app, &id, request.inbound).await?
            }
            Self::FinishConfiguration => {
                api::authorize(app, &request.inbound, Scope::Events)?;
                api::finish_configuration(app, &api::instance_id(app, id)?).await?
            }
            Self::BiEvents => {
                api::authorize(app, &request.inbound, Scope::Events)?;
                let id = api::instance_id(app, id)?;
                bi_event::bi_events(app, &id, request.inbound).await?
            }
            Self::Identity => {
                api::authorize(app, &request.inbound, Scope::Instances)?;
                identity::identity(app, request.inbound).await?
            }
            Self::Wix => {
                api::authorize(app, &request.inbound, Scope::Proxy)?;
                let id = api::instance_id(app, id)?;
                return proxy::proxy(app, &id, request).await;
            }
            Self::UnknownApi | Self::Unknown => return Err(Error::NotFound),
        };
        Ok(reply.into())
    }
}

#[cfg(test)]
#[path = "route_tests.rs"]
mod tests;
