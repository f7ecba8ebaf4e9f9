//! The core of wix-edge: everything that the Worker decides. It knows no platform; the traits that the platform implements
//! are re-exported here.
//!
//! Each module uses only modules below it in this list. A test keeps that order.
//!
//! | Module | Contract |
//! |---|---|
//! | `lib.rs` | the ways in: [`handle`] for a request, [`scheduled`] for the Cron Trigger; [`object_fetch`], [`object_deliver`] and [`object_alarm`] for the object of an installation |
//! | `object` | the ways in for the object of an installation |
//! | `config` | environment names → the settings of the modules, with all faults at once |
//! | `routes` | the addresses: parse, use case, response |
//! | `web` | requests, responses and errors of HTTP |
//! | `background` | deferred tasks and rechecks |
//! | `instances` | the use cases |
//! | `delivery` | events to the app: the object of an installation, and what it is sent |
//! | `store` | the records in KV |
//! | `wix` | Wix's requests, messages and responses |
//! | `crypto` | sealing, public keys, the state of a flow |
//! | `runtime` | clock, randomness, log; single flight, bounded maps, backoff |
//! | `facts` | the record of an instance, as a pure function of facts |
//! | `values` | ids, times, secrets, JSON |

mod background;
mod config;
mod crypto;
mod delivery;
mod facts;
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;
mod instances;
mod object;
mod routes;
mod runtime;
mod store;
mod values;
mod web;
mod wix;

#[cfg(test)]
mod layers;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use config::{Binding, Config};
pub use crypto::{Crypto, PublicKey, SealingKey};
pub use delivery::{
    Alarm, Answer, BackEnd, Lease, ObjectError, ObjectPorts, ObjectReply, Objects, Post, Sql, SqlValue, Target,
};
pub use runtime::{Clock, Entropy, Level, Log, PlatformError, Point, Signal};
pub use store::{KvKey, KvNamespace, KvOptions, KvPage};
pub use values::Fault;
pub use web::{Body as ReplyBody, BodyError, InFlight, Platform, Reply, Request, Requests};
pub use wix::{Body, Fetch, Forward, Forwarded, HeldJws, JwsLimits, Outbound, Response, SendError};

use std::rc::Rc;

use http::Method;

use background::{Task, reconcile_slice, run_rechecks};
use instances::{Cache, Context, Work};
pub use instances::{HasWorker, ObjectPlatform};
pub use object::{object_alarm, object_deliver, object_fetch};
use routes::{Found, answer_lines};
use runtime::Trace;
use values::RequestId;
use web::{Audience, Call, Error, Outcome, View, preferred};

/// What the requests of one isolate share.
pub struct Shared {
    config: Result<Rc<Config>, Vec<Fault>>,
    cache: Rc<Cache>,
}

impl Shared {
    /// Takes the configuration or its faults.
    #[must_use]
    pub fn new(config: Result<Config, Vec<Fault>>) -> Self {
        Self { config: config.map(Rc::new), cache: Rc::default() }
    }

    /// `LOG_LEVEL`; with a faulty configuration every line is written.
    fn log_level(&self) -> Level {
        self.config.as_ref().map_or(Level::Info, |config| config.instances.log_level)
    }
}

/// Owns what a context borrows, for the length of a request and of its deferred task.
struct App<P> {
    platform: P,
    config: Rc<Config>,
    cache: Rc<Cache>,
    work: Work,
}

impl<P: Platform> App<P> {
    fn context(&self) -> Context<'_, P> {
        let Self { platform, config, cache, work } = self;
        Context { platform, settings: &config.instances, cache, work, own: None }
    }
}

/// The response to a request, and the deferred work.
pub struct Answered<P: Platform> {
    /// The response.
    pub reply: Reply<P::Stream>,
    /// The work to run after the response.
    pub follow_up: Option<FollowUp<P>>,
}

/// The deferred work of a request.
pub struct FollowUp<P: Platform> {
    app: App<P>,
    deferred: Deferred<P>,
}

/// See [`FollowUp`].
enum Deferred<P: Platform> {
    Task(Task),
    /// The lines of the body are answered.
    Lines(P::Duplex),
}

