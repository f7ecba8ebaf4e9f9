//! The signed `instance` value: `<signature>.<data>`, HMAC-SHA256 under the app secret (section 8).

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::ids;
use crate::jws;

/// Four hours, in milliseconds: `expirationDate` minus `signDate`.
const LIFE_MS: i64 = 4 * 3_600_000;

/// What of an `instance` value is read back.
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
    /// The moment it ends, in milliseconds.
    pub(crate) fn ends_at_ms(&self) -> Option<i64> {
        let written = self.expiration_date.as_deref().and_then(ids::parse_iso);
        written.or_else(|| self.signed_at_ms().map(|at| at + LIFE_MS))
    }

    /// The moment it was signed, in milliseconds.
    pub(crate) fn signed_at_ms(&self) -> Option<i64> {
        self.sign_date.as_deref().and_then(ids::parse_iso)
    }
}

/// Who and what an `instance` value speaks of.
pub(crate) struct Facts<'a> {
    pub app_id: &'a str,
    pub instance_id: &'a str,
    pub site_id: Option<&'a str>,
    pub owner_id: Option<&'a str>,
    pub vendor_product_id: Option<&'a str>,
    pub origin_instance_id: Option<&'a str>,
    pub at_ms: i64,
}

/// The fields of an `instance` value for an owner who is logged in, in Wix's order.
fn fields(facts: &Facts<'_>) -> Vec<(String, Value)> {
    let owner = facts.owner_id.map_or(Value::Null, Value::from);
    let mut fields = vec![
        ("instanceId", facts.instance_id.into()),
        ("appDefId", facts.app_id.into()),
        ("signDate", ids::iso(facts.at_ms).into()),
        ("uid", owner.clone()),
        ("permissions", "OWNER".into()),
        ("demoMode", false.into()),
        ("siteOwnerId", owner.clone()),
        ("siteMemberId", owner),
        ("vendorProductId", facts.vendor_product_id.map_or(Value::Null, Value::from)),
        ("expirationDate", ids::iso(facts.at_ms + LIFE_MS).into()),
        ("loginAccountId", facts.owner_id.map_or(Value::Null, Value::from)),
        ("aor", true.into()),
    ];
    if let Some(site) = facts.site_id {
        fields.insert(2, ("metaSiteId", site.into()));
    }
    if let Some(origin) = facts.origin_instance_id {
        fields.push(("originInstanceId", origin.into()));
    }
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Makes the JSON: the usual fields, with `overrides` put in their place or added, without those in `omit`.
pub(crate) fn payload(facts: &Facts<'_>, overrides: &Map<String, Value>, omit: &[String]) -> String {
    let mut fields = fields(facts);
    for (name, value) in overrides {
        match fields.iter_mut().find(|(known, _)| known == name) {
            Some((_, slot)) => *slot = value.clone(),
            None => fields.push((name.clone(), value.clone())),
        }
    }
    fields.retain(|(name, _)| !omit.contains(name));
    crate::webhook::samples::object(&fields)
}

/// Signs a payload as it stands.
pub(crate) fn sign(secret: &str, payload: &str) -> String {
    let data = jws::encode(payload);
    let signature = jws::encode(jws::hmac_sha256(secret.as_bytes(), data.as_bytes()));
    format!("{signature}.{data}")
}

/// Reads a value whose signature holds.
pub(crate) fn verify(secret: &str, value: &str) -> Option<SignedInstance> {
    let (signature, data) = value.split_once('.')?;
    if data.contains('.') || !jws::hmac_matches(secret.as_bytes(), data.as_bytes(), &jws::decode(signature)?) {
        return None;
    }
    serde_json::from_slice(&jws::decode(data)?).ok()
}

#[cfg(test)]
mod tests;
