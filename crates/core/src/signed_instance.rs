//! Wix's signed `instance` value, `<signature>.<data>`: not a JWT, signature first (Wix's rules 8).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::DateTime;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::Deserialize;
use serde_json::Value;
use sha2::Sha256;

use crate::id::{AppId, InstanceId, SiteId};
use crate::json::{self, plain_text};
use crate::secret::AppSecret;
use crate::time::Timestamp;

/// Wix's values have about a thousand characters.
const LIMIT: usize = 16 * 1024;
/// How old a value may be that does not say when it ends, in seconds.
const LIFE: u64 = 4 * 3_600;
/// How far Wix's clock may be ahead of ours, in seconds.
const SKEW: u64 = 300;

/// Whose a value is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedInstance {
    /// The instance.
    pub instance: InstanceId,
    /// Its site, where the value says so.
    pub site: Option<SiteId>,
    /// Whether somebody is logged in.
    pub has_user: bool,
    /// The user's id, where it has the form of one.
    pub user: Option<String>,
    /// `OWNER`, or nothing.
    pub permissions: Option<String>,
    /// The plan, where there is one.
    pub vendor_product_id: Option<String>,
    /// The instance that the site was cloned with.
    pub origin: Option<InstanceId>,
    /// Whether the app is only being shown.
    pub demo_mode: bool,
    /// When Wix signed it: its `signDate`, or what its `expirationDate` says of that.
    pub signed_at: Timestamp,
    /// When the value ends.
    pub expires_at: Timestamp,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Fields {
    instance_id: String,
    app_def_id: Option<String>,
    sign_date: Option<String>,
    expiration_date: Option<String>,
    #[serde(default)]
    aid: Value,
    // Of these, a form that nobody has seen yet is no reason to turn somebody away.
    #[serde(default)]
    meta_site_id: Value,
    #[serde(default)]
    uid: Value,
    #[serde(default)]
    permissions: Value,
    #[serde(default)]
    vendor_product_id: Value,
    #[serde(default)]
    origin_instance_id: Value,
    #[serde(default)]
    demo_mode: Value,
}

/// Verifies a value under any of the app's secrets, then reads it. Nothing is decoded before the signature is right.
pub fn verify<'a>(
    secrets: impl IntoIterator<Item = &'a AppSecret>,
    app: &AppId,
    now: Timestamp,
    value: &str,
) -> Result<SignedInstance, &'static str> {
    let data = signed_data(secrets, value)?;
    let data = decode(data).map_err(|_| "the signed data is not base64url")?;
    let fields: Fields = json::object(&data).map_err(|_| "the signed data is not of the documented form")?;
    if fields.app_def_id.as_deref().is_some_and(|id| AppId::parse(id).as_ref() != Ok(app)) {
        return Err("the signed instance is of another app");
    }
    if !is_empty(&fields.aid) {
        return Err("the signed instance is of somebody who is not logged in");
    }
    let (signed_at, expires_at) = check_age(fields.sign_date.as_deref(), fields.expiration_date.as_deref(), now)?;
    let instance = InstanceId::parse(&fields.instance_id).map_err(|_| "the signed instance names no instance")?;
    Ok(SignedInstance {
        instance,
        site: fields.meta_site_id.as_str().and_then(|id| SiteId::parse(id).ok()),
        has_user: !is_empty(&fields.uid),
        user: plain_text(&fields.uid),
        permissions: plain_text(&fields.permissions),
        vendor_product_id: plain_text(&fields.vendor_product_id),
        origin: fields.origin_instance_id.as_str().and_then(|id| InstanceId::parse(id).ok()),
        demo_mode: is_true(&fields.demo_mode),
        signed_at,
        expires_at,
    })
}

/// Whether a value is signed as a signed instance is, whatever it says.
pub fn is_signed<'a>(secrets: impl IntoIterator<Item = &'a AppSecret>, value: &str) -> bool {
    signed_data(secrets, value).is_ok()
}

/// The data behind a signature that is right, still encoded.
fn signed_data<'a, 'b>(
    secrets: impl IntoIterator<Item = &'a AppSecret>,
    value: &'b str,
) -> Result<&'b str, &'static str> {
    if value.len() > LIMIT {
        return Err("the signed instance is too long");
    }
    let (signature, data) = value.split_once('.').ok_or("the signed instance has not two parts")?;
    if data.contains('.') {
        return Err("the signed instance has not two parts");
    }
    let signature = decode(signature).map_err(|_| "the signature is not base64url")?;
    // Every secret is tried, so that the time does not tell which one fits.
    let genuine = secrets.into_iter().fold(false, |genuine, secret| genuine | signed_with(secret, data, &signature));
    if genuine { Ok(data) } else { Err("the signature is not by the app secret") }
}

fn decode(text: &str) -> Result<Vec<u8>, base64::DecodeError> {
    URL_SAFE_NO_PAD.decode(text.trim_end_matches('='))
}

fn signed_with(secret: &AppSecret, data: &str, signature: &[u8]) -> bool {
    // HMAC takes keys of every length.
    Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes())
        .is_ok_and(|mac| mac.chain_update(data).verify_slice(signature).is_ok())
}

/// When the value was signed and when it ends.
fn check_age(signed: Option<&str>, ends: Option<&str>, now: Timestamp) -> Result<(Timestamp, Timestamp), &'static str> {
    let (signed, ends) = (signed.map(date).transpose()?, ends.map(date).transpose()?);
    let signed_at = signed.or_else(|| ends.map(|ends| Timestamp(ends.0.saturating_sub(LIFE))));
    let signed_at = signed_at.ok_or("the signed instance has no date")?;
    if signed_at.since(now) > SKEW {
        return Err("the signed instance is from the future");
    }
    let ends = ends.unwrap_or_else(|| signed_at.plus(LIFE));
    if ends <= now { Err("the signed instance has expired") } else { Ok((signed_at, ends)) }
}

fn is_empty(value: &Value) -> bool {
    value.is_null() || value == ""
}

fn is_true(value: &Value) -> bool {
    *value == Value::Bool(true) || value == "true"
}

fn date(text: &str) -> Result<Timestamp, &'static str> {
    let date = DateTime::parse_from_rfc3339(text).map_err(|_| "a date of the signed instance is none")?;
    u64::try_from(date.timestamp()).map(Timestamp).map_err(|_| "a date of the signed instance is none")
}

#[cfg(test)]
#[path = "signed_instance_tests.rs"]
pub(crate) mod tests;
