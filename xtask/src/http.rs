//! Requests to a server on this machine.

use std::time::Duration;

use anyhow::{Context as _, Result};

/// An answer of any status.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The body, as text.
    pub body: String,
}

/// `GET url`, within five seconds.
pub fn get(url: &str) -> Result<Answer> {
    let answer = agent().get(url).call();
    read(url, answer.with_context(|| format!("{url} does not answer"))?)
}

/// `PATCH url` with JSON, within five seconds.
pub fn patch(url: &str, body: &serde_json::Value) -> Result<Answer> {
    let answer = agent().patch(url).header("content-type", "application/json").send(body.to_string());
    read(url, answer.with_context(|| format!("{url} does not answer"))?)
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .timeout_global(Some(Duration::from_secs(5)))
        .http_status_as_error(false)
        .proxy(None)
        .build()
        .new_agent()
}

fn read(url: &str, mut answer: ureq::http::Response<ureq::Body>) -> Result<Answer> {
    let body = answer.body_mut().read_to_string().with_context(|| format!("{url} did not complete its answer"))?;
    Ok(Answer { status: answer.status().as_u16(), body })
}
