//! Webhook messages: compact JWTs with three layers of JSON, in exactly Wix's format (sections 4.3 and 4.5).

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::clock::Clock;
use crate::ids;
use crate::jws;
use crate::keys::SigningKey;
use crate::shared::Shared;
use crate::switches::{IatClock, Switches};
use crate::webhook::samples::{compact, object};

/// The identity that caused an event (section 4.5).
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Identity {
    pub identity_type: &'static str,
    pub wix_user_id: String,
}

/// `accountInfo` of an envelope.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AccountInfo {
    pub account_id: String,
    pub site_id: String,
}

/// An unsigned event.
#[expect(clippy::struct_field_names, reason = "the names are Wix's own")]
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub event_type: String,
    /// `None` for an event of an account.
    pub instance_id: Option<String>,
    /// The inner data, as JSON text.
    pub data: String,
    pub identity: Option<Identity>,
    pub account_info: Option<AccountInfo>,
    pub webhook_id: String,
}

impl Event {
    /// An event with a new webhook id.
    pub(crate) fn new(event_type: &str, instance_id: Option<&str>, data: String, now_ms: i64) -> Self {
        Self {
            event_type: event_type.to_owned(),
            instance_id: instance_id.map(str::to_owned),
            data,
            identity: None,
            account_info: None,
            webhook_id: webhook_id(now_ms),
        }
    }
}

/// `wId_<epoch ms>_<signed int>__<short random>` (section 4.5).
fn webhook_id(now_ms: i64) -> String {
    let number = ids::random_bytes(4).iter().fold(0_u32, |sum, byte| (sum << 8) | u32::from(*byte));
    let tail: String = ids::random_text(24).chars().filter(char::is_ascii_alphanumeric).take(6).collect();
    format!("wId_{now_ms}_{}__{tail}", i64::from(number) - i64::from(u32::MAX / 2))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a> {
    data: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    instance_id: Option<&'a str>,
    event_type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    identity: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    webhook_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    account_info: Option<&'a AccountInfo>,
}

#[derive(Serialize)]
struct Claims<'a> {
    data: &'a str,
    iat: i64,
    exp: i64,
}

/// Signs an event with the app's key. `iat` is the current time.
pub(crate) fn compose(shared: &Shared, switches: &Switches, event: &Event) -> anyhow::Result<String> {
    let envelope = Envelope {
        data: &event.data,
        instance_id: event.instance_id.as_deref(),
        event_type: &event.event_type,
        identity: match &event.identity {
            Some(identity) if switches.webhook_identity => Some(serde_json::to_string(identity)?),
            _ => None,
        },
        webhook_id: Some(event.webhook_id.as_str()).filter(|_| switches.webhook_id),
        account_info: event.account_info.as_ref().filter(|_| switches.webhook_account_info),
    };
    let iat = issued_at(shared, switches);
    let data = serde_json::to_string(&envelope)?;
    let claims = serde_json::to_string(&Claims { data: &data, iat, exp: iat + switches.webhook_exp_offset_seconds })?;
    rs256(&shared.own_key, &claims)
}

/// The message of the dashboard's Test button: pretty-printed sample data with a trailing space, without `identity`
/// (section 4.1).
pub(crate) fn test_message(
    shared: &Shared,
    switches: &Switches,
    event_type: &str,
    instance_id: &str,
    data: &str,
) -> anyhow::Result<String> {
    let pretty = if switches.webhook_test_pretty { format!("{} ", pretty(data)) } else { data.to_owned() };
    let mut event = Event::new(event_type, Some(instance_id), pretty, shared.clock.now_ms());
    event.identity = None;
    let plain = Switches { webhook_id: false, webhook_account_info: false, ..switches.clone() };
    compose(shared, &plain, &event)
}

/// Pretty-prints the outer object of a compact JSON text, and keeps the order of its fields.
fn pretty(data: &str) -> String {
    let (mut inside, mut escaped, mut depth) = (false, false, 0_u32);
    let mut text = String::with_capacity(data.len() * 2);
    for character in data.chars() {
        if inside {
            (inside, escaped) = (escaped || character != '"', !escaped && character == '\\');
            text.push(character);
            continue;
        }
        match character {
            '{' | '[' => {
                depth += 1;
                text.push(character);
                if depth == 1 {
                    text.push_str("\n  ");
                }
            }
            '}' | ']' => {
                if depth == 1 {
                    text.push('\n');
                }
                depth = depth.saturating_sub(1);
                text.push(character);
            }
            ',' if depth == 1 => text.push_str(",\n  "),
            ':' => text.push_str(": "),
            other => {
                inside = other == '"';
                text.push(other);
            }
        }
    }
    text
}

/// The current time in Unix seconds, by the clock that `webhook_iat_clock` selects.
fn issued_at(shared: &Shared, switches: &Switches) -> i64 {
    let at_ms = match switches.webhook_iat_clock {
        IatClock::Wall => Clock::wall_ms(),
        IatClock::Simulated => shared.clock.now_ms(),
    };
    at_ms.div_euclid(1000)
}

