//! An HTTP client with little overhead: persistent connections, and requests that are serialised in advance.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

/// The number of persistent connections, each with one request at a time.
const CONNECTIONS: usize = 4;
/// The length up to which a body is stored, in bytes. Longer bodies are read and discarded.
const MAX_STORED: u64 = 64 * 1024;
const TIMEOUT: Duration = Duration::from_secs(30);

/// A serialised request, and the status that its response must have.
#[derive(Clone)]
pub struct Request {
    bytes: Vec<u8>,
    status: u16,
}

impl Request {
    /// A request without a body.
    pub fn new(method: &str, path: &str, headers: &[(&str, &str)], status: u16) -> Self {
        Self::with_body(method, path, headers, None, status)
    }

    /// A request with a body and its `Content-Length`.
    pub fn with_body(method: &str, path: &str, headers: &[(&str, &str)], body: Option<&[u8]>, status: u16) -> Self {
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n");
        for (name, value) in headers {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        if let Some(body) = body {
            let _ = write!(head, "content-length: {}\r\n", body.len());
        }
        let mut bytes = (head + "\r\n").into_bytes();
        bytes.extend_from_slice(body.unwrap_or_default());
        Self { bytes, status }
    }
}

/// A response.
pub struct Response {
    head: String,
    /// The body, if it is short; empty otherwise.
    pub body: Vec<u8>,
}

impl Response {
    /// The names of its headers.
    pub fn header_names(&self) -> BTreeSet<String> {
        self.head.lines().filter_map(|line| line.split_once(':')).map(|(name, _)| name.to_ascii_lowercase()).collect()
    }

    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(':'));
        lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }
}

struct Connection(BufReader<TcpStream>);

impl Connection {
    fn open(url: &str) -> Result<Self> {
        let stream =
            TcpStream::connect(url.trim_start_matches("http://")).context("could not connect to the Worker")?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        Ok(Self(BufReader::with_capacity(64 * 1024, stream)))
    }

    fn send(&mut self, request: &Request) -> Result<Response> {
        self.0.get_mut().write_all(&request.bytes)?;
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            ensure!(self.0.read_line(&mut head)? > 0, "the connection was closed");
        }
        let mut response = Response { head, body: Vec::new() };
        let status: u16 =
            response.head.get(9..12).and_then(|text| text.parse().ok()).context("the response has no status")?;
        if response.header("transfer-encoding").is_some() {
            loop {
                let mut line = String::new();
                self.0.read_line(&mut line)?;
                let length = u64::from_str_radix(line.trim(), 16).context("a chunk has no length")?;
                self.read_body(length, &mut response.body)?;
                self.0.read_line(&mut line)?;
                if length == 0 {
                    break;
                }
            }
        } else {
            let length = response
                .header("content-length")
                .map_or(Ok(0), str::parse)
                .context("Content-Length must be a number")?;
            self.read_body(length, &mut response.body)?;
        }
        if status != request.status {
            bail!("the status must be {}; it is {status}: {}", request.status, String::from_utf8_lossy(&response.body));
        }
        Ok(response)
    }

    fn read_body(&mut self, length: u64, into: &mut Vec<u8>) -> Result<()> {
        let mut part = self.0.by_ref().take(length);
        let read = if length <= MAX_STORED {
            part.read_to_end(into)? as u64
        } else {
            std::io::copy(&mut part, &mut std::io::sink())?
        };
        ensure!(read == length, "the body ended early");
        Ok(())
    }
}

/// Sends one request.
pub fn one(url: &str, request: &Request) -> Result<Response> {
    Connection::open(url)?.send(request)
}

/// How many requests to send.
#[derive(Clone, Copy, Debug)]
pub enum Amount {
    /// A number of requests.
    Count(usize),
    /// As many as are answered in this time, and at least one on each connection.
    For(Duration),
}

/// Open connections to a Worker.
pub struct Client(Vec<Connection>);

impl Client {
    /// Opens the connections. The runtime closes one that is idle for five seconds.
    pub fn open(url: &str) -> Result<Self> {
        (0..CONNECTIONS).map(|_| Connection::open(url)).collect::<Result<_>>().map(Self)
    }

    /// Sends requests, cycling through `requests`. Returns how many were answered, and fails at the first response with a
    /// wrong status.
    pub fn send(&mut self, requests: &[Request], amount: Amount) -> Result<usize> {
        let (next, started) = (AtomicUsize::new(0), Instant::now());
        let work = |connection: &mut Connection| -> Result<usize> {
            let mut sent = 0;
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let is_over = match amount {
                    Amount::Count(count) => number >= count,
                    Amount::For(time) => sent > 0 && started.elapsed() >= time,
                };
                if is_over {
                    return Ok(sent);
                }
                let request = requests.get(number % requests.len()).context("requests must not be empty")?;
                connection.send(request)?;
                sent += 1;
            }
        };
        thread::scope(|scope| {
            let threads: Vec<_> = self.0.iter_mut().map(|connection| scope.spawn(|| work(connection))).collect();
            let sent = threads
                .into_iter()
                .map(|thread| thread.join().map_err(|_| anyhow::anyhow!("the thread of a connection panicked"))?);
            sent.sum()
        })
    }
}

/// Sends `count` requests on connections of their own.
pub fn many(url: &str, requests: &[Request], count: usize) -> Result<()> {
    Client::open(url)?.send(requests, Amount::Count(count)).map(|_| ())
}
