//! A request: the method is parsed, and of the URL what a route asks for; headers and body stay in the platform's memory.

use std::ops::RangeInclusive;

use http::Method;
use percent_encoding::percent_decode_str;
use url::{Host, Url, form_urlencoded};

use super::Error;
use crate::values::{InstanceId, Ref};

const REF: Error = Error::BadRequest("ref", "it must be 1 to 512 characters, none of them a control character");

/// A request.
pub struct Request<I> {
    /// The method.
    pub method: Method,
    /// The whole URL, as the platform received it.
    url: String,
    /// Headers and body, which the platform reads.
    pub inbound: I,
}

impl<I> Request<I> {
    /// A request to this URL. It is not parsed as a whole, since that takes CPU and few routes need it.
    #[must_use]
    pub fn new(method: Method, url: String, inbound: I) -> Self {
        Self { method, url, inbound }
    }

    /// The path as the client sent it: dot segments are not resolved.
    #[must_use]
    pub fn path(&self) -> &str {
        let rest = self.url.split_once("://").map_or(&*self.url, |(_, rest)| rest);
        let path = rest.find(['/', '\\', '?', '#']).and_then(|at| rest.get(at..)).unwrap_or_default();
        path.split(['?', '#']).next().unwrap_or_default()
    }

    /// The query as the client sent it, without its question mark.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        let url = self.url.split('#').next().unwrap_or_default();
        url.split_once('?').map(|(_, query)| query)
    }

    /// A query parameter. A repeated one is refused, since it is ambiguous.
    pub fn parameter(&self, name: &'static str) -> Result<Option<String>, Error> {
        let pairs = form_urlencoded::parse(self.query().unwrap_or_default().as_bytes());
        let mut values = pairs.filter(|(key, _)| key == name).map(|(_, value)| value.into_owned());
        let value = values.next();
        if values.next().is_some() { Err(Error::BadRequest(name, "it must be given once")) } else { Ok(value) }
    }

    /// An optional query parameter that must be a whole number of a range.
    pub fn number(
        &self,
        name: &'static str,
        range: RangeInclusive<u16>,
        problem: &'static str,
    ) -> Result<Option<u16>, Error> {
        let Some(text) = self.parameter(name)? else { return Ok(None) };
        let is_digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse().ok().filter(|number| is_digits && range.contains(number));
        number.map(Some).ok_or(Error::BadRequest(name, problem))
    }

    /// An optional query parameter that must be a GUID.
    pub fn guid(&self, name: &'static str) -> Result<Option<InstanceId>, Error> {
        let text = self.parameter(name)?;
        let id = text.map(|text| InstanceId::parse(&text)).transpose();
        id.map_err(|_| Error::BadRequest(name, "it must be a GUID"))
    }

    /// The optional query parameter `ref`. An empty one counts as absent.
    pub fn reference(&self) -> Result<Option<Ref>, Error> {
        let text = self.parameter("ref")?.filter(|text| !text.is_empty());
        // The parameter was decoded with replacement characters in place of what is not UTF-8.
        let is_text = || self.query().is_none_or(|query| percent_decode_str(query).decode_utf8().is_ok());
        text.map(|text| Ref::parse(&text).filter(|_| is_text()).ok_or(REF)).transpose()
    }

    /// The segments of the path, as sent. A trailing slash is ignored, except where an id or a path of Wix's API may follow.
    #[must_use]
    pub fn segments(&self) -> Vec<&str> {
        let path = self.path();
        let path = path.strip_prefix('/').unwrap_or(path);
        let mut segments: Vec<&str> = path.split('/').collect();
        match segments[..] {
            [_, .., ""] if !matches!(segments[..], ["v1", "instances", ""] | ["v1", "instances", _, "wix", ..]) => {
                segments.pop();
            }
            _ => {}
        }
        segments
    }

    /// The origin to which the request was sent.
    #[must_use]
    pub fn origin(&self) -> String {
        Url::parse(&self.url).map(|url| url.origin().ascii_serialization()).unwrap_or_default()
    }

    /// Whether the request was sent in plain text over a public network. Requests from this machine were not, nor those by a
    /// service binding, whose host has one label.
    #[must_use]
    pub fn is_plain_text(&self) -> bool {
        !self.url.starts_with("https://")
            && match Url::parse(&self.url).ok().as_ref().and_then(Url::host) {
                Some(Host::Domain(name)) => name.trim_end_matches('.').contains('.') && !is_localhost(name),
                Some(Host::Ipv4(address)) => !address.is_loopback(),
                Some(Host::Ipv6(address)) => !address.is_loopback(),
                None => true,
            }
    }
}

/// Whether a host name is a loopback name (RFC 6761, 6.3).
#[must_use]
pub fn is_localhost(name: &str) -> bool {
    let name = name.trim_end_matches('.');
    name == "localhost" || name.ends_with(".localhost")
}

#[cfg(test)]
mod tests;
