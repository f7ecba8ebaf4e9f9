//! A fast upstream in place of Wix: it sends fixed responses and counts the calls.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::stage::{PLUGINS, SLOW_INSTANCES};

/// The length of the long bodies, in bytes.
pub const LONG: usize = 10 * 1024 * 1024;

/// How long the token of a slow instance takes.
pub const SLOW: Duration = Duration::from_secs(5);

/// The upstream. It runs until the process ends.
pub struct Upstream {
    /// Its origin.
    pub url: String,
    counts: Arc<Mutex<BTreeMap<String, u64>>>,
}

impl Upstream {
    /// Starts the upstream on a free port of loopback.
    pub fn start(app_id: &str) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("could not bind a port")?;
        let url = format!("http://{}", listener.local_addr()?);
        let counts: Arc<Mutex<BTreeMap<String, u64>>> = Arc::default();
        let (seen, app_id) = (Arc::clone(&counts), app_id.to_owned());
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (seen, app_id) = (Arc::clone(&seen), app_id.clone());
                // An error ends the connection. The client opens a new one.
                thread::spawn(move || drop(serve(stream, &app_id, &seen)));
            }
        });
        Ok(Self { url, counts })
    }

    /// The number of calls of a path since the last `take`.
    pub fn count(&self, path: &str) -> u64 {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.get(path).copied().unwrap_or_default()
    }

    /// The number of calls since the last `take`, by path.
    pub fn take(&self) -> BTreeMap<String, u64> {
        std::mem::take(&mut *self.counts.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn serve(stream: TcpStream, app_id: &str, counts: &Mutex<BTreeMap<String, u64>>) -> Result<()> {
    stream.set_nodelay(true)?;
    let long = vec![b'x'; LONG];
    let mut stream = BufReader::with_capacity(64 * 1024, stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if stream.read_line(&mut head)? == 0 {
                return Ok(());
            }
        }
        let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
        let body = body(&mut stream, &head)?;
        let response = match path.as_str() {
            "/oauth2/token" | "/oauth/access" => token(&body),
            "/oauth2/token-info" => token_info(app_id, &body),
            "/long" => long.clone(),
            path if path.starts_with(PLUGINS) => rates(),
            _ => vec![b'x'; 1024],
        };
        *counts.lock().unwrap_or_else(PoisonError::into_inner).entry(path).or_default() += 1;
        let kind = if response.first() == Some(&b'{') { "application/json" } else { "text/plain" };
        let head = format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n", response.len());
        stream.get_mut().write_all(&[head.into_bytes(), response].concat())?;
    }
}

/// The answer to a call for shipping rates.
fn rates() -> Vec<u8> {
    let rate = |number: u32| {
        json!({
            "code": format!("rate-{number}"), "title": "A way to ship", "logistics": { "deliveryTime": "2-4 days" },
            "cost": { "price": "5.90", "currency": "EUR", "additionalCharges": [] },
        })
    };
    json!({ "shippingRates": [rate(1), rate(2), rate(3), rate(4), rate(5)] }).to_string().into_bytes()
}

/// Reads a body, and returns it if it is short.
fn body(stream: &mut BufReader<TcpStream>, head: &str) -> Result<Vec<u8>> {
    let header = |name: &str| {
        let line = head.lines().find(|line| line.to_ascii_lowercase().starts_with(name))?;
        line.split_once(':').map(|(_, value)| value.trim().to_owned())
    };
    let mut body = Vec::new();
    if let Some(length) = header("content-length:") {
        let mut part = stream.take(length.parse()?);
        if length.len() > 5 {
            std::io::copy(&mut part, &mut std::io::sink())?;
        } else {
            part.read_to_end(&mut body)?;
        }
    } else if header("transfer-encoding:").is_some() {
        loop {
            let mut line = String::new();
            stream.read_line(&mut line)?;
            let length = u64::from_str_radix(line.trim(), 16)?;
            std::io::copy(&mut stream.take(length), &mut std::io::sink())?;
            stream.read_line(&mut line)?;
            if length == 0 {
                break;
            }
        }
    }
    Ok(body)
}

/// A token response. The token is as long as Wix's, and contains the instance id from the request or its code.
fn token(body: &[u8]) -> Vec<u8> {
    let request: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |name: &str| request.get(name).and_then(Value::as_str);
    let instance = text("instance_id").or_else(|| text("code")).or_else(|| text("refresh_token")).unwrap_or_default();
    if instance.starts_with(SLOW_INSTANCES) {
        thread::sleep(SLOW);
    }
    let access_token = format!("OauthNG.JWS.{instance}.{}", "x".repeat(600));
    let mut response = json!({ "access_token": access_token, "token_type": "Bearer", "expires_in": 14400 });
    if text("code").is_some() {
        response = json!({ "access_token": access_token, "refresh_token": instance });
    }
    response.to_string().into_bytes()
}

fn token_info(app_id: &str, body: &[u8]) -> Vec<u8> {
    let request: Value = serde_json::from_slice(body).unwrap_or_default();
    let instance = request.get("token").and_then(Value::as_str).and_then(|token| token.split('.').nth(2));
    json!({
        "active": true, "subjectType": "APP", "subjectId": app_id, "clientId": app_id, "siteId": instance,
        "instanceId": instance, "exp": 4_102_444_800_u64, "iat": 1_700_000_000,
    })
    .to_string()
    .into_bytes()
}
