//! Responses: the one place where results and errors become responses for a browser, for Wix, or for a program.

use std::borrow::Cow;

use http::StatusCode;
use serde::Serialize;

use super::error::list;
use super::{Error, Notice, Platform, View, owner, page};
use crate::background::Task;
use crate::instances::{COOL_DOWN, InstanceError};
use crate::values::RequestId;

/// A response. Its body may contain a token, so it has no `Debug`.
pub struct Reply<S> {
    /// The status.
    pub status: StatusCode,
    /// The headers. A borrowed value is the same in every response of its kind, so that the platform may cache it.
    pub headers: Vec<(&'static str, Cow<'static, str>)>,
    /// The body.
    pub body: Body<S>,
}

/// The body of a response.
pub enum Body<S> {
    /// No body.
    Empty,
    /// A text.
    Text(String),
    /// A body of Wix's that is forwarded unread, or one that is written while the request is received.
    Stream(S),
}

/// The result of a handler.
pub struct Outcome<P: Platform> {
    /// The response.
    pub reply: Reply<P::Stream>,
    /// The deferred task.
    pub task: Option<Task>,
    /// The body of a request that is answered line by line while it is received.
    pub lines: Option<P::Duplex>,
}

impl<P: Platform> From<Reply<P::Stream>> for Outcome<P> {
    fn from(reply: Reply<P::Stream>) -> Self {
        Self { reply, task: None, lines: None }
    }
}

/// Who reads a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// A person with a browser.
    Browser,
    /// Wix or a health check: short JSON.
    Machine,
    /// Wix, in a service plugin call: JSON, with errors in the form of service plugins (docs/wix.md, 4.8).
    Plugin,
    /// The app's back end: JSON, with errors in the form of RFC 9457.
    Api,
}

const JSON: &str = "application/json";
const NDJSON: &str = "application/x-ndjson";

impl<S> Reply<S> {
    /// JSON.
    #[must_use]
    pub fn json(status: StatusCode, value: &impl Serialize) -> Self {
        match serde_json::to_string(value) {
            Ok(body) => Self::with_body(status, JSON, body),
            // An empty 200 would look like a success.
            Err(_) => Self::with_body(StatusCode::INTERNAL_SERVER_ERROR, JSON, r#"{"code":"internal"}"#.to_owned()),
        }
    }

    /// Serialised JSON.
    #[must_use]
    pub fn serialised_json(status: StatusCode, text: String) -> Self {
        Self::with_body(status, JSON, text)
    }

    /// NDJSON: each line is JSON.
    #[must_use]
    pub fn ndjson(lines: &[String]) -> Self {
        let mut body = lines.join("\n");
        if !body.is_empty() {
            body.push('\n');
        }
        Self::with_body(StatusCode::OK, NDJSON, body)
    }

    /// NDJSON that is still to be written.
    #[must_use]
    pub fn ndjson_stream(stream: S) -> Self {
        Self { body: Body::Stream(stream), ..Self::with_body(StatusCode::OK, NDJSON, String::new()) }
    }

    /// A page, with its Content-Security-Policy.
    #[must_use]
    pub fn page(status: StatusCode, page: page::Page) -> Self {
        let mut reply = Self::with_body(status, "text/html; charset=utf-8", page.html);
        reply.headers.push(("content-security-policy", page.policy.into()));
        reply
    }

    /// A page for site owners, in the language of the view.
    #[must_use]
    pub fn for_owner(status: StatusCode, view: &View<'_>, page: page::Page) -> Self {
        Self::page(status, page).with_header("content-language", view.texts.lang())
    }

    /// A redirect of the browser.
    #[must_use]
    pub fn redirect(location: String) -> Self {
        let mut reply =
            Self { status: StatusCode::FOUND, headers: vec![("location", location.into())], body: Body::Empty };
        reply.headers.push(("content-security-policy", page::NOTHING.into()));
        reply
    }

    /// A response without a body.
    #[must_use]
    pub fn empty(status: StatusCode) -> Self {
        Self { status, headers: Vec::new(), body: Body::Empty }
    }

    /// Adds a header.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    fn with_body(status: StatusCode, content_type: &'static str, body: String) -> Self {
        Self { status, headers: vec![("content-type", content_type.into())], body: Body::Text(body) }
    }

