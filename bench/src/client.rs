//! A client of a few kept connections, which costs as little as it can: requests are bytes made beforehand.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

/// Connections kept, each with one request at a time.
const CONNECTIONS: usize = 4;
/// Longer bodies are read and not kept, in bytes.
const KEPT: u64 = 64 * 1024;
const PATIENCE: Duration = Duration::from_secs(30);

/// A request as it is sent, and the status that it must get.
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

    /// A request with a body of known length.
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

/// An answer, with its body if that is short.
pub struct Answer {
    head: String,
    /// Of a long one: nothing.
    pub body: Vec<u8>,
}

impl Answer {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(':'));
        lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }
}

struct Connection(BufReader<TcpStream>);

impl Connection {
    fn open(url: &str) -> Result<Self> {
        let stream = TcpStream::connect(url.trim_start_matches("http://")).context("no connection")?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self(BufReader::with_capacity(64 * 1024, stream)))
    }

    fn send(&mut self, request: &Request) -> Result<Answer> {
        self.0.get_mut().write_all(&request.bytes)?;
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            ensure!(self.0.read_line(&mut head)? > 0, "the connection was closed");
        }
        let mut answer = Answer { head, body: Vec::new() };
        let status: u16 = answer.head.get(9..12).and_then(|text| text.parse().ok()).context("no HTTP")?;
        if answer.header("transfer-encoding").is_some() {
            loop {
                let mut line = String::new();
                self.0.read_line(&mut line)?;
                let length = u64::from_str_radix(line.trim(), 16).context("no chunk")?;
                self.body(length, &mut answer.body)?;
                self.0.read_line(&mut line)?;
                if length == 0 {
                    break;
                }
            }
        } else {
            let length = answer.header("content-length").map_or(Ok(0), str::parse).context("no length")?;
            self.body(length, &mut answer.body)?;
        }
        if status != request.status {
            bail!("answered {status} in place of {}: {}", request.status, String::from_utf8_lossy(&answer.body));
        }
        Ok(answer)
    }

    fn body(&mut self, length: u64, into: &mut Vec<u8>) -> Result<()> {
        let mut part = self.0.by_ref().take(length);
        let read = if length <= KEPT {
            part.read_to_end(into)? as u64
        } else {
            std::io::copy(&mut part, &mut std::io::sink())?
        };
        ensure!(read == length, "the body was cut off");
        Ok(())
    }
}

/// Sends one request.
pub fn one(url: &str, request: &Request) -> Result<Answer> {
    Connection::open(url)?.send(request)
}

/// Sends `count` requests, those given in turns; fails at the first that gets another status than its own.
pub fn many(url: &str, requests: &[Request], count: usize) -> Result<()> {
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        let work = || -> Result<()> {
            let mut connection = Connection::open(url)?;
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return Ok(());
                }
                let request = requests.get(number % requests.len()).context("nothing to send")?;
                connection.send(request)?;
            }
        };
        let threads: Vec<_> = (0..CONNECTIONS).map(|_| scope.spawn(work)).collect();
        for thread in threads {
            thread.join().map_err(|_| anyhow::anyhow!("a connection's thread failed"))??;
        }
        Ok(())
    })
}
