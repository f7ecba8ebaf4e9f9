//! A request as the core sees it: method and URL read, headers and body still outside.

use http::Method;
use url::Url;

use crate::error::Error;

/// A request.
pub struct Request<I> {
    /// The method.
    pub method: Method,
    /// The whole URL, as the client sees it.
    pub url: Url,
    /// Headers and body, to be asked for through the platform.
    pub inbound: I,
}

impl<I> Request<I> {
    /// A query parameter. One that comes twice is refused: it could be read in two ways.
    pub fn parameter(&self, name: &'static str) -> Result<Option<String>, Error> {
        let mut values = self.url.query_pairs().filter(|(key, _)| key == name).map(|(_, value)| value.into_owned());
        let value = values.next();
        if values.next().is_some() { Err(Error::BadRequest(name, "it is given twice")) } else { Ok(value) }
    }

    /// The path's segments, as written.
    #[must_use]
    pub fn segments(&self) -> Vec<&str> {
        self.url.path_segments().map(Iterator::collect).unwrap_or_default()
    }
}
