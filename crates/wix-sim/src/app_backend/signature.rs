//! Verifies deliveries by the Standard Webhooks specification: HMAC-SHA256 of id, timestamp and body.

use anyhow::Context as _;
use axum::http::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::clock::Clock;
use crate::jws;

/// The largest difference between the timestamp and this machine's clock, in seconds: that of the reference libraries.
const TOLERANCE_SECONDS: u64 = 300;

/// The secrets of which one must have signed.
pub(crate) struct Secrets(Vec<Vec<u8>>);

impl Secrets {
    /// Parses `whsec_` secrets, separated by commas.
    pub(crate) fn parse(text: &str) -> anyhow::Result<Self> {
        let key = |secret: &str| STANDARD.decode(secret.trim().strip_prefix("whsec_")?).ok();
        let keys: Option<Vec<Vec<u8>>> = text.split(',').map(key).collect();
        let keys = keys.context("each secret for events must be whsec_ and base64")?;
        anyhow::ensure!(keys.iter().all(|key| key.len() >= 24), "each secret for events must have 24 bytes or more");
        Ok(Self(keys))
    }

    /// The `webhook-id` of a genuine delivery. The error says what the delivery must have.
    pub(crate) fn verify(&self, headers: &HeaderMap, body: &[u8]) -> Result<String, &'static str> {
        let header = |name: &str| headers.get(name)?.to_str().ok().filter(|value| !value.is_empty());
        let (Some(id), Some(timestamp), Some(signatures)) =
            (header("webhook-id"), header("webhook-timestamp"), header("webhook-signature"))
        else {
            return Err("webhook-id, webhook-timestamp and webhook-signature must be present");
        };
        let signed = [format!("{id}.{timestamp}.").as_bytes(), body].concat();
        let mut tags = signatures.split(' ').filter_map(|entry| STANDARD.decode(entry.strip_prefix("v1,")?).ok());
        if !tags.any(|tag| self.0.iter().any(|key| jws::hmac_matches(key, &signed, &tag))) {
            return Err("webhook-signature must be made with one of the secrets");
        }
        // The wall clock: an advance of the simulated clock makes no delivery old.
        let now = Clock::wall_ms().div_euclid(1000);
        if timestamp.parse::<i64>().is_ok_and(|at| at.abs_diff(now) <= TOLERANCE_SECONDS) {
            Ok(id.to_owned())
        } else {
            Err("webhook-timestamp must be within five minutes of this machine's clock")
        }
    }
}
