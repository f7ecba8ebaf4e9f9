//! The response of Get Token Info (docs/wix.md, 1.5), in both spellings that Wix documents.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Unproven;
use crate::values::json::{bool_or_text, plain_text};
use crate::values::{AppId, InstanceId, SiteId, Timestamp};

/// See the module.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TokenInfo {
    #[serde(default, deserialize_with = "bool_or_text")]
    active: bool,
    // The fields that prove something must have their documented types.
    client_id: Option<String>,
    instance_id: Option<String>,
    #[serde(default)]
    site_id: Value,
    #[serde(default)]
    subject_type: Value,
    #[serde(default)]
    subject_id: Value,
    #[serde(default)]
    vendor_product_id: Value,
    #[serde(default)]
    account_id: Value,
    #[serde(default)]
    exp: Value,
}

/// The identity that acts with a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Subject {
    /// The kind of identity.
    #[serde(rename = "type")]
    pub kind: SubjectType,
    /// The id of the app, user, member or visitor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

/// The kind of identity that acts with a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum SubjectType {
    /// The app itself.
    App,
    /// A Wix user: the owner of the site or a collaborator.
    User,
    /// A logged-in member of the site.
    Member,
    /// A visitor who is not logged in.
    Visitor,
    /// The response has no known subject type.
    Unknown,
}

impl TokenInfo {
    /// Proves that the token is active and belongs to the app. Returns its instance and site.
    pub fn prove(&self, app: &AppId) -> Result<(InstanceId, Option<SiteId>), Unproven> {
        if !self.active {
            return Err(Unproven("the token is not active"));
        }
        let client = self.client_id.as_deref().and_then(|id| AppId::parse(id).ok());
        if client.as_ref() != Some(app) {
            return Err(Unproven("the token is for another app"));
        }
        let instance = self.instance_id.as_deref().and_then(|id| InstanceId::parse(id).ok());
        let instance = instance.ok_or(Unproven("the token is for no instance"))?;
        Ok((instance, self.site_id.as_str().and_then(|id| SiteId::parse(id).ok())))
    }

    /// The identity that acts with the token.
    #[must_use]
    pub fn subject(&self) -> Subject {
        let kind = match self.subject_type.as_str() {
            Some("APP") => SubjectType::App,
            Some("USER") => SubjectType::User,
            Some("MEMBER") => SubjectType::Member,
            Some("VISITOR") => SubjectType::Visitor,
            _ => SubjectType::Unknown,
        };
        Subject { kind, id: plain_text(&self.subject_id) }
    }

    /// The plan of the site, if there is one.
    #[must_use]
    pub fn vendor_product_id(&self) -> Option<String> {
        plain_text(&self.vendor_product_id)
    }

    /// The account, if the response names it.
    #[must_use]
    pub fn account_id(&self) -> Option<String> {
        plain_text(&self.account_id)
    }

    /// When the token expires, if the response says so.
    #[must_use]
    pub fn expires_at(&self) -> Option<Timestamp> {
        let seconds = self.exp.as_u64().or_else(|| self.exp.as_str()?.parse().ok());
        seconds.map(Timestamp)
    }
}
