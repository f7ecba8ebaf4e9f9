//! An HTTP client: follows no redirects, stores cookies only in a [`Jar`], opens a connection for each request.

use std::fmt;
use std::io::{Cursor, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use serde_json::Value;
use ureq::http;
use ureq::{Agent, Body, SendBody};
use url::Url;

/// Longer than any response takes: the Worker spends at most 15 s on calls to Wix.
const TIMEOUT: Duration = Duration::from_secs(40);

const BUFFER: usize = 16 * 1024;

static AGENT: LazyLock<Agent> = LazyLock::new(|| {
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_idle_connections(0)
        .allow_non_standard_methods(true)
        .proxy(None)
        // Each connection fills its buffers with zeros, which takes long in a debug build.
        .input_buffer_size(BUFFER)
        .output_buffer_size(BUFFER)
        .timeout_global(Some(TIMEOUT));
    config.build().into()
});

/// A request under construction.
#[derive(Clone)]
pub struct Request {
    method: String,
    url: String,
    headers: Vec<(String, String)>,
    body: Option<Vec<u8>>,
    chunked: bool,
}

/// Starts building a request.
pub fn request(method: &str, url: impl fmt::Display) -> Request {
    Request { method: method.to_owned(), url: url.to_string(), headers: Vec::new(), body: None, chunked: false }
}

/// Sends a GET request.
pub fn get(url: impl fmt::Display) -> Response {
    request("GET", url).send()
}

impl Request {
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub fn key(self, key: &str) -> Self {
        self.header("authorization", format!("Bearer {key}"))
    }

    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    pub fn json(self, value: &Value) -> Self {
        self.header("content-type", "application/json").body(value.to_string())
    }

    pub fn form(self, fields: &[(&str, &str)]) -> Self {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.header("content-type", "application/x-www-form-urlencoded").body(body)
    }

    /// Sends the body chunked, without a length.
    pub fn chunked(mut self) -> Self {
        self.chunked = true;
        self
    }

    /// Sends the request, runs `after`, and resets the connection without reading the response.
    pub fn send_and_leave(&self, after: impl FnOnce()) {
        let url = Url::parse(&self.url).expect("a URL");
        let address = url.socket_addrs(|| None).expect("an address")[0];
        let mut stream = TcpStream::connect(address).expect("a connection");
        let headers = self.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect::<Vec<_>>();
        let target = &url[url::Position::BeforePath..];
        // Closing a socket with unread data resets the connection. The unread data is the response to a first request:
        // a server may ignore a mere end of file.
        let text = format!(
            "GET /healthz HTTP/1.1\r\nhost: {address}\r\n\r\n{} {target} HTTP/1.1\r\nhost: {address}\r\n{}\r\n",
            self.method,
            headers.concat()
        );
        stream.write_all(text.as_bytes()).expect("an open connection");
        after();
    }

    /// Sends the body while it reads the response: a server that answers with what it reads stops reading if nobody reads
    /// its answer. The answer must be chunked.
    pub fn send_and_read(self) -> Response {
        let url = Url::parse(&self.url).expect("a URL");
        let address = url.socket_addrs(|| None).expect("an address");
        let mut stream = TcpStream::connect(&*address).expect("a connection");
        stream.set_read_timeout(Some(TIMEOUT)).and(stream.set_write_timeout(Some(TIMEOUT))).expect("a socket");
        let body = self.body.unwrap_or_default();
        let headers = self.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect::<Vec<_>>();
        let headers = headers.concat();
        let head = format!(
            "{} {} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n",
            self.method,
            &url[url::Position::BeforePath..],
            url.authority(),
            body.len()
        );
        let (started, mut answer) = (Instant::now(), Vec::new());
        std::thread::scope(|scope| {
            let mut writer = stream.try_clone().expect("a socket");
            scope.spawn(move || {
                writer.write_all(head.as_bytes()).and_then(|()| writer.write_all(&body)).expect("an open connection");
            });
            stream.read_to_end(&mut answer).expect("an answer");
        });
        let (head, chunks) = split(&answer, b"\r\n\r\n").expect("a head");
        let mut lines = std::str::from_utf8(head).expect("UTF-8").split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).expect("a status");
        let headers = lines.filter_map(|line| line.split_once(": "));
        let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
        let request_line = format!("{} {}", self.method, self.url);
        Response { request_line, took: started.elapsed(), status, headers, body: joined(chunks) }
    }

    pub fn send(self) -> Response {
        let request_line = format!("{} {}", self.method, self.url);
        self.try_send().unwrap_or_else(|error| panic!("{request_line}: {error}"))
    }

    pub fn try_send(self) -> Result<Response, ureq::Error> {
        let request_line = format!("{} {}", self.method, self.url);
        let mut request = http::Request::builder().method(self.method.as_str()).uri(&self.url);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let started = Instant::now();
        let response = match self.body {
            None => AGENT.run(request.body(())?)?,
            Some(body) if self.chunked => AGENT.run(request.body(SendBody::from_owned_reader(Cursor::new(body)))?)?,
            Some(body) => AGENT.run(request.body(body)?)?,
        };
        Response::read(request_line, started, response)
    }
}

