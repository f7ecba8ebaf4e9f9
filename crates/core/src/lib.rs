//! The app: what wix-edge decides. It knows no platform; `platform.rs` is the seam.
//!
//! One way in, [`App::handle`], and one way out, [`task::Outcome`]: the answer, and what is to be done after it.

pub mod api;
pub mod api_key;
pub mod bi_event;
pub mod config;
pub mod connect;
pub mod cron;
pub mod doubt;
pub mod error;
pub mod finish;
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;
pub mod health;
pub mod id;
pub mod identity;
pub mod install;
pub mod json;
pub mod jwt;
pub mod kv;
pub mod memory;
pub mod openapi;
pub mod page;
pub mod platform;
pub mod proxy;
pub mod public_key;
pub mod record;
pub mod redirect;
pub mod reply;
pub mod request;
pub mod route;
pub mod seal;
pub mod secret;
pub mod signed_instance;
pub mod state;
pub mod task;
pub mod time;
pub mod token;
pub mod trace;
pub mod webhook;
pub mod wix;

#[cfg(test)]
mod fake;

use std::net::Ipv6Addr;
use std::rc::Rc;

use http::Method;

use config::{Config, Fault};
use error::Error;
use id::{InstanceId, RequestId};
use kv::{Kv, Recheck};
use memory::{Memory, Turn};
use platform::{Level, Platform, PlatformError};
use record::{Fact, Instance, Status};
use reply::{Audience, Reply};
use request::Request;
use route::Route;
use task::{Outcome, Task};
use time::Timestamp;
use trace::Trace;
use wix::Wix;

/// What the requests of one isolate share.
pub struct Shared {
    config: Result<Rc<Config>, Vec<Fault>>,
    memory: Rc<Memory>,
}

impl Shared {
    /// Takes the configuration, or everything that is wrong with it.
    #[must_use]
    pub fn new(config: Result<Config, Vec<Fault>>) -> Self {
        Self { config: config.map(Rc::new), memory: Rc::default() }
    }
}

/// The app, for the length of one request and of the work after it.
pub struct App<P> {
    platform: P,
    config: Rc<Config>,
    memory: Rc<Memory>,
    started_millis: u64,
    trace: Trace,
    recheck: Recheck,
}

/// A request's answer, and the work that is left.
pub struct Answered<P: Platform> {
    /// What goes back.
    pub reply: Reply,
    /// The body of it that was not read here, in place of the reply's own.
    pub stream: Option<P::Stream>,
    /// What is to be run when the answer is on its way.
    pub follow_up: Option<FollowUp<P>>,
}

/// Work after the answer.
pub struct FollowUp<P> {
    app: App<P>,
    task: Task,
}

/// Answers a request, and writes its line to the log.
pub async fn handle<P: Platform>(platform: P, shared: &Shared, request: Request<P::Inbound>) -> Answered<P> {
    let route = Route::of(&request.segments());
    let audience = route.audience_of(&platform, &request);
    let end = End { started: platform.now_millis(), audience, method: request.method.clone() };
    let (trace, unlucky) = new_trace(&platform, route.name());

    let early = match &shared.config {
        _ if unlucky.is_err() && route != Route::Healthz => Err(unlucky.err()),
        Err(faults) => Ok(route.misconfigured(&request.method, faults)),
        Ok(config) => {
            let app = App::new(platform, config, shared, end.started, trace);
            let result = route.handle(&app, request).await;
            let (reply, stream, task) = end.conclude(&app.platform, &app.trace, result);
            return Answered { reply, stream, follow_up: task.map(|task| FollowUp { app, task }) };
        }
    };
    let early = early.unwrap_or_else(|error| Err(Error::Internal(error.map(|error| error.0).unwrap_or_default())));
    let (reply, stream, _) = end.conclude(&platform, &trace, early.map(Outcome::from));
    Answered { reply, stream, follow_up: None }
}

/// What the end of a request needs to know of its beginning.
struct End {
    started: u64,
    audience: Audience,
    method: Method,
}

