//! Calls to the app's service plugins (section 4.8): a JWT with the claims that Wix documents, and the form of the answer.

pub(crate) mod samples;

use std::time::{Duration, Instant};

use anyhow::Context as _;
use axum::http::header::{CONTENT_TYPE, SET_COOKIE};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::clock::Clock;
use crate::ids;
use crate::shared::Shared;
use crate::switches::Switches;
use crate::webhook::{self, Raw};
use samples::Sample;

/// How long the simulator waits for an answer. Wix's limit is not documented (section 4.8).
const TIMEOUT: Duration = Duration::from_secs(20);
/// How long a call is valid, in seconds. Not documented.
const LIFE_SECONDS: i64 = 60;
/// The longest part of an answer that the control API shows, in bytes.
const SHOWN: usize = 64 * 1024;

/// A call. Each field replaces a part of a genuine call.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Call {
    /// The path below the base URI; by default that of shipping rates.
    pub path: Option<String>,
    pub instance_id: Option<String>,
    /// The claim `data.request`, as any JSON.
    pub request: Option<Box<RawValue>>,
    /// Fields of the claim `data.metadata`; null leaves one out.
    pub metadata: Map<String, Value>,
    /// Claims; null leaves one out.
    pub claims: Map<String, Value>,
    /// Header, key, algorithm and body, as in a hand-made webhook.
    pub message: Raw,
    /// Whether the call is sent; if not, the response has only the JWT.
    pub send: Option<bool>,
}

impl Call {
    /// The path, with a slash at its start.
    pub(crate) fn path(&self) -> &str {
        self.path.as_deref().unwrap_or(samples::SHIPPING_RATES)
    }

    /// The JWT.
    pub(crate) fn compose(&self, shared: &Shared, switches: &Switches) -> anyhow::Result<String> {
        let sample = Sample::of(self.path());
        let mut metadata = json!({
            "requestId": format!("{}.{}", Clock::wall_ms(), ids::random_text(12)),
            "instanceId": self.instance_id.clone().unwrap_or_else(ids::guid),
            "identity": { "identityType": "WIX_USER", "wixUserId": ids::guid() },
            "currency": "EUR",
            "languages": ["en"],
            "appExtensionType": sample.map_or("UNKNOWN", |sample| sample.extension_type),
        });
        replace(&mut metadata, &self.metadata);
        let request = match &self.request {
            Some(request) => request.get().to_owned(),
            None => sample.map_or_else(|| "{}".to_owned(), |sample| sample.request.to_owned()),
        };
        let request: &RawValue = serde_json::from_str(&request).context("the request must be JSON")?;
        let iat = Clock::wall_ms().div_euclid(1000);
        let app_id = shared.read(|world| world.app.app_id.clone());
        let mut claims = json!({ "iss": "wix.com", "aud": app_id, "iat": iat, "exp": iat + LIFE_SECONDS });
        replace(&mut claims, &self.claims);
        let mut text = claims.to_string();
        // The request is sent as it was given.
        if claims.get("data").is_none() && !self.claims.contains_key("data") {
            let data = format!(r#"{{"data":{{"request":{request},"metadata":{metadata}}},"#);
            text.replace_range(..1, &data);
        }
        let claims = RawValue::from_string(text).context("the claims must be JSON")?;
        let raw = Raw { claims: Some(claims), ..self.message.clone() };
        webhook::compose_raw(shared, switches, &raw, "{}")
    }
}

/// Replaces fields of an object; null removes one.
fn replace(object: &mut Value, fields: &Map<String, Value>) {
    let Some(object) = object.as_object_mut() else { return };
    for (name, value) in fields {
        if value.is_null() {
            object.remove(name);
        } else {
            object.insert(name.clone(), value.clone());
        }
    }
}

/// The app's answer.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Answer {
    /// `None` if there was none.
    pub status: Option<u16>,
    pub content_type: Option<String>,
    pub body: String,
    pub duration_ms: u64,
    /// The rules of section 4.8 that the answer violates.
    pub problems: Vec<Problem>,
}

/// A rule that an answer violates.
#[derive(Debug, Serialize)]
pub(crate) struct Problem {
    pub detail: String,
}

/// Sends a call, and checks the answer.
pub(crate) async fn send(shared: &Shared, url: String, path: &str, jwt: String, content_type: &str) -> Answer {
    let started = Instant::now();
    let request = shared.http.post(url).header(CONTENT_TYPE, content_type).body(jwt).timeout(TIMEOUT);
    let answer = async {
        let response = request.send().await?;
        let status = response.status().as_u16();
        let kind = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let has_cookie = response.headers().contains_key(SET_COOKIE);
        Ok::<_, reqwest::Error>((status, kind, has_cookie, response.bytes().await?))
    };
    let mut result = match answer.await {
        Ok((status, content_type, has_cookie, body)) => {
            let mut problems = problems(path, status, &body);
            if has_cookie {
                problems.push("an answer must not set a cookie".to_owned());
            }
            let shown = body.get(..SHOWN).unwrap_or(&body);
            Answer {
                status: Some(status),
                content_type,
                body: String::from_utf8_lossy(shown).into_owned(),
                problems: problems.into_iter().map(|detail| Problem { detail }).collect(),
                duration_ms: 0,
            }
        }
        Err(error) if error.is_timeout() => unanswered("the app did not answer within 20 seconds"),
        Err(_) => unanswered("the app could not be reached"),
    };
    result.duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    result
}

fn unanswered(detail: &str) -> Answer {
    Answer { problems: vec![Problem { detail: detail.to_owned() }], ..Answer::default() }
}

/// What is wrong with the outer form of an answer.
fn problems(path: &str, status: u16, body: &[u8]) -> Vec<String> {
    let Ok(Value::Object(answer)) = serde_json::from_slice(body) else {
        return vec![format!("the answer with status {status} must be a JSON object")];
    };
    if status != 200 {
        let code = answer.get("applicationError").and_then(|error| error.get("code")).and_then(Value::as_str);
        return match code {
            Some(code) => vec![format!("the call was refused with status {status} and the code {code}")],
            None => vec![format!("the answer with status {status} must have applicationError.code")],
        };
    }
    let wanted = Sample::of(path).and_then(|sample| sample.field);
    let fits = |(name, kind): (&str, samples::Kind)| answer.get(name).is_some_and(|value| kind.fits(value));
    match wanted.filter(|wanted| !fits(*wanted)) {
        Some((name, kind)) => vec![format!("the answer must have {name}: {}", kind.name())],
        None => Vec::new(),
    }
}
