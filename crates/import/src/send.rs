//! The requests: a batch is sent until each of its lines is done.

use std::io::{BufRead as _, BufReader};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use ureq::Agent;

use crate::file::Line;

/// How often a batch is sent without any progress.
const ATTEMPTS: u32 = 8;
const FIRST_PAUSE: Duration = if cfg!(test) { Duration::from_millis(1) } else { Duration::from_secs(1) };
const LONGEST_PAUSE: Duration = Duration::from_mins(1);
/// Longer than the Worker waits for Wix for all lines of a request.
const TIMEOUT: Duration = Duration::from_mins(5);

/// The answer to a line.
#[derive(Debug, Clone, Deserialize)]
pub struct Answer {
    /// The number of the line in the request, from 1.
    line: usize,
    /// The installation.
    pub instance_id: Option<String>,
    /// See docs/api.md.
    pub outcome: String,
    /// What is wrong with the line.
    pub problem: Option<String>,
}

/// The Worker.
pub struct Target {
    agent: Agent,
    url: String,
    authorization: String,
}

impl Target {
    /// The Worker at this address.
    pub fn new(url: &str, key: &str) -> Result<Self> {
        let is_local = ["http://localhost:", "http://127.0.0.1:"].iter().any(|start| url.starts_with(start));
        if !url.starts_with("https://") && !is_local {
            bail!("--url must begin with https://");
        }
        let config = Agent::config_builder().http_status_as_error(false).max_redirects(0).timeout_global(Some(TIMEOUT));
        let url = format!("{}/v1/import", url.trim_end_matches('/'));
        Ok(Self { agent: config.build().new_agent(), url, authorization: format!("Bearer {key}") })
    }

    /// Sends lines until none is failed. Returns an answer for each.
    pub fn send(&self, lines: &[Line]) -> Result<Vec<Answer>> {
        let mut answers: Vec<Option<Answer>> = vec![None; lines.len()];
        let (mut attempts, mut pause) = (0, FIRST_PAUSE);
        loop {
            let left: Vec<usize> =
                answers.iter().enumerate().filter(|(_, answer)| answer.is_none()).map(|(at, _)| at).collect();
            if left.is_empty() {
                return Ok(answers.into_iter().flatten().collect());
            }
            let body = left.iter().filter_map(|at| lines.get(*at)).flat_map(|line| [&line.bytes[..], b"\n"]);
            let result = self.request(&body.collect::<Vec<_>>().concat())?;
            let mut has_progressed = false;
            let cause = match result {
                Ok(received) => {
                    for answer in received.into_iter().filter(|answer| answer.outcome != "failed") {
                        let at = answer.line.checked_sub(1).and_then(|at| left.get(at));
                        let place = at.and_then(|at| answers.get_mut(*at));
                        *place.context("the Worker answered a line that was not sent")? = Some(answer);
                        has_progressed = true;
                    }
                    "the Worker, its store or Wix failed: the Worker's log tells the cause".to_owned()
                }
                Err(cause) => cause,
            };
            if has_progressed {
                (attempts, pause) = (0, FIRST_PAUSE);
                continue;
            }
            attempts += 1;
            if attempts >= ATTEMPTS {
                let first = left.first().and_then(|at| lines.get(*at)).map_or(0, |line| line.number);
                bail!("{cause}. Line {first} and others are not imported; the same command continues there");
            }
            sleep(pause);
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// The answers that arrived, or why there are none. An error if no attempt can succeed.
    fn request(&self, body: &[u8]) -> Result<Result<Vec<Answer>, String>> {
        let request = self.agent.post(&self.url).header("authorization", &self.authorization);
        let response = match request.header("content-type", "application/x-ndjson").send(body) {
            Ok(response) => response,
            Err(error) => return Ok(Err(format!("{}: {error}", self.url))),
        };
        match response.status().as_u16() {
            200 => {}
            status @ (429 | 500..) => return Ok(Err(format!("{} answered {status}", self.url))),
            401 => bail!("the Worker does not know the API key"),
            403 => bail!("the API key must have the scope admin, and the address must begin with https://"),
            status => bail!("{} answered {status}", self.url),
        }
        // A response that breaks off has the answers of the lines that are done.
        let lines = BufReader::new(response.into_body().into_reader()).lines().map_while(Result::ok);
        Ok(Ok(lines.map_while(|line| serde_json::from_str(&line).ok()).collect()))
    }
}