impl End {
    /// Turns a result into a response, and writes the line.
    fn conclude<P: Platform>(
        self,
        platform: &P,
        trace: &Trace,
        result: Result<Outcome<P::Stream>, Error>,
    ) -> (Reply, Option<P::Stream>, Option<Task>) {
        let Outcome { mut reply, task, mut stream } = result.unwrap_or_else(|error| {
            trace.error(error.notice().code, error.cause());
            Reply::error(&error, self.audience, &trace.request_id).into()
        });
        if self.method == Method::HEAD {
            reply.body.clear();
            stream = None;
        }
        let reply = reply.finish(self.audience, &trace.request_id);
        log(platform, trace, self.started, Some((&self.method, reply.status.as_u16())));
        (reply, stream, task)
    }
}

/// A trace with a request id, or with zeros where there are no random bytes.
fn new_trace<P: Platform>(platform: &P, route: &'static str) -> (Trace, Result<(), PlatformError>) {
    let mut random = [0; 16];
    let filled = platform.random(&mut random);
    (Trace::new(RequestId::new(random), route), filled)
}

/// Does what is due: for the Cron Trigger.
pub async fn scheduled<P: Platform>(platform: P, shared: &Shared) {
    let started = platform.now_millis();
    let (trace, filled) = new_trace(&platform, "cron");
    let config = match (&shared.config, filled) {
        (Ok(config), Ok(())) => config,
        (Err(faults), _) => return fail(&platform, &trace, started, &Error::Misconfigured(faults.clone())),
        (_, Err(error)) => return fail(&platform, &trace, started, &error.into()),
    };
    let mut app = App::new(platform, config, shared, started, trace);
    if let Err(error) = cron::run(&mut app).await {
        app.note::<()>(Err(error));
        app.log();
    }
}

/// The line of work that could not begin.
fn fail<P: Platform>(platform: &P, trace: &Trace, started: u64, error: &Error) {
    trace.error(error.notice().code, error.cause());
    log(platform, trace, started, None);
}

impl<P: Platform> FollowUp<P> {
    /// Does the work, with a line in the log of its own.
    pub async fn run(self) {
        let Self { mut app, task } = self;
        app.restart(task.name(), task.instance());
        app.note(task.run(&app).await);
        app.log();
    }
}

fn log<P: Platform>(platform: &P, trace: &Trace, started: u64, request: Option<(&Method, u16)>) {
    let level = match request {
        Some((_, 500..)) => Level::Error,
        Some((_, 400..)) => Level::Warn,
        _ if trace.has_error() => Level::Error,
        _ => Level::Info,
    };
    let request = request.map(|(method, status)| (known_method(method), status));
    let duration = platform.now_millis().saturating_sub(started);
    platform.log(level, &trace.line(level, request, duration));
}

/// A method's name, if it is one of HTTP's: what a client makes up does not belong in the log.
fn known_method(method: &Method) -> &str {
    let known = [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS];
    if known.contains(method) { method.as_str() } else { "other" }
}

impl<P: Platform> App<P> {
    fn new(platform: P, config: &Rc<Config>, shared: &Shared, started_millis: u64, trace: Trace) -> Self {
        Self {
            platform,
            config: Rc::clone(config),
            memory: Rc::clone(&shared.memory),
            started_millis,
            trace,
            recheck: Recheck::default(),
        }
    }

    /// Begins another piece of work, with a time and a log line of its own.
    fn restart(&mut self, name: &'static str, id: &InstanceId) {
        self.started_millis = self.platform.now_millis();
        self.trace = Trace::new(self.trace.request_id.clone(), name);
        self.trace.instance(id);
    }

    /// When this request, or this piece of work, began.
    fn now(&self) -> Timestamp {
        self.in_our_time(self.started_millis)
    }

    /// The present moment.
    fn clock(&self) -> Timestamp {
        self.in_our_time(self.platform.now_millis())
    }

