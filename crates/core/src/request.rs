//! A request as the core sees it: method and URL read, headers and body still outside.

use http::Method;
use url::{Host, ParseError, Url};

use crate::error::Error;
use crate::id::InstanceId;

/// A request.
pub struct Request<I> {
    /// The method.
    pub method: Method,
    /// The whole URL, as the client sees it.
    pub url: Url,
    /// The path as the client wrote it. In that of `url` dot segments are resolved, and more.
    pub path: String,
    /// Headers and body, to be asked for through the platform.
    pub inbound: I,
}

impl<I> Request<I> {
    /// Takes the URL as the platform has it.
    pub fn new(method: Method, url: &str, inbound: I) -> Result<Self, ParseError> {
        Ok(Self { method, url: Url::parse(url)?, path: written_path(url).to_owned(), inbound })
    }

    /// A query parameter. One that comes twice is refused: it could be read in two ways.
    pub fn parameter(&self, name: &'static str) -> Result<Option<String>, Error> {
        let mut values = self.url.query_pairs().filter(|(key, _)| key == name).map(|(_, value)| value.into_owned());
        let value = values.next();
        if values.next().is_some() { Err(Error::BadRequest(name, "it is given twice")) } else { Ok(value) }
    }

    /// A query parameter that must be a GUID where it is given.
    pub fn guid(&self, name: &'static str) -> Result<Option<InstanceId>, Error> {
        let text = self.parameter(name)?;
        let id = text.map(|text| InstanceId::parse(&text)).transpose();
        id.map_err(|_| Error::BadRequest(name, "it must be a GUID"))
    }

    /// The path's segments, as written. A slash at its end makes no other path, but where an id or a path of Wix's may stand.
    #[must_use]
    pub fn segments(&self) -> Vec<&str> {
        let path = self.path.strip_prefix('/').unwrap_or(&self.path);
        let mut segments: Vec<&str> = path.split('/').collect();
        match segments[..] {
            [_, .., ""] if !matches!(segments[..], ["v1", "instances", ""] | ["v1", "instances", _, "wix", ..]) => {
                segments.pop();
            }
            _ => {}
        }
        segments
    }

    /// The origin at which it arrived.
    #[must_use]
    pub fn origin(&self) -> String {
        self.url.origin().ascii_serialization()
    }

    /// Whether it came in plain text over a public network: not from this machine, nor by a service binding, whose host has
    /// one label.
    #[must_use]
    pub fn is_plain_text(&self) -> bool {
        self.url.scheme() == "http"
            && match self.url.host() {
                Some(Host::Domain(name)) => name.trim_end_matches('.').contains('.') && !is_localhost(name),
                Some(Host::Ipv4(address)) => !address.is_loopback(),
                Some(Host::Ipv6(address)) => !address.is_loopback(),
                None => true,
            }
    }
}

/// Whether a name is this machine's (RFC 6761, 6.3).
#[must_use]
pub fn is_localhost(name: &str) -> bool {
    let name = name.trim_end_matches('.');
    name == "localhost" || name.ends_with(".localhost")
}

/// What stands between host and query.
fn written_path(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let path = rest.find(['/', '\\', '?', '#']).and_then(|at| rest.get(at..)).unwrap_or_default();
    path.split(['?', '#']).next().unwrap_or_default()
}
