//! The route table. A new route is a row here and a handler in a file of its own.

use std::future::ready;

use futures::future::LocalBoxFuture;
use http::Method;

use super::api::{
    bi_events, events, export, handoffs, identity, import, instances, reconciliation, session, setup, statistics, token,
};
use super::{connect, health, install, openapi, plugins, proxy, redirect, webhook};
use crate::values::Fault;
use crate::web::{Audience, Call, Error, Outcome, Platform, Reply, Request, Scope, authorize};
use crate::wix::Fetch;

const READ: &[Method] = &[Method::GET, Method::HEAD];
const DELETE: &[Method] = &[Method::DELETE];
const POST: &[Method] = &[Method::POST];
const ANY: &[Method] = &[Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];

type Stream<P> = <P as Fetch>::Stream;
type Misconfigured<P> = fn(&[Fault]) -> Reply<Stream<P>>;
type Response<'a, P> = LocalBoxFuture<'a, Result<Outcome<P>, Error>>;

/// A row of the table.
pub struct Route<P: Platform> {
    /// The path: a name in braces stands for one segment, `…` for one or more. It is also the name in the log, which never shows the
    /// path itself.
    pub pattern: &'static str,
    /// The accepted methods.
    pub methods: &'static [Method],
    /// Who reads the responses.
    pub audience: Audience,
    /// The scope that the caller's API key must have. `None` if no key is required.
    pub scope: Option<Scope>,
    handler: for<'a> fn(Call<'a, P>) -> Response<'a, P>,
    /// The response of a route that also works with a faulty configuration.
    misconfigured: Option<Misconfigured<P>>,
}

impl<P: Platform> Route<P> {
    /// All routes. The busiest come first, since they are searched in order. The rows of one path stand together.
    #[rustfmt::skip]
    pub const ALL: &'static [Self] = &[
        Self::machine("/webhook", POST, |call| Box::pin(webhook::webhook(call))),
        Self::plugin("/plugins/…", POST, |call| Box::pin(plugins::plugins(call))),
        Self::api("/v1/instances/{id}/token", POST, Some(Scope::Token), |call| Box::pin(token::token(call))),
        Self::api("/v1/instances/{id}/wix/…", ANY, Some(Scope::Proxy), |call| Box::pin(proxy::proxy(call))),
        Self::api("/v1/instances", READ, Some(Scope::Instances), |call| Box::pin(instances::list(call))),
        Self::api("/v1/instances/{id}", READ, Some(Scope::Instances), |call| Box::pin(instances::get(call))),
        Self::api("/v1/instances/{id}", DELETE, Some(Scope::Admin), |call| Box::pin(instances::erase(call))),
        Self::api("/v1/instances/{id}/finish-configuration", POST, Some(Scope::Events), |call| Box::pin(setup::finish(call))),
        Self::api("/v1/instances/{id}/bi-events", POST, Some(Scope::Events), |call| Box::pin(bi_events::send(call))),
        Self::api("/v1/identity", POST, Some(Scope::Instances), |call| Box::pin(identity::identify(call))),
        Self::api("/v1/handoffs", POST, Some(Scope::Instances), |call| Box::pin(handoffs::take(call))),
        Self::api("/v1/instances/{id}/events", READ, Some(Scope::Events), |call| Box::pin(events::list(call))),
        Self::api("/v1/instances/{id}/events/{event_id}/redeliver", POST, Some(Scope::Events), |call| Box::pin(events::redeliver_event(call))),
        Self::api("/v1/parked-events", READ, Some(Scope::Events), |call| Box::pin(events::parked(call))),
        Self::api("/v1/parked-events/redeliver", POST, Some(Scope::Events), |call| Box::pin(events::redeliver_all(call))),
        Self::api("/v1/events/test", POST, Some(Scope::Events), |call| Box::pin(events::test(call))),
        Self::api("/v1/reconciliation", READ, Some(Scope::Instances), |call| Box::pin(reconciliation::reconciliation(call))),
        Self::api("/v1/statistics", READ, Some(Scope::Instances), |call| Box::pin(statistics::statistics(call))),
        Self::api("/v1/session", POST, Some(Scope::Admin), |call| Box::pin(ready(session::sign_in(&call)))),
        Self::api("/v1/session", DELETE, None, |call| Box::pin(ready(Ok(session::sign_out(&call))))),
        Self::api("/v1/export", READ, Some(Scope::Admin), |call| Box::pin(export::export(call))),
        Self::api("/v1/import", POST, Some(Scope::Admin), |call| Box::pin(ready(import::import(call)))),
        Self::api("/v1/openapi.json", READ, None, |_| now::<P>(openapi::openapi())),
        Self::browser("/install", |call| Box::pin(install::install(call))),
        Self::browser("/redirect", |call| Box::pin(redirect::redirect(call))),
        Self::browser("/connect", |call| Box::pin(connect::connect(call))),
        Self::browser("/connected", |call| Box::pin(connect::connected(call))),
        Self::browser("/connected/done", |call| now::<P>(connect::done(&call))),
        Self::machine("/healthz", READ, |_| now::<P>(health::healthz())).or_misconfigured(|_| health::healthz()),
        Self::machine("/readyz", READ, |call| Box::pin(health::readyz(call))).or_misconfigured(health::not_ready),
        Self::browser("/", |call| Box::pin(health::home(call))).or_misconfigured(health::home_misconfigured),
    ];

    /// A route for Wix or for monitoring.
    const fn machine(
        pattern: &'static str,
        methods: &'static [Method],
        handler: for<'a> fn(Call<'a, P>) -> Response<'a, P>,
    ) -> Self {
        Self { pattern, methods, audience: Audience::Machine, scope: None, handler, misconfigured: None }
    }

    /// A route for service plugin calls.
    const fn plugin(
        pattern: &'static str,
        methods: &'static [Method],
        handler: for<'a> fn(Call<'a, P>) -> Response<'a, P>,
    ) -> Self {
        Self { audience: Audience::Plugin, ..Self::machine(pattern, methods, handler) }
    }

    /// A route for a person's browser.
    const fn browser(pattern: &'static str, handler: for<'a> fn(Call<'a, P>) -> Response<'a, P>) -> Self {
        Self { pattern, methods: READ, audience: Audience::Browser, scope: None, handler, misconfigured: None }
    }

    /// A route of the app API.
    const fn api(
        pattern: &'static str,
        methods: &'static [Method],
        scope: Option<Scope>,
        handler: for<'a> fn(Call<'a, P>) -> Response<'a, P>,
    ) -> Self {
        Self { pattern, methods, audience: Audience::Api, scope, handler, misconfigured: None }
    }

    const fn or_misconfigured(self, reply: Misconfigured<P>) -> Self {
        Self { misconfigured: Some(reply), ..self }
    }

    fn matches(&self, segments: &[&str]) -> bool {
        let mut segments = segments.iter();
        let path = self.pattern.strip_prefix('/').unwrap_or(self.pattern);
        for part in path.split('/') {
            match (part, segments.next()) {
                ("…", Some(_)) => return true,
                (part, Some(_)) if part.starts_with('{') => {}
                (part, Some(segment)) if part == *segment => {}
                _ => return false,
            }
        }
        segments.next().is_none()
    }
}

