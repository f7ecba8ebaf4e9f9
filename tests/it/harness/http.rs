//! HTTP as a stranger speaks it: no redirects followed, no cookies kept unless a jar is used, one connection a request.

use std::fmt;
use std::io::{Cursor, Write as _};
use std::net::TcpStream;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use serde_json::Value;
use ureq::http::{Request, Response};
use ureq::{Agent, Body, SendBody};
use url::Url;

/// Longer than the Worker ever takes: Wix's 15 s, and some.
const PATIENCE: Duration = Duration::from_secs(40);

static AGENT: LazyLock<Agent> = LazyLock::new(|| {
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_idle_connections(0)
        .allow_non_standard_methods(true)
        .proxy(None)
        .timeout_global(Some(PATIENCE));
    config.build().into()
});

/// A request being put together.
#[derive(Clone)]
pub struct Ask {
    method: String,
    url: String,
    headers: Vec<(String, String)>,
    body: Option<Vec<u8>>,
    chunked: bool,
}

/// Begins a request.
pub fn ask(method: &str, url: impl fmt::Display) -> Ask {
    Ask { method: method.to_owned(), url: url.to_string(), headers: Vec::new(), body: None, chunked: false }
}

/// A plain GET.
pub fn get(url: impl fmt::Display) -> Answer {
    ask("GET", url).send()
}

impl Ask {
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

    /// The body goes without a length, in chunks.
    pub fn chunked(mut self) -> Self {
        self.chunked = true;
        self
    }

    /// Sends it over a connection that is reset after something else, whatever is under way.
    pub fn send_and_leave(&self, after: impl FnOnce()) {
        let url = Url::parse(&self.url).expect("a URL");
        let address = url.socket_addrs(|| None).expect("an address")[0];
        let mut stream = TcpStream::connect(address).expect("a connection");
        let headers = self.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect::<Vec<_>>();
        let target = &url[url::Position::BeforePath..];
        // The answer to the first request is never read, so that the connection is reset when it is closed: a server need
        // not see the mere end of what it may read.
        let text = format!(
            "GET /healthz HTTP/1.1\r\nhost: {address}\r\n\r\n{} {target} HTTP/1.1\r\nhost: {address}\r\n{}\r\n",
            self.method,
            headers.concat()
        );
        stream.write_all(text.as_bytes()).expect("it goes out");
        after();
    }

    pub fn send(self) -> Answer {
        let asked = format!("{} {}", self.method, self.url);
        self.try_send().unwrap_or_else(|error| panic!("{asked}: {error}"))
    }

    pub fn try_send(self) -> Result<Answer, ureq::Error> {
        let asked = format!("{} {}", self.method, self.url);
        let mut request = Request::builder().method(self.method.as_str()).uri(&self.url);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let started = Instant::now();
        let response = match self.body {
            None => AGENT.run(request.body(())?)?,
            Some(body) if self.chunked => AGENT.run(request.body(SendBody::from_owned_reader(Cursor::new(body)))?)?,
            Some(body) => AGENT.run(request.body(body)?)?,
        };
        Answer::read(asked, started, response)
    }
}

/// What came back.
#[derive(Clone)]
pub struct Answer {
    asked: String,
    pub took: Duration,
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    fn read(asked: String, started: Instant, mut response: Response<Body>) -> Result<Self, ureq::Error> {
        let body = response.body_mut().with_config().limit(64 << 20).read_to_vec()?;
        let headers = response.headers().iter();
        let headers =
            headers.map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
        Ok(Self {
            asked,
            took: started.elapsed(),
            status: response.status().as_u16(),
            headers: headers.collect(),
            body,
        })
    }

    /// Itself, or a failed test that shows all of it.
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
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("no JSON ({error}): {self:?}"))
    }

    /// The error's name in a JSON answer.
    #[track_caller]
    pub fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_else(|| panic!("no code: {self:?}")).to_owned()
    }

    #[track_caller]
    pub fn location(&self) -> Url {
        let text = self.header("location").unwrap_or_else(|| panic!("no Location: {self:?}"));
        Url::parse(text).unwrap_or_else(|error| panic!("Location is no URL ({error}): {self:?}"))
    }

    #[track_caller]
    pub fn request_id(&self) -> &str {
        self.header("x-request-id").unwrap_or_else(|| panic!("no x-request-id: {self:?}"))
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} was answered {} after {} ms", self.asked, self.status, self.took.as_millis())?;
        for (name, value) in &self.headers {
            writeln!(f, "  {name}: {value}")?;
        }
        let text = self.text();
        let short: String = text.chars().take(2000).collect();
        write!(f, "  {short}")
    }
}

/// A query parameter that must be there once.
#[track_caller]
pub fn parameter(url: &Url, name: &str) -> String {
    let found: Vec<String> =
        url.query_pairs().filter(|(key, _)| key == name).map(|(_, value)| value.into_owned()).collect();
    match <[String; 1]>::try_from(found) {
        Ok([value]) => value,
        Err(found) => panic!("{name} comes {} times in {url}", found.len()),
    }
}

/// A browser's cookies for the Worker, name and value. Nothing expires.
#[derive(Clone, Debug, Default)]
pub struct Jar(pub Vec<(String, String)>);

impl Jar {
    /// A GET with the cookies, to be sent; new ones are not kept.
    pub fn ask(&self, url: impl fmt::Display) -> Ask {
        let ask = ask("GET", url);
        if self.0.is_empty() {
            return ask;
        }
        let pairs: Vec<String> = self.0.iter().map(|(name, value)| format!("{name}={value}")).collect();
        ask.header("cookie", pairs.join("; "))
    }

    /// A GET with the cookies; new ones are kept.
    pub fn get(&mut self, url: impl fmt::Display) -> Answer {
        let answer = self.ask(url).send();
        for (_, cookie) in answer.headers.iter().filter(|(name, _)| name == "set-cookie") {
            let pair = cookie.split(';').next().unwrap_or_default();
            let (name, value) = pair.split_once('=').unwrap_or_else(|| panic!("no cookie: {cookie}"));
            self.0.retain(|(known, _)| known != name);
            self.0.push((name.to_owned(), value.to_owned()));
        }
        answer
    }
}
