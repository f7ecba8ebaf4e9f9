//! A service plugin call: the claims of its verified JWS (docs/wix.md, 4.8).
//!
//! The request and the metadata stay the JSON text that Wix sent: the claims are scanned once, and the request is never parsed.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::jws::{self, JwsError, numeric_date, present};
use crate::values::{AppId, CLOCK_SKEW, InstanceId, Timestamp, json};

/// The largest body of a call, in bytes.
pub const BODY_LIMIT: usize = 1024 * 1024;
/// The largest metadata, in bytes. Encoded in a header it must leave room: Node accepts 16 KiB of headers.
const METADATA_LIMIT: usize = 8 * 1024;
/// The claim `iss`.
const ISSUER: &str = "wix.com";

/// A verified call.
pub struct PluginCall<'a> {
    /// `data.request`, as JSON text.
    pub request: &'a str,
    /// `data.metadata`, as JSON text.
    pub metadata: &'a str,
    /// The instance, if the metadata names one.
    pub instance: Option<InstanceId>,
    /// Wix's id of the call, if it is printable ASCII.
    pub request_id: Option<String>,
    /// When Wix signed the call.
    pub issued_at: Timestamp,
}

#[derive(Deserialize)]
pub(super) struct RawClaims<'a> {
    #[serde(borrow)]
    data: Data<'a>,
    #[serde(default)]
    iss: Value,
    #[serde(default)]
    aud: Value,
    #[serde(default, deserialize_with = "present")]
    iat: Option<f64>,
    #[serde(default, deserialize_with = "present")]
    exp: Option<f64>,
    #[serde(default, deserialize_with = "present")]
    nbf: Option<f64>,
}

#[derive(Deserialize)]
struct Data<'a> {
    #[serde(borrow)]
    request: &'a RawValue,
    #[serde(borrow)]
    metadata: &'a RawValue,
}

/// Wix's SDK demands the extension type, and so do we.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    #[serde(rename = "appExtensionType")]
    _app_extension_type: String,
    #[serde(default)]
    instance_id: Value,
    #[serde(default)]
    request_id: Value,
}

/// Parses the claims of a verified JWS, and checks that Wix made the call for this app and now.
///
/// `exp` and `nbf` count to the second: Wix's SDK allows no difference of clocks either.
pub fn parse<'a>(app: &AppId, claims: &'a [u8], now: Timestamp) -> Result<PluginCall<'a>, JwsError> {
    let claims: RawClaims<'a> = json::object(claims).map_err(|_| match json::object::<jws::RawClaims>(claims) {
        Ok(_) => JwsError::Malformed("this is a webhook: its callback URL must end with /webhook"),
        Err(_) => {
            JwsError::Malformed("the claims must have an object `data` with request and metadata, and times as numbers")
        }
    })?;
    if claims.iss.as_str() != Some(ISSUER) {
        return Err(JwsError::NotForUs("the claim `iss` must be wix.com"));
    }
    if claims.aud.as_str() != Some(app.as_str()) {
        return Err(JwsError::NotForUs("the claim `aud` must be WIX_APP_ID"));
    }
    let (Some(iat), Some(exp)) = (claims.iat, claims.exp) else {
        return Err(JwsError::NotForUs("the claims `iat` and `exp` must be present"));
    };
    let issued_at = numeric_date(iat)?;
    if issued_at > now.plus(CLOCK_SKEW) {
        return Err(JwsError::NotNow("the call was issued in the future"));
    }
    if numeric_date(exp)? <= now {
        return Err(JwsError::NotNow("the call has expired"));
    }
    if let Some(nbf) = claims.nbf
        && numeric_date(nbf.ceil())? > now
    {
        return Err(JwsError::NotNow("the call is not valid yet"));
    }
    let Data { request, metadata } = claims.data;
    let (request, metadata) = (request.get(), metadata.get());
    if !request.starts_with('{') {
        return Err(JwsError::Malformed("the request must be a JSON object"));
    }
    if metadata.len() > METADATA_LIMIT {
        return Err(JwsError::Malformed("the metadata must have at most 8192 bytes"));
    }
    let parsed: Metadata = json::object(metadata.as_bytes())
        .map_err(|_| JwsError::Malformed("the metadata must be a JSON object with a text `appExtensionType`"))?;
    let instance = match &parsed.instance_id {
        Value::Null => None,
        Value::String(id) if id.is_empty() => None,
        id => {
            let id = id.as_str().and_then(|id| InstanceId::parse(id).ok());
            Some(id.ok_or(JwsError::Malformed("the metadata's `instanceId` must be a GUID"))?)
        }
    };
    let request_id = json::plain_text(&parsed.request_id);
    Ok(PluginCall { request, metadata, instance, request_id, issued_at })
}

#[cfg(test)]
mod tests;
