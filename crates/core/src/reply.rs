//! What goes back: one place where results and errors become responses, for a browser, for Wix, or for a program.

use std::borrow::Cow;

use http::StatusCode;
use serde::Serialize;

use crate::error::{Error, Notice};
use crate::id::RequestId;
use crate::page;
use crate::token::COOL_DOWN;

/// A response.
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// Headers. Borrowed is what every answer of the kind has, so that the platform may keep it.
    pub headers: Vec<(&'static str, Cow<'static, str>)>,
    /// The body. It may hold a token, so a reply has no `Debug`.
    pub body: String,
}

/// Who reads the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// A person.
    Browser,
    /// Wix, or a health check: short JSON.
    Machine,
    /// The app's back end: JSON, errors as RFC 9457.
    Api,
}

const JSON: &str = "application/json";

impl Reply {
    /// JSON.
    #[must_use]
    pub fn json(status: StatusCode, value: &impl Serialize) -> Self {
        match serde_json::to_string(value) {
            Ok(body) => Self::with_body(status, JSON, body),
            // An empty 200 would be taken for an answer.
            Err(_) => Self::with_body(StatusCode::INTERNAL_SERVER_ERROR, JSON, r#"{"code":"internal"}"#.to_owned()),
        }
    }

    /// JSON that is written already.
    #[must_use]
    pub fn written_json(text: &str) -> Self {
        Self::with_body(StatusCode::OK, JSON, text.to_owned())
    }

    /// A page, with the policy that lets it be nothing but a page.
    #[must_use]
    pub fn page(status: StatusCode, page: page::Page) -> Self {
        let mut reply = Self::with_body(status, "text/html; charset=utf-8", page.html);
        reply.headers.push(("content-security-policy", page.policy.into()));
        reply
    }

    /// Sends the browser on.
    #[must_use]
    pub fn redirect(location: String) -> Self {
        let mut reply =
            Self { status: StatusCode::FOUND, headers: vec![("location", location.into())], body: String::new() };
        reply.headers.push(("content-security-policy", page::NOTHING.into()));
        reply
    }

    /// Adds a header.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    fn with_body(status: StatusCode, content_type: &'static str, body: String) -> Self {
        Self { status, headers: vec![("content-type", content_type.into())], body }
    }

    /// An error, told to whoever asked.
    #[must_use]
    pub fn error(error: &Error, audience: Audience, request_id: &RequestId) -> Self {
        let notice = error.notice();
        let mut reply = match audience {
            Audience::Browser => Self::page(notice.status, page::error(&notice, request_id)),
            Audience::Machine => Self::json(notice.status, &Problem::new(&notice, request_id)),
            Audience::Api => Self {
                headers: vec![("content-type", "application/problem+json".into())],
                ..Self::json(notice.status, &Problem::new(&notice, request_id))
            },
        };
        match error {
            Error::MethodNotAllowed(allowed) => reply.headers.push(("allow", (*allowed).into())),
            Error::Unauthorized => reply.headers.push(("www-authenticate", "Bearer".into())),
            Error::NeedsReconnect => reply.headers.push(("retry-after", COOL_DOWN.to_string().into())),
            Error::TooManyFlows => reply.headers.push(("retry-after", "60".into())),
            Error::Busy => reply.headers.push(("retry-after", "2".into())),
            _ => {}
        }
        reply
    }

    /// The headers that every answer of a kind carries.
    #[must_use]
    pub fn finish(mut self, audience: Audience, request_id: &RequestId) -> Self {
        let mut add = |name, value: &'static str| self.headers.push((name, value.into()));
        add("cache-control", "no-store");
        add("x-content-type-options", "nosniff");
        // Browsers take it over https alone (RFC 6797, 8.1).
        add("strict-transport-security", "max-age=31536000");
        if audience == Audience::Browser {
            // Wix closes the window it opened, and can only while both stay in one group; redirects count too.
            add("cross-origin-opener-policy", "unsafe-none");
            // Code and token are in URLs.
            add("referrer-policy", "no-referrer");
        }
        self.headers.push(("x-request-id", request_id.as_str().to_owned().into()));
        self
    }
}

/// What went wrong (RFC 9457), with a name for programs.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Problem<'a> {
    /// `urn:wix-edge:problem:` and the code.
    #[serde(rename = "type")]
    kind: String,
    /// What happened, in a few words for people.
    title: &'a str,
    /// The answer's status.
    status: u16,
    /// More, and what to do next. It quotes nothing of what was sent.
    detail: &'a str,
    /// What happened, for programs: stays the same.
    code: &'a str,
    /// Finds the line in the Worker's log; also in the header `x-request-id`.
    request_id: &'a str,
}

impl<'a> Problem<'a> {
    fn new(notice: &'a Notice, request_id: &'a RequestId) -> Self {
        Self {
            kind: format!("urn:wix-edge:problem:{}", notice.code),
            title: notice.title,
            status: notice.status.as_u16(),
            detail: &notice.detail,
            code: notice.code,
            request_id: request_id.as_str(),
        }
    }
}

#[cfg(test)]
#[path = "reply_tests.rs"]
mod tests;