fn now<'a, P: Platform>(reply: Reply<Stream<P>>) -> Response<'a, P> {
    Box::pin(ready(Ok(reply.into())))
}

/// The result of a search by path.
pub enum Found<P: Platform> {
    /// The first row of a path, and all its rows: each accepts other methods.
    Route(&'static Route<P>, &'static [Route<P>]),
    /// A path below `/v1` that no route has.
    UnknownApi,
    /// Another path that no route has.
    Unknown,
}

impl<P: Platform> Found<P> {
    /// Searches the table.
    #[must_use]
    pub fn of(segments: &[&str]) -> Self {
        let paths = Route::ALL.chunk_by(|one, other| one.pattern == other.pattern);
        let mut paths = paths.filter_map(|rows| Some((rows.first()?, rows)));
        match paths.find(|(first, _)| first.matches(segments)) {
            Some((first, rows)) => Self::Route(first, rows),
            None if segments.first() == Some(&"v1") => Self::UnknownApi,
            None => Self::Unknown,
        }
    }

    /// The name in the log.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Route(first, _) => first.pattern,
            Self::UnknownApi => "/v1/…",
            Self::Unknown => "unknown",
        }
    }

    /// Who reads the response to a request. The response to an unknown path is a person's, unless the request looks like one
    /// of a program: another method, an API key, an `Accept` of JSON only, or `/v1` with extra slashes or in capitals.
    pub fn audience(&self, platform: &P, request: &Request<P::Inbound>) -> Audience {
        let header = |name| platform.header(&request.inbound, name);
        let is_program = || {
            let first = request.path().split('/').find(|segment| !segment.is_empty());
            !matches!(request.method, Method::GET | Method::HEAD)
                || first.is_some_and(|segment| segment.eq_ignore_ascii_case("v1"))
                || header("authorization").is_some()
                || header("accept").is_some_and(|accepts| accepts.contains("json") && !accepts.contains("html"))
        };
        match self {
            Self::Route(first, _) => first.audience,
            Self::UnknownApi => Audience::Api,
            Self::Unknown if request.segments().first() == Some(&"plugins") => Audience::Plugin,
            Self::Unknown if is_program() => Audience::Api,
            Self::Unknown => Audience::Browser,
        }
    }

    /// The path that begins the install flow to which the route belongs.
    #[must_use]
    pub fn start(&self) -> Option<&'static str> {
        match self.name() {
            "/install" | "/redirect" => Some("/install"),
            "/connect" | "/connected" => Some("/connect"),
            _ => None,
        }
    }

    /// The route, if it accepts the method.
    fn accepting(&self, method: &Method) -> Result<&'static Route<P>, Error> {
        match self {
            Self::Route(_, rows) => rows
                .iter()
                .find(|route| route.methods.contains(method))
                .ok_or_else(|| Error::MethodNotAllowed(rows.iter().flat_map(|route| route.methods).cloned().collect())),
            Self::UnknownApi | Self::Unknown => Err(Error::NotFound),
        }
    }

    /// Whether the route answers without random bytes for a request id: it only says that the Worker runs.
    #[must_use]
    pub fn is_liveness(&self) -> bool {
        self.name() == "/healthz"
    }

    /// The response of a Worker whose configuration has faults.
    pub fn misconfigured(&self, method: &Method, faults: &[Fault]) -> Result<Reply<Stream<P>>, Error> {
        match self.accepting(method)?.misconfigured {
            Some(reply) => Ok(reply(faults)),
            None => Err(Error::Misconfigured(faults.to_vec())),
        }
    }

    /// Checks method, transport and API key, and calls the handler.
    pub async fn handle(&self, call: Call<'_, P>) -> Result<Outcome<P>, Error> {
        let route = self.accepting(&call.request.method)?;
        if route.audience == Audience::Api && call.request.is_plain_text() {
            return Err(Error::HttpsRequired);
        }
        if let Some(scope) = route.scope {
            authorize(&call, scope)?;
        }
        (route.handler)(call).await
    }
}
