//! The route table: every path, its methods, who reads its answers, what a key must allow, and its handler.

use http::Method;

use crate::api_key::Scope;
use crate::config::Fault;
use crate::error::Error;
use crate::platform::Platform;
use crate::reply::{Audience, Reply};
use crate::request::Request;
use crate::task::Outcome;
use crate::{App, api, bi_event, connect, health, identity, install, openapi, proxy, redirect, webhook};

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
    /// `/connected/done`
    ConnectedDone,
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
    /// `/v1/openapi.json`
    Openapi,
    /// `/v1/…`, none of the above
    UnknownApi,
    /// None of the above
    Unknown,
}

impl Route {
    /// All that have a path of their own.
    #[cfg(test)]
    pub const ALL: [Self; 17] = [
        Self::Home,
        Self::Healthz,
        Self::Readyz,
        Self::Install,
        Self::Redirect,
        Self::Connect,
        Self::Connected,
        Self::ConnectedDone,
        Self::Webhook,
        Self::Instances,
        Self::Instance,
        Self::Token,
        Self::FinishConfiguration,
        Self::BiEvents,
        Self::Identity,
        Self::Wix,
        Self::Openapi,
    ];

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
            ["connected", "done"] => Self::ConnectedDone,
            ["webhook"] => Self::Webhook,
            ["v1", "instances"] => Self::Instances,
            ["v1", "instances", _] => Self::Instance,
            ["v1", "instances", _, "token"] => Self::Token,
            ["v1", "instances", _, "finish-configuration"] => Self::FinishConfiguration,
            ["v1", "instances", _, "bi-events"] => Self::BiEvents,
            ["v1", "identity"] => Self::Identity,
            ["v1", "instances", _, "wix", _, ..] => Self::Wix,
            ["v1", "openapi.json"] => Self::Openapi,
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

    /// Who reads the answers to a request. One to an unknown path is a person's, unless a program shows by what it sends that
    /// it meant the API: another method, a key, JSON alone, or `/v1` behind a slash too many or in capitals.
    pub fn audience_of<P: Platform>(self, platform: &P, request: &Request<P::Inbound>) -> Audience {
        let header = |name| platform.header(&request.inbound, name);
        let is_program = || {
            let first = request.path.split('/').find(|segment| !segment.is_empty());
            !matches!(request.method, Method::GET | Method::HEAD)
                || first.is_some_and(|segment| segment.eq_ignore_ascii_case("v1"))
                || header("authorization").is_some()
                || header("accept").is_some_and(|accepts| accepts.contains("json") && !accepts.contains("html"))
        };
        match self {
            Self::Unknown if is_program() => Audience::Api,
            _ => self.audience(),
        }
    }

    /// Its methods, with commas between them.
    #[cfg(test)]
    #[must_use]
    pub fn methods(self) -> &'static str {
        self.row().1
    }

    /// Those of its methods that the description names. HEAD is GET without its body.
    #[cfg(test)]
    pub fn described(self) -> impl Iterator<Item = &'static str> {
        self.methods().split(", ").filter(move |method| *method != "HEAD" || self == Self::Wix)
    }

    /// What a caller's key must allow; nothing where no key is asked for.
    #[must_use]
    pub fn scope(self) -> Option<Scope> {
        self.row().3
    }

    /// Pattern, methods, audience, scope.
    fn row(self) -> (&'static str, &'static str, Audience, Option<Scope>) {
        use Audience::{Api, Browser, Machine};
        use Scope::{Events, Instances, Proxy, Token};
        match self {
            Self::Home => ("/", "GET, HEAD", Browser, None),
            Self::Healthz => ("/healthz", "GET, HEAD", Machine, None),
            Self::Readyz => ("/readyz", "GET, HEAD", Machine, None),
            Self::Install => ("/install", "GET, HEAD", Browser, None),
            Self::Redirect => ("/redirect", "GET, HEAD", Browser, None),
            Self::Connect => ("/connect", "GET, HEAD", Browser, None),
            Self::Connected => ("/connected", "GET, HEAD", Browser, None),
            Self::ConnectedDone => ("/connected/done", "GET, HEAD", Browser, None),
            Self::Webhook => ("/webhook", "POST", Machine, None),
            Self::Instances => ("/v1/instances", "GET, HEAD", Api, Some(Instances)),
            Self::Instance => ("/v1/instances/{id}", "GET, HEAD", Api, Some(Instances)),
            Self::Token => ("/v1/instances/{id}/token", "POST", Api, Some(Token)),
            Self::FinishConfiguration => ("/v1/instances/{id}/finish-configuration", "POST", Api, Some(Events)),
            Self::BiEvents => ("/v1/instances/{id}/bi-events", "POST", Api, Some(Events)),
            Self::Identity => ("/v1/identity", "POST", Api, Some(Instances)),
            Self::Wix => ("/v1/instances/{id}/wix/…", "GET, HEAD, POST, PUT, PATCH, DELETE", Api, Some(Proxy)),
            Self::Openapi => ("/v1/openapi.json", "GET, HEAD", Api, None),
            Self::UnknownApi => ("/v1/…", "", Api, None),
            Self::Unknown => ("unknown", "", Browser, None),
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
        if self.audience() == Audience::Api && request.is_plain_text() {
            return Err(Error::HttpsRequired);
        }
        if let Some(scope) = self.scope() {
            api::authorize(app, &request.inbound, scope)?;
        }
        let segments = request.segments();
        let id = segments.get(2).copied().unwrap_or_default();
        let reply = match self {
            Self::Home => health::home(&[]),
            Self::Healthz => health::healthz(),
            Self::Readyz => health::readyz(app).await,
            Self::Install => install::install(app, &request).await?,
            Self::Redirect => return redirect::redirect(app, &request).await,
            Self::Connect => connect::connect(app, &request).await?,
            Self::Connected => return connect::connected(app, &request).await,
            Self::ConnectedDone => connect::done(),
            Self::Webhook => return webhook::webhook(app, request).await,
            Self::Instances => api::list(app, &request).await?,
            Self::Instance => api::get(app, &api::instance_id(app, id)?).await?,
            Self::Token => {
                let id = api::instance_id(app, id)?;
                api::token(app, &id, request.inbound).await?
            }
            Self::FinishConfiguration => api::finish_configuration(app, &api::instance_id(app, id)?).await?,
            Self::BiEvents => {
                let id = api::instance_id(app, id)?;
                bi_event::bi_events(app, &id, request.inbound).await?
            }
            Self::Identity => identity::identity(app, request.inbound).await?,
            Self::Openapi => openapi::openapi(),
            Self::Wix => {
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