/// Answers a request, and writes its log line.
pub async fn handle<P: Platform>(platform: P, shared: &Shared, request: Request<P::Inbound>) -> Answered<P> {
    let found = Found::<P>::of(&request.segments());
    let audience = found.audience(&platform, &request);
    let languages = (audience == Audience::Browser).then(|| platform.header(&request.inbound, "accept-language"));
    let end = End { audience, method: request.method.clone(), languages: languages.flatten(), start: found.start() };
    let (trace, random) = new_trace(&platform, found.name(), shared.log_level());
    if let Err(error) = random
        && !found.is_liveness()
    {
        let (reply, _) = end.conclude(&platform, &trace, None, Err(error.into()));
        return Answered { reply, follow_up: None };
    }
    let config = match &shared.config {
        Ok(config) => Rc::clone(config),
        Err(faults) => {
            let result = found.misconfigured(&request.method, faults).map(Outcome::from);
            let (reply, _) = end.conclude(&platform, &trace, None, result);
            return Answered { reply, follow_up: None };
        }
    };
    let app = App { platform, config, cache: Rc::clone(&shared.cache), work: Work::new(trace) };
    let result = found.handle(Call { cx: app.context(), settings: &app.config.web, request }).await;
    let (reply, deferred) = end.conclude(&app.platform, &app.work.trace, Some(&app.config.web), result);
    Answered { reply, follow_up: deferred.map(|deferred| FollowUp { app, deferred }) }
}

/// What the end of a request needs from its start.
struct End {
    audience: Audience,
    method: Method,
    /// `Accept-Language` of a browser.
    languages: Option<String>,
    /// See [`Found::start`].
    start: Option<&'static str>,
}

impl End {
    /// Turns the result into a response, and writes the log line.
    fn conclude<P: Platform>(
        self,
        platform: &P,
        trace: &Trace,
        settings: Option<&web::Settings>,
        result: Result<Outcome<P>, Error>,
    ) -> (Reply<P::Stream>, Option<Deferred<P>>) {
        let Outcome { mut reply, task, lines } = result.unwrap_or_else(|error| {
            trace.error(error.notice().code, error.cause());
            let texts = preferred(self.languages.as_deref());
            let view = View { texts, settings, start: self.start, request_id: &trace.request_id };
            Reply::error(&error, self.audience, &view).into()
        });
        if self.method == Method::HEAD {
            reply.body = ReplyBody::Empty;
        }
        let reply = reply.finish(self.audience, &trace.request_id);
        trace.write(platform, Some((known_method(&self.method), reply.status.as_u16())));
        (reply, lines.map(Deferred::Lines).or(task.map(Deferred::Task)))
    }
}

/// A trace with a request id, which is all zeros if there are no random bytes.
fn new_trace<P: Clock + Entropy>(platform: &P, name: &'static str, least: Level) -> (Trace, Result<(), PlatformError>) {
    let mut random = [0; 16];
    let filled = platform.random(&mut random);
    (Trace::new(RequestId::new(random), name, platform.now_millis(), least), filled)
}

/// Runs the rechecks that are due, for the Cron Trigger.
pub async fn scheduled<P: Platform>(platform: P, shared: &Shared) {
    let (trace, random) = new_trace(&platform, "cron", shared.log_level());
    let config = match (&shared.config, random) {
        (Ok(config), Ok(())) => config,
        (Err(faults), _) => return fail(&platform, &trace, &Error::Misconfigured(faults.clone())),
        (_, Err(error)) => return fail(&platform, &trace, &error.into()),
    };
    let app = App { platform, config: Rc::clone(config), cache: Rc::clone(&shared.cache), work: Work::new(trace) };
    run_rechecks(&app.context()).await;
    reconcile_slice(&app.context()).await;
    // A run has no line of its own unless it failed, but a data point.
    if !app.work.trace.is_notable() {
        app.work.trace.measure(&app.platform, None);
    }
}

/// Writes the log line of work that could not begin.
fn fail<P: Clock + Log>(platform: &P, trace: &Trace, error: &Error) {
    trace.error(error.notice().code, error.cause());
    trace.write(platform, None);
}

impl<P: Platform> FollowUp<P> {
    /// Runs the deferred task, with a log line of its own.
    pub async fn run(self) {
        let Self { mut app, deferred } = self;
        app.work = match &deferred {
            Deferred::Task(task) => app.work.next(&app.platform, task.name(), task.instance()),
            Deferred::Lines(_) => Work::new(app.work.trace.sibling("task import", app.platform.now_millis())),
        };
        let cx = app.context();
        match &deferred {
            Deferred::Task(task) => cx.note(task.run(&cx).await),
            Deferred::Lines(duplex) => answer_lines(&cx, duplex).await,
        }
        cx.trace().write(&app.platform, None);
    }
}

/// The name of a method of HTTP. The log does not show a method that a client invented.
fn known_method(method: &Method) -> &str {
    let known = [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS];
    if known.contains(method) { method.as_str() } else { "other" }
}