fn split<'a>(bytes: &'a [u8], at: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let start = bytes.windows(at.len()).position(|window| window == at)?;
    Some((&bytes[..start], &bytes[start + at.len()..]))
}

/// The content of a chunked body.
fn joined(mut chunks: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let (length, rest) = split(chunks, b"\r\n").expect("the length of a chunk");
        let length = std::str::from_utf8(length).ok().and_then(|text| usize::from_str_radix(text, 16).ok());
        let length = length.expect("a length in hexadecimal");
        if length == 0 {
            return body;
        }
        body.extend_from_slice(&rest[..length]);
        chunks = &rest[length + 2..];
    }
}

/// A response.
#[derive(Clone)]
pub struct Response {
    request_line: String,
    pub took: Duration,
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Response {
    fn read(request_line: String, started: Instant, mut response: http::Response<Body>) -> Result<Self, ureq::Error> {
        let body = response.body_mut().with_config().limit(64 << 20).read_to_vec()?;
        let headers = response.headers().iter();
        let headers =
            headers.map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
        Ok(Self {
            request_line,
            took: started.elapsed(),
            status: response.status().as_u16(),
            headers: headers.collect(),
            body,
        })
    }

    /// Asserts the status. A failure shows the whole response.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("must be JSON ({error}): {self:?}"))
    }

    /// Whether a failed flow returns to the app.
    pub fn is_failed_flow(&self) -> bool {
        self.header("location").is_some_and(|page| page.contains("?error="))
    }

    /// The error code of a JSON response.
    #[track_caller]
    pub fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_else(|| panic!("code is missing: {self:?}")).to_owned()
    }

    #[track_caller]
    pub fn location(&self) -> Url {
        let text = self.header("location").unwrap_or_else(|| panic!("Location is missing: {self:?}"));
        Url::parse(text).unwrap_or_else(|error| panic!("Location must be a URL ({error}): {self:?}"))
    }

    #[track_caller]
    pub fn request_id(&self) -> &str {
        self.header("x-request-id").unwrap_or_else(|| panic!("x-request-id is missing: {self:?}"))
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {} after {} ms", self.request_line, self.status, self.took.as_millis())?;
        for (name, value) in &self.headers {
            writeln!(f, "  {name}: {value}")?;
        }
        let text = self.text();
        let short: String = text.chars().take(2000).collect();
        write!(f, "  {short}")
    }
}

/// A query parameter, which must occur exactly once.
#[track_caller]
pub fn parameter(url: &Url, name: &str) -> String {
    let found: Vec<String> =
        url.query_pairs().filter(|(key, _)| key == name).map(|(_, value)| value.into_owned()).collect();
    match <[String; 1]>::try_from(found) {
        Ok([value]) => value,
        Err(found) => panic!("{name} must occur once in {url}; it occurs {} times", found.len()),
    }
}

/// A browser's cookies for the Worker, as names and values. They never expire.
#[derive(Clone, Debug, Default)]
pub struct Jar(pub Vec<(String, String)>);

impl Jar {
    /// A GET request with the cookies. It does not store new ones.
    pub fn request(&self, url: impl fmt::Display) -> Request {
        let request = request("GET", url);
        if self.0.is_empty() {
            return request;
        }
        let pairs: Vec<String> = self.0.iter().map(|(name, value)| format!("{name}={value}")).collect();
        request.header("cookie", pairs.join("; "))
    }

    /// Sends a GET request with the cookies, and stores new ones.
    pub fn get(&mut self, url: impl fmt::Display) -> Response {
        let response = self.request(url).send();
        for (_, cookie) in response.headers.iter().filter(|(name, _)| name == "set-cookie") {
            let pair = cookie.split(';').next().unwrap_or_default();
            let (name, value) = pair.split_once('=').unwrap_or_else(|| panic!("must be a cookie: {cookie}"));
            self.0.retain(|(known, _)| known != name);
            self.0.push((name.to_owned(), value.to_owned()));
        }
        response
    }
}