/// Signs with Wix's header: `kid`, then `alg`, and no `typ` (section 4.3).
fn rs256(key: &SigningKey, claims: &str) -> anyhow::Result<String> {
    let input = jws::signing_input(&format!(r#"{{"kid":"{}","alg":"RS256"}}"#, key.kid), claims);
    let signature = jws::encode(key.sign("RS256", input.as_bytes())?);
    Ok(format!("{input}.{signature}"))
}

/// The key that signs a hand-made message.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum KeyChoice {
    /// The app's key.
    #[default]
    Own,
    /// The foreign key, which the app does not trust.
    Other,
}

/// A hand-made message. Each field replaces a part of a genuine message.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Raw {
    /// The whole body, sent unchanged and unsigned.
    pub body: Option<String>,
    pub key: KeyChoice,
    /// `RS256`, `RS384`, `RS512`, `HS256` (keyed with the text of the public PEM) or `none`.
    pub alg: Option<String>,
    pub kid: Option<String>,
    /// The whole header, as JSON text.
    pub header: Option<Box<RawValue>>,
    /// All claims, as JSON text.
    pub claims: Option<Box<RawValue>>,
    /// The claim `data`, as any JSON; genuine messages have a string.
    pub envelope: Option<Box<RawValue>>,
    pub iat: Option<Box<RawValue>>,
    pub exp: Option<Box<RawValue>>,
    pub omit_exp: bool,
    pub event_type: Option<String>,
    pub instance_id: Option<String>,
    /// The inner data, as any JSON; it is sent as compact text.
    pub data: Option<Box<RawValue>>,
    /// The inner data, as any text.
    pub data_text: Option<String>,
    pub identity_text: Option<String>,
    pub webhook_id: Option<String>,
    /// Whether one bit of the signature is flipped.
    pub corrupt_signature: bool,
    pub content_type: Option<String>,
    /// Whether the message is sent; if not, the response has only the JWT.
    pub send: Option<bool>,
    /// Whether a failed delivery is retried.
    pub retries: bool,
}

/// Builds the body of a hand-made message.
pub(crate) fn compose_raw(shared: &Shared, switches: &Switches, raw: &Raw, sample: &str) -> anyhow::Result<String> {
    if let Some(body) = &raw.body {
        return Ok(body.clone());
    }
    let alg = raw.alg.as_deref().unwrap_or("RS256");
    let key = match raw.key {
        KeyChoice::Own => &shared.own_key,
        KeyChoice::Other => shared.other_key.as_ref(),
    };
    let header = match &raw.header {
        Some(header) => header.get().to_owned(),
        None => object(&[("kid", raw.kid.clone().unwrap_or_else(|| key.kid.clone()).into()), ("alg", alg.into())]),
    };
    let claims =
        raw.claims.as_ref().map_or_else(|| raw_claims(shared, switches, raw, sample), |text| text.get().to_owned());
    let input = jws::signing_input(&header, &claims);
    let mut signature = match alg {
        "none" => Vec::new(),
        "HS256" => jws::hmac_sha256(shared.own_key.public_pem().as_bytes(), input.as_bytes()),
        "RS256" | "RS384" | "RS512" => key.sign(alg, input.as_bytes())?,
        other => bail!("alg must be RS256, RS384, RS512, HS256 or none; it is {other:?}"),
    };
    if raw.corrupt_signature {
        *signature.first_mut().context("corrupt_signature must not be combined with alg none")? ^= 1;
    }
    Ok(format!("{input}.{}", jws::encode(signature)))
}

fn raw_claims(shared: &Shared, switches: &Switches, raw: &Raw, sample: &str) -> String {
    let now = issued_at(shared, switches);
    let data = raw.data_text.clone().or_else(|| raw.data.as_ref().map(|data| compact(data.get())));
    let mut envelope: Vec<(&str, Value)> = vec![
        ("data", data.unwrap_or_else(|| sample.to_owned()).into()),
        ("instanceId", raw.instance_id.clone().unwrap_or_else(ids::guid).into()),
        ("eventType", raw.event_type.clone().unwrap_or_else(|| "AppInstalled".to_owned()).into()),
    ];
    if let Some(identity) = &raw.identity_text {
        envelope.push(("identity", identity.clone().into()));
    }
    if let Some(id) = &raw.webhook_id {
        envelope.push(("webhookId", id.clone().into()));
    }
    let text =
        raw.envelope.as_ref().map_or_else(|| Value::from(object(&envelope)).to_string(), |json| json.get().to_owned());
    let iat = raw.iat.as_ref().map_or_else(|| now.to_string(), |json| json.get().to_owned());
    let exp = raw
        .exp
        .as_ref()
        .map_or_else(|| (now + switches.webhook_exp_offset_seconds).to_string(), |json| json.get().to_owned());
    let exp = if raw.omit_exp { String::new() } else { format!(r#","exp":{exp}"#) };
    format!(r#"{{"data":{text},"iat":{iat}{exp}}}"#)
}

#[cfg(test)]
mod tests;
