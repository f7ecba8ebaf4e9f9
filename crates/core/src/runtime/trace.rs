//! The log line: one line of JSON for each request, deferred task and recheck, with ids and outcomes and no content.

use std::cell::RefCell;

use serde::Serialize;

use super::{Clock, Level, Log, Point};
use crate::values::{InstanceId, RequestId};

/// Collects the fields of a log line, which is written once, at the end of the work.
pub struct Trace {
    /// Identifies the request.
    pub request_id: RequestId,
    /// The route as in the route table, or the name of the task.
    pub route: &'static str,
    /// When the work began, in milliseconds of Unix time.
    pub started_millis: u64,
    /// `LOG_LEVEL`: the least severe line that is written.
    least: Level,
    notes: RefCell<Notes>,
}

/// The optional fields of the line.
#[derive(Debug, Default, Serialize)]
pub struct Notes {
    /// The installation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance_id: Option<InstanceId>,
    /// The name of the API key that authorized the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// `x-wix-request-id` of Wix's latest response.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wix_request_id: Option<String>,
    /// How many calls Wix got.
    #[serde(skip_serializing_if = "is_zero")]
    pub wix_calls: u32,
    /// Where the access token came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_source: Option<&'static str>,
    /// What was done, where the status does not say it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<&'static str>,
    /// Whether the object that delivers an event has stored it: `stored` or `known`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivery: Option<&'static str>,
    /// The error that the request ended with, or else the first secondary error.
    #[serde(flatten)]
    pub error: Option<Noted>,
    /// Further errors, in the order in which they happened.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub further_errors: Vec<Noted>,
}

/// An error in the log line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Noted {
    /// Its code.
    pub error: &'static str,
    /// More about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
}

#[derive(Serialize)]
struct Line<'a> {
    level: Level,
    route: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    duration_ms: u64,
    request_id: &'a str,
    #[serde(flatten)]
    notes: &'a Notes,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape that serde wants")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

impl Trace {
    /// Starts a trace.
    #[must_use]
    pub fn new(request_id: RequestId, route: &'static str, started_millis: u64, least: Level) -> Self {
        Self { request_id, route, started_millis, least, notes: RefCell::default() }
    }

    /// Starts a trace of other work for the same request.
    #[must_use]
    pub fn sibling(&self, route: &'static str, started_millis: u64) -> Self {
        Self::new(self.request_id.clone(), route, started_millis, self.least)
    }

    /// Notes the instance.
    pub fn instance(&self, id: &InstanceId) {
        self.notes.borrow_mut().instance_id = Some(id.clone());
    }

    /// Notes the client.
    pub fn client(&self, name: &str) {
        self.notes.borrow_mut().client = Some(name.to_owned());
    }

    /// Notes Wix's request id, if it is printable ASCII of at most 128 characters.
    pub fn wix_request_id(&self, id: &str) {
        if id.len() <= 128 && id.bytes().all(|byte| byte.is_ascii_graphic()) {
            self.notes.borrow_mut().wix_request_id = Some(id.to_owned());
        }
    }

    /// Counts a call to Wix.
    pub fn wix_call(&self) {
        self.wix_calls(1);
    }

    /// Counts calls to Wix.
    pub fn wix_calls(&self, count: u32) {
        self.notes.borrow_mut().wix_calls += count;
    }

    /// How many calls Wix got, and the request id of its latest response.
    #[must_use]
    pub fn of_wix(&self) -> (u32, Option<String>) {
        let notes = self.notes.borrow();
        (notes.wix_calls, notes.wix_request_id.clone())
    }

    /// Notes where the access token came from.
    pub fn token_source(&self, source: &'static str) {
        self.notes.borrow_mut().token_source = Some(source);
    }

    /// Notes where the access token came from, unless that is known. Returns what is known.
    pub fn token_source_or(&self, source: &'static str) -> &'static str {
        self.notes.borrow_mut().token_source.get_or_insert(source)
    }

    /// Notes what was done.
    pub fn outcome(&self, outcome: &'static str) {
        self.notes.borrow_mut().outcome = Some(outcome);
    }

    /// Notes what the object that delivers an event said.
    pub fn delivery(&self, delivery: &'static str) {
        self.notes.borrow_mut().delivery = Some(delivery);
    }

    /// Notes the error that the request ends with.
    pub fn error(&self, error: &'static str, cause: Option<String>) {
        let mut notes = self.notes.borrow_mut();
        let before = notes.error.replace(Noted { error, cause });
        notes.further_errors.splice(0..0, before);
    }

    /// Notes a secondary error: one that did not decide the result.
    pub fn secondary(&self, error: &'static str, cause: impl Into<Option<String>>) {
        let mut notes = self.notes.borrow_mut();
        let failure = Noted { error, cause: cause.into() };
        match &notes.error {
            None => notes.error = Some(failure),
            Some(first) if *first == failure || notes.further_errors.contains(&failure) => {}
            Some(_) => notes.further_errors.push(failure),
        }
    }

    /// Writes the data point, and the line unless it is less severe than `LOG_LEVEL`: of a request with its method and
    /// status, or of work without a request.
    pub fn write<P: Clock + Log>(&self, platform: &P, request: Option<(&str, u16)>) {
        let (level, duration) = self.measure(platform, request);
        if level >= self.least {
            platform.log(level, &self.line(level, request, duration));
        }
    }

    /// Writes the data point, whatever `LOG_LEVEL` is. Returns the level and the duration.
    pub fn measure<P: Clock + Log>(&self, platform: &P, request: Option<(&str, u16)>) -> (Level, u64) {
        let level = match request {
            Some((_, 500..)) => Level::Error,
            Some((_, 400..)) => Level::Warn,
            _ if self.has_error() => Level::Error,
            _ => Level::Info,
        };
        let duration_ms = platform.now_millis().saturating_sub(self.started_millis);
        let (method, status) = request.unwrap_or_default();
        let notes = self.notes.borrow();
        platform.measure(&Point {
            route: self.route,
            method,
            outcome: notes.outcome.unwrap_or_default(),
            error: notes.error.as_ref().map_or("", |noted| noted.error),
            level,
            token_source: notes.token_source.unwrap_or_default(),
            delivery: notes.delivery.unwrap_or_default(),
            client: notes.client.as_deref().unwrap_or_default(),
            status,
            duration_ms,
            wix_calls: notes.wix_calls.into(),
            ..Point::default()
        });
        (level, duration_ms)
    }

    /// Whether something was done or failed: other work that is done often has no line.
    #[must_use]
    pub fn is_notable(&self) -> bool {
        self.has_error() || self.notes.borrow().outcome.is_some()
    }

    fn has_error(&self) -> bool {
        self.notes.borrow().error.is_some()
    }

    fn line(&self, level: Level, request: Option<(&str, u16)>, duration_ms: u64) -> String {
        let line = Line {
            level,
            route: self.route,
            method: request.map(|(method, _)| method),
            status: request.map(|(_, status)| status),
            duration_ms,
            request_id: self.request_id.as_str(),
            notes: &self.notes.borrow(),
        };
        serde_json::to_string(&line).unwrap_or_else(|_| {
            // No field can fail to serialise. If one did, the request id would still be logged.
            format!(r#"{{"level":"error","request_id":"{}","error":"log_line"}}"#, self.request_id.as_str())
        })
    }
}
