//! The signed `instance` value: `<signature>.<data>`, HMAC-SHA256 under the app secret (section 8).

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::ids;
use crate::jws;

/// Four hours, in milliseconds: `expirationDate` minus `signDate`.
const LIFE_MS: i64 = 4 * 3_600_000;

/// The fields of a verified `instance` value that the simulator uses.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SignedInstance {
    pub instance_id: String,
    pub app_def_id: Option<String>,
    pub meta_site_id: Option<String>,
    pub sign_date: Option<String>,
    pub expiration_date: Option<String>,
    pub uid: Option<String>,
    pub aid: Option<String>,
}

impl SignedInstance {
    /// The expiration, in Unix milliseconds.
    pub(crate) fn ends_at_ms(&self) -> Option<i64> {
        let written = self.expiration_date.as_deref().and_then(ids::parse_iso);
        written.or_else(|| self.signed_at_ms().map(|at| at + LIFE_MS))
    }

    /// The time of signing, in Unix milliseconds.
    pub(crate) fn signed_at_ms(&self) -> Option<i64> {
        self.sign_date.as_deref().and_then(ids::parse_iso)
    }
}

/// The values from which an `instance` value is built.
pub(crate) struct Claims<'a> {
    pub app_id: &'a str,
    pub instance_id: &'a str,
    pub site_id: Option<&'a str>,
    pub owner_id: Option<&'a str>,
    pub vendor_product_id: Option<&'a str>,
    pub origin_instance_id: Option<&'a str>,
    pub at_ms: i64,
}

/// The fields of an `instance` value for a logged-in owner, in Wix's order.
fn fields(claims: &Claims<'_>) -> Vec<(String, Value)> {
    let owner = claims.owner_id.map_or(Value::Null, Value::from);
    let mut fields = vec![
        ("instanceId", claims.instance_id.into()),
        ("appDefId", claims.app_id.into()),
        ("signDate", ids::iso(claims.at_ms).into()),
        ("uid", owner.clone()),
        ("permissions", "OWNER".into()),
        ("demoMode", false.into()),
        ("siteOwnerId", owner.clone()),
        ("siteMemberId", owner),
        ("vendorProductId", claims.vendor_product_id.map_or(Value::Null, Value::from)),
        ("expirationDate", ids::iso(claims.at_ms + LIFE_MS).into()),
        ("loginAccountId", claims.owner_id.map_or(Value::Null, Value::from)),
        ("aor", true.into()),
    ];
    if let Some(site) = claims.site_id {
        fields.insert(2, ("metaSiteId", site.into()));
    }
    if let Some(origin) = claims.origin_instance_id {
        fields.push(("originInstanceId", origin.into()));
    }
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Builds the JSON: the default fields, replaced or extended by `overrides`, without those in `omit`.
pub(crate) fn payload(claims: &Claims<'_>, overrides: &Map<String, Value>, omit: &[String]) -> String {
    let mut fields = fields(claims);
    for (name, value) in overrides {
        match fields.iter_mut().find(|(known, _)| known == name) {
            Some((_, slot)) => *slot = value.clone(),
            None => fields.push((name.clone(), value.clone())),
        }
    }
    fields.retain(|(name, _)| !omit.contains(name));
    crate::webhook::samples::object(&fields)
}

/// Signs a payload without changing it.
pub(crate) fn sign(secret: &str, payload: &str) -> String {
    let data = jws::encode(payload);
    let signature = jws::encode(jws::hmac_sha256(secret.as_bytes(), data.as_bytes()));
    format!("{signature}.{data}")
}

/// Verifies the signature and parses the value.
pub(crate) fn verify(secret: &str, value: &str) -> Option<SignedInstance> {
    let (signature, data) = value.split_once('.')?;
    if data.contains('.') || !jws::hmac_matches(secret.as_bytes(), data.as_bytes(), &jws::decode(signature)?) {
        return None;
    }
    serde_json::from_slice(&jws::decode(data)?).ok()
}

#[cfg(test)]
mod tests;
