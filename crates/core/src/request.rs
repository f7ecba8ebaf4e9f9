//! A request as the core sees it: method and URL read, headers and body still outside.

use http::Method;
use url::{ParseError, Url};

use crate::error::Error;

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

    /// The path's segments, as written.
    #[must_use]
    pub fn segments(&self) -> Vec<&str> {
        self.path.strip_prefix('/').unwrap_or(&self.path).split('/').collect()
    }
}

/// What stands between host and query.
fn written_path(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let path = rest.find(['/', '\\', '?', '#']).and_then(|at| rest.get(at..)).unwrap_or_default();
    path.split(['?', '#']).next().unwrap_or_default()
}
