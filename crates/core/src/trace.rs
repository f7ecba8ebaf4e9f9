//! What one request leaves in the log: one line of JSON, with ids and outcomes and nothing that was sent.

use std::cell::RefCell;

use serde::Serialize;

use crate::id::{InstanceId, RequestId};
use crate::platform::Level;

/// Collects while a request is worked on; written once, at its end.
pub struct Trace {
    /// Names the request.
    pub request_id: RequestId,
    /// The route, as in the route table.
    pub route: &'static str,
    notes: RefCell<Notes>,
}

/// The optional fields of the line.
#[derive(Debug, Default, Clone, Serialize)]
pub struct Notes {
    /// Whose installation it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance_id: Option<InstanceId>,
    /// Which of `API_KEYS` was used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// `x-wix-request-id` of Wix's last answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wix_request_id: Option<String>,
    /// What was done, where the status does not tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<&'static str>,
    /// The error that the request ended with, or else the first of those beside it.
    #[serde(flatten)]
    pub error: Option<Noted>,
    /// Further errors, in the order in which they happened.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub further_errors: Vec<Noted>,
}

/// An error, as the log shows it.
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
    notes: Notes,
}

impl Trace {
    /// Starts with nothing known but the route.
    #[must_use]
    pub fn new(request_id: RequestId, route: &'static str) -> Self {
        Self { request_id, route, notes: RefCell::default() }
    }

    /// Notes the instance.
    pub fn instance(&self, id: &InstanceId) {
        self.notes.borrow_mut().instance_id = Some(id.clone());
    }

    /// Notes the client.
    pub fn client(&self, name: &str) {
        self.notes.borrow_mut().client = Some(name.to_owned());
    }

    /// Notes Wix's request id, as far as it is plain text of a sane length.
    pub fn wix_request_id(&self, id: &str) {
        if id.len() <= 128 && id.bytes().all(|byte| byte.is_ascii_graphic()) {
            self.notes.borrow_mut().wix_request_id = Some(id.to_owned());
        }
    }

    /// Notes what was done.
    pub fn outcome(&self, outcome: &'static str) {
        self.notes.borrow_mut().outcome = Some(outcome);
    }

    /// Notes the error that the request ends with.
    pub fn error(&self, error: &'static str, cause: Option<String>) {
        let mut notes = self.notes.borrow_mut();
        let before = notes.error.replace(Noted { error, cause });
        notes.further_errors.splice(0..0, before);
    }

    /// Notes an error beside the main thing.
    pub fn beside(&self, error: &'static str, cause: impl Into<Option<String>>) {
        let mut notes = self.notes.borrow_mut();
        let failure = Noted { error, cause: cause.into() };
        match &notes.error {
            None => notes.error = Some(failure),
            Some(first) if *first == failure || notes.further_errors.contains(&failure) => {}
            Some(_) => notes.further_errors.push(failure),
        }
    }

    /// Whether anything failed.
    #[must_use]
    pub fn has_error(&self) -> bool {
        self.notes.borrow().error.is_some()
    }

    /// The line of a request (`method` and `status`) or of work after one (neither).
    #[must_use]
    pub fn line(&self, level: Level, request: Option<(&str, u16)>, duration_ms: u64) -> String {
        let line = Line {
            level,
            route: self.route,
            method: request.map(|(method, _)| method),
            status: request.map(|(_, status)| status),
            duration_ms,
            request_id: self.request_id.as_str(),
            notes: self.notes.borrow().clone(),
        };
        serde_json::to_string(&line).unwrap_or_else(|_| {
            // Nothing in a line can fail to be JSON; if it did, the request could still be found.
            format!(r#"{{"level":"error","request_id":"{}","error":"log_line"}}"#, self.request_id.as_str())
        })
    }
}

#[cfg(test)]
#[path = "trace_tests.rs"]
mod tests;