    fn in_our_time(&self, millis: u64) -> Timestamp {
        Timestamp(Timestamp::from_millis(millis).0.saturating_add_signed(self.config.clock_offset_seconds))
    }

    /// The line of work that is no request.
    fn log(&self) {
        log(&self.platform, &self.trace, self.started_millis, None);
    }

    fn config(&self) -> &Config {
        &self.config
    }

    fn memory(&self) -> &Memory {
        &self.memory
    }

    fn kv(&self) -> Kv<'_, P> {
        Kv::new(&self.platform, &self.config).noting(&self.trace).with_recheck(&self.recheck)
    }

    fn wix(&self) -> Wix<'_, P> {
        let credentials = &self.memory.credentials_refused;
        Wix::new(&self.platform, &self.config, &self.trace, credentials, self.started_millis)
    }

    /// How this request takes part in work on Wix that it may share: KV before and after takes time as well.
    fn turn(&self, force: bool) -> Turn {
        Turn {
            force,
            lead_millis: wix::DEADLINE_MILLIS + 5_000,
            wait_until_millis: self.started_millis + wix::DEADLINE_MILLIS,
        }
    }

    /// The origin that Wix and browsers see. A public one is https: what came as http was sent in plain text on its way.
    fn origin(&self, request: &Request<P::Inbound>) -> String {
        let own = || {
            let origin = request.origin();
            match origin.strip_prefix("http:") {
                Some(rest) if request.is_plain_text() => format!("https:{rest}"),
                _ => origin,
            }
        };
        self.config.public_url.clone().unwrap_or_else(own)
    }

    /// Lets a browser begin a flow, unless too many were begun from its address.
    async fn begin_flow(&self, request: &Request<P::Inbound>) -> Result<(), Error> {
        let Some(client) = self.platform.header(&request.inbound, "cf-connecting-ip") else { return Ok(()) };
        match self.platform.is_within_rate(&network(&client)).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(Error::TooManyFlows),
            // To begin a flow costs nothing here, so that a broken limiter need not stop an installation.
            Err(error) => {
                self.note::<()>(Err(error.into()));
                Ok(())
            }
        }
    }

    /// Sends a browser to the beginning of a flow, at the origin where it keeps the cookie.
    fn begin_again(&self, request: &Request<P::Inbound>, path: &str) -> Outcome<P::Stream> {
        self.trace.outcome("begun_again");
        Reply::redirect(format!("{}{path}", self.origin(request))).into()
    }

    /// The instance, unless it is unknown or removed. A row that says "removed" may lag behind a newer installation,
    /// so it is checked against the facts before anybody is turned away.
    async fn installed(&self, id: &InstanceId) -> Result<Instance, Error> {
        let row = self.kv().instance(id).await?.ok_or(Error::UnknownInstance)?;
        if row.status != Status::Removed {
            return Ok(row);
        }
        match self.kv().folded(id).await? {
            Some(instance) if instance.status != Status::Removed => Ok(instance),
            _ => Err(Error::RemovedInstance),
        }
    }

    /// Adds a fact that came up while the request was worked on.
    async fn learn(&self, id: &InstanceId, fact: Fact) -> Result<(), Error> {
        self.kv().learn(id, fact, self.now()).await?;
        self.kv().settle(id).await.map(|_| ())
    }

    /// Puts down in the log what failed beside the main thing.
    fn note<T>(&self, result: Result<T, Error>) {
        if let Err(error) = result {
            self.trace.beside(error.notice().code, error.cause());
        }
    }
}

/// A client's address, as far as one client cannot choose it: of IPv6 the first 64 bits (RFC 6177).
fn network(address: &str) -> String {
    let address = address.trim();
    match address.parse::<Ipv6Addr>() {
        Ok(six) if !address.contains('.') => {
            let [a, b, c, d, ..] = six.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
        _ => address.to_owned(),
    }
}

#[cfg(test)]
#[path = "lib_tests.rs"]
mod tests;
