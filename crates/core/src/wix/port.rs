//! The port to Wix's API.

use std::time::Duration;

use http::Method;

/// HTTP requests to Wix. No redirect is followed.
#[expect(async_fn_in_trait, reason = "every implementation is single-threaded: no future needs to be `Send`")]
pub trait Fetch {
    /// A received request whose body was not read.
    type Inbound: 'static;
    /// A response body that was not read.
    type Stream: 'static;

    /// Sends a request and reads the whole response.
    async fn send(&self, request: Outbound<'_>, timeout: Duration) -> Result<Response, SendError>;

    /// Forwards a request and returns the response with its body unread. The timeout ends with the response's head.
    async fn forward(
        &self,
        request: Forward<'_, Self::Inbound>,
        timeout: Duration,
    ) -> Result<Forwarded<Self::Stream>, SendError>;
}

/// A request of the Worker's own to Wix.
pub struct Outbound<'a> {
    /// The method.
    pub method: Method,
    /// The whole URL.
    pub url: &'a str,
    /// The `Authorization` header.
    pub authorization: Option<&'a str>,
    /// A JSON body.
    pub json: Option<&'a str>,
}

/// Wix's response. Its body may contain tokens, so it has no `Debug`.
pub struct Response {
    /// The status.
    pub status: u16,
    /// The `x-wix-request-id` header.
    pub wix_request_id: Option<String>,
    /// The `retry-after` header.
    pub retry_after: Option<String>,
    /// The body.
    pub body: Vec<u8>,
}

/// A proxied request to Wix.
pub struct Forward<'a, I> {
    /// The method.
    pub method: &'a Method,
    /// The whole URL.
    pub url: &'a str,
    /// The `Authorization` header.
    pub authorization: &'a str,
    /// All other headers, except those that the runtime sets.
    pub headers: &'a [(&'static str, String)],
    /// The body.
    pub body: &'a Body<I>,
    /// The response headers to return.
    pub wanted: &'a [&'static str],
}

/// The body of a proxied request.
pub enum Body<I> {
    /// No body.
    Empty,
    /// A body in memory, which can be replayed.
    Buffered(Vec<u8>),
    /// A body that is forwarded unread, once, and its length if that is known.
    Streamed(I, Option<u64>),
}

/// Wix's response to a proxied request.
pub struct Forwarded<S> {
    /// The status.
    pub status: u16,
    /// The wanted headers that the response has. Repeated headers are joined with `, `.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: S,
}

/// Why there is no response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The timeout passed.
    #[error("the time ran out")]
    Timeout,
    /// No connection.
    #[error("the connection could not be made or broke")]
    Unreachable,
}