    /// An error, in the form for its reader.
    #[must_use]
    pub fn error(error: &Error, audience: Audience, view: &View<'_>) -> Self {
        let (notice, request_id) = (error.notice(), view.request_id);
        let mut reply = match audience {
            Audience::Browser => Self::for_owner(notice.status, view, view.error(error)),
            Audience::Machine => Self::json(notice.status, &Problem::new(&notice, request_id)),
            Audience::Plugin => Self::json(notice.status, &PluginError::new(&notice, request_id)),
            Audience::Api => Self {
                headers: vec![("content-type", "application/problem+json".into())],
                ..Self::json(notice.status, &Problem::new(&notice, request_id))
            },
        };
        match error {
            Error::MethodNotAllowed(allowed) => reply.headers.push(("allow", list(allowed).into())),
            Error::Unauthorized => reply.headers.push(("www-authenticate", "Bearer".into())),
            Error::Instance(InstanceError::NeedsReconnect) => {
                reply.headers.push(("retry-after", COOL_DOWN.to_string().into()));
            }
            Error::Instance(InstanceError::RateLimited { wait_seconds }) => {
                reply.headers.push(("retry-after", wait_seconds.to_string().into()));
            }
            Error::TooManyFlows => reply.headers.push(("retry-after", "60".into())),
            Error::Busy => reply.headers.push(("retry-after", "2".into())),
            _ if audience == Audience::Browser => {
                reply.headers.extend(owner::retry_after(error).map(|seconds| ("retry-after", seconds.into())));
            }
            _ => {}
        }
        reply
    }

    /// Adds the headers of every response to this kind of reader.
    #[must_use]
    pub fn finish(mut self, audience: Audience, request_id: &RequestId) -> Self {
        let mut add = |name, value: &'static str| self.headers.push((name, value.into()));
        add("cache-control", "no-store");
        add("x-content-type-options", "nosniff");
        // Browsers ignore it over http (RFC 6797, 8.1).
        add("strict-transport-security", "max-age=31536000");
        if audience == Audience::Browser {
            // Wix closes the window that it opened. It can do so only while both are in one browsing context group, which
            // each redirect may leave.
            add("cross-origin-opener-policy", "unsafe-none");
            // URLs contain the code and the token.
            add("referrer-policy", "no-referrer");
        }
        self.headers.push(("x-request-id", request_id.as_str().to_owned().into()));
        self
    }
}

/// An error in the form that service plugins answer with.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PluginError<'a> {
    application_error: ApplicationError<'a>,
}

#[derive(Serialize)]
struct ApplicationError<'a> {
    code: &'a str,
    data: ErrorData<'a>,
}

#[derive(Serialize)]
struct ErrorData<'a> {
    detail: &'a str,
    request_id: &'a str,
}

impl<'a> PluginError<'a> {
    fn new(notice: &'a Notice, request_id: &'a RequestId) -> Self {
        let data = ErrorData { detail: &notice.detail, request_id: request_id.as_str() };
        Self { application_error: ApplicationError { code: notice.code, data } }
    }
}

/// An error (RFC 9457), with a code for programs.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Problem<'a> {
    /// `/problems#` and the code: the section on the Worker's page of problems that describes it.
    #[serde(rename = "type")]
    kind: String,
    /// What happened, for people.
    title: &'a str,
    /// The status of the response.
    status: u16,
    /// Details, and what to do next. It quotes nothing of the request.
    detail: &'a str,
    /// What happened, for programs. It never changes.
    code: &'a str,
    /// The id of the request in the Worker's log, also in the header `x-request-id`.
    request_id: &'a str,
}

impl<'a> Problem<'a> {
    fn new(notice: &'a Notice, request_id: &'a RequestId) -> Self {
        Self {
            // Relative, so that it quotes nothing of the request and is one identifier for all deployments.
            kind: format!("/problems#{}", notice.code),
            title: notice.title,
            status: notice.status.as_u16(),
            detail: &notice.detail,
            code: notice.code,
            request_id: request_id.as_str(),
        }
    }
}
