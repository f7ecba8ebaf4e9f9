//! The signed `instance` value, `<signature>.<data>` (docs/wix.md, 8). It is not a JWT: the signature comes first.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::DateTime;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::Deserialize;
use serde_json::Value;
use sha2::Sha256;

use super::Unproven;
use crate::values::json::{self, plain_text};
use crate::values::{AppId, AppSecret, InstanceId, SiteId, Timestamp};

/// The longest value that is verified, in bytes. Wix's have about a thousand.
const LIMIT: usize = 16 * 1024;
/// The life of a value without `expirationDate`, in seconds.
const LIFE: u64 = 4 * 3_600;
/// How far in the future `signDate` may be, in seconds.
const FUTURE_LIMIT: u64 = 300;

/// A verified signed instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedInstance {
    /// The instance.
    pub instance: InstanceId,
    /// Its site, if the value names it.
    pub site: Option<SiteId>,
    /// Whether a user is logged in.
    pub has_user: bool,
    /// The user's id, if it has the form of one.
    pub user: Option<String>,
    /// `OWNER`, for the owner of the site.
    pub permissions: Option<String>,
    /// The plan, if there is one.
    pub vendor_product_id: Option<String>,
    /// The instance of the site that this site was cloned from.
    pub origin: Option<InstanceId>,
    /// Whether the app runs in demo mode.
    pub demo_mode: bool,
    /// When Wix signed it: `signDate`, or `expirationDate` less the life of a value.
    pub signed_at: Timestamp,
    /// When the value expires.
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
    // Optional details: an unexpected type of one does not invalidate the value.
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

/// Verifies a value with any of the app's secrets, then parses it. The data is decoded only after that.
pub fn verify<'a>(
    secrets: impl IntoIterator<Item = &'a AppSecret>,
    app: &AppId,
    now: Timestamp,
    value: &str,
) -> Result<SignedInstance, Unproven> {
    let data = signed_data(secrets, value)?;
    let data = decode(data).map_err(|_| Unproven("the signed data must be base64url"))?;
    let fields: Fields = json::object(&data).map_err(|_| Unproven("the signed data must be of the documented form"))?;
    if fields.app_def_id.as_deref().is_some_and(|id| AppId::parse(id).as_ref() != Ok(app)) {
        return Err(Unproven("the signed instance is of another app"));
    }
    if !is_empty(&fields.aid) {
        return Err(Unproven("the user of the signed instance is not logged in"));
    }
    let (signed_at, expires_at) = check_age(fields.sign_date.as_deref(), fields.expiration_date.as_deref(), now)?;
    let instance =
        InstanceId::parse(&fields.instance_id).map_err(|_| Unproven("the signed instance must name an instance"))?;
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

/// Whether a value has the signature of a signed instance, whatever its data.
pub fn is_signed<'a>(secrets: impl IntoIterator<Item = &'a AppSecret>, value: &str) -> bool {
    signed_data(secrets, value).is_ok()
}

/// Verifies the signature. Returns the data, still encoded.
fn signed_data<'a, 'b>(secrets: impl IntoIterator<Item = &'a AppSecret>, value: &'b str) -> Result<&'b str, Unproven> {
    if value.len() > LIMIT {
        return Err(Unproven("the signed instance is too long"));
    }
    let (signature, data) = value.split_once('.').ok_or(Unproven("the signed instance must have two parts"))?;
    if data.contains('.') {
        return Err(Unproven("the signed instance must have two parts"));
    }
    let signature = decode(signature).map_err(|_| Unproven("the signature must be base64url"))?;
    // All secrets are tried, so that the time does not reveal which one matches.
    let genuine = secrets.into_iter().fold(false, |genuine, secret| genuine | signed_with(secret, data, &signature));
    if genuine { Ok(data) } else { Err(Unproven("the app secret did not make the signature")) }
}

fn decode(text: &str) -> Result<Vec<u8>, base64::DecodeError> {
    URL_SAFE_NO_PAD.decode(text.trim_end_matches('='))
}

fn signed_with(secret: &AppSecret, data: &str, signature: &[u8]) -> bool {
    // HMAC accepts keys of every length.
    Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes())
        .is_ok_and(|mac| mac.chain_update(data).verify_slice(signature).is_ok())
}

/// When the value was signed, and when it expires.
fn check_age(signed: Option<&str>, ends: Option<&str>, now: Timestamp) -> Result<(Timestamp, Timestamp), Unproven> {
    let (signed, ends) = (signed.map(date).transpose()?, ends.map(date).transpose()?);
    let signed_at = signed.or_else(|| ends.map(|ends| Timestamp(ends.0.saturating_sub(LIFE))));
    let signed_at = signed_at.ok_or(Unproven("the signed instance must have a date"))?;
    if signed_at.since(now) > FUTURE_LIMIT {
        return Err(Unproven("the signed instance was signed in the future"));
    }
    let ends = ends.unwrap_or_else(|| signed_at.plus(LIFE));
    if ends <= now { Err(Unproven("the signed instance has expired")) } else { Ok((signed_at, ends)) }
}

fn is_empty(value: &Value) -> bool {
    value.is_null() || value == ""
}

fn is_true(value: &Value) -> bool {
    *value == Value::Bool(true) || value == "true"
}

fn date(text: &str) -> Result<Timestamp, Unproven> {
    let date = DateTime::parse_from_rfc3339(text)
        .map_err(|_| Unproven("a date of the signed instance must be in RFC 3339's form"))?;
    u64::try_from(date.timestamp())
        .map(Timestamp)
        .map_err(|_| Unproven("a date of the signed instance must be in RFC 3339's form"))
}

#[cfg(test)]
pub(crate) mod tests;
