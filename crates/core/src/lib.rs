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

use std::rc::Rc;

use http::Method;

use config::{Config, Fault};
use error::Error;
use id::{InstanceId, RequestId};
use kv::Kv;
use memory::{Memory, Turn};
use platform::{Level, Platform};
use record::{Fact, Instance, Status};
use reply::Reply;
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
    now: Timestamp,
    trace: Trace,
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
    let started = platform.now_millis();
    let route = Route::of(&request.segments());
    let audience = route.audience();
    let method = request.method.clone();

    let mut random = [0; 16];
    let unlucky = platform.random(&mut random).err();
    let trace = Trace::new(RequestId::new(random), route.name());

    let (result, app) = match &shared.config {
        _ if unlucky.is_some() && route != Route::Healthz => {
            let cause = unlucky.map(|error| error.0).unwrap_or_default();
            (Err(Error::Internal(cause)), Err((platform, trace)))
        }
        Err(faults) => (route.misconfigured(&method, faults).map(Outcome::from), Err((platform, trace))),
        Ok(config) => {
            let app = App::new(platform, config, shared, started, trace);
            (route.handle(&app, request).await, Ok(app))
        }
    };
    let (platform, trace) = match &app {
        Ok(app) => (&app.platform, &app.trace),
        Err((platform, trace)) => (platform, trace),
    };

    let Outcome { mut reply, task, mut stream } = result.unwrap_or_else(|error| {
        trace.error(error.notice().code, error.cause());
        Reply::error(&error, audience, &trace.request_id).into()
    });
    if method == Method::HEAD {
        reply.body.clear();
        stream = None;
    }
    let reply = reply.finish(audience, &trace.request_id);
    log(platform, trace, started, Some((&method, reply.status.as_u16())));

    let follow_up = app.ok().zip(task).map(|(app, task)| FollowUp { app, task });
    Answered { reply, stream, follow_up }
}

/// Does what is due: for the Cron Trigger.
pub async fn scheduled<P: Platform>(platform: P, shared: &Shared) {
    let started = platform.now_millis();
    let mut random = [0; 16];
    let _ = platform.random(&mut random);
    let trace = Trace::new(RequestId::new(random), "cron");
    match &shared.config {
        Err(faults) => {
            let error = Error::Misconfigured(faults.clone());
            trace.error(error.notice().code, error.cause());
            log(&platform, &trace, started, None);
        }
        Ok(config) => {
            let mut app = App::new(platform, config, shared, started, trace);
            if let Err(error) = cron::run(&mut app).await {
                app.note::<()>(Err(error));
                app.log();
            }
        }
    }
}

impl<P: Platform> FollowUp<P> {
    /// Does the work, with a line in the log of its own.
    pub async fn run(self) {
        let Self { mut app, task } = self;
        app.started_millis = app.platform.now_millis();
        app.trace = Trace::new(app.trace.request_id.clone(), task.name());
        app.trace.instance(task.instance());
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
        let now = Timestamp::from_millis(started_millis);
        let now = Timestamp(now.0.saturating_add_signed(config.clock_offset_seconds));
        Self { platform, config: Rc::clone(config), memory: Rc::clone(&shared.memory), started_millis, now, trace }
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
        Kv::new(&self.platform, &self.config)
    }

    fn wix(&self) -> Wix<'_, P> {
        Wix::new(&self.platform, &self.config, &self.trace, self.started_millis)
    }

    /// How this request takes part in work on Wix that it may share: KV before and after takes time as well.
    fn turn(&self, force: bool) -> Turn {
        Turn {
            force,
            lead_millis: wix::DEADLINE_MILLIS + 5_000,
            wait_until_millis: self.started_millis + wix::DEADLINE_MILLIS,
        }
    }

    /// The origin that Wix and browsers see.
    fn origin(&self, request: &Request<P::Inbound>) -> String {
        self.config.public_url.clone().unwrap_or_else(|| request.url.origin().ascii_serialization())
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
        self.kv().learn(id, fact, self.now).await?;
        self.kv().settle(id).await.map(|_| ())
    }

    /// Puts down in the log what failed beside the main thing.
    fn note<T>(&self, result: Result<T, Error>) {
        if let Err(error) = result {
            self.trace.error(error.notice().code, error.cause());
        }
    }
}
