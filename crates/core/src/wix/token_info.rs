//! Get Token Info's answer (Wix's rules 1.5), in either of the spellings that Wix documents.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::id::{AppId, InstanceId, SiteId};
use crate::json::{bool_or_text, plain_text};
use crate::time::Timestamp;

/// See the module.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TokenInfo {
    #[serde(default, deserialize_with = "bool_or_text")]
    active: bool,
    // What proves something must be of its documented type; anything else is no answer of Wix's.
    client_id: Option<String>,
    instance_id: Option<String>,
    #[serde(default)]
    site_id: Value,
    #[serde(default)]
    subject_type: Value,
    #[serde(default)]
    subject_id: Value,
    #[serde(default)]
    exp: Value,
}

/// Who acts with a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Subject {
    /// What kind of subject it is.
    #[serde(rename = "type")]
    pub kind: SubjectType,
    /// Its id: of the app, the user, the member, the visitor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

/// What kind of subject acts with a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum SubjectType {
    /// The app itself.
    App,
    /// A Wix user: the owner of a site, or who works on it.
    User,
    /// A member of the site, logged in there.
    Member,
    /// Somebody who is not logged in.
    Visitor,
    /// Wix does not say, or says something new.
    Unknown,
}

impl TokenInfo {
    /// Whether the token lives, is for this app, and for which instance and site.
    pub fn prove(&self, app: &AppId) -> Result<(InstanceId, Option<SiteId>), &'static str> {
        if !self.active {
            return Err("the token is not active");
        }
        let client = self.client_id.as_deref().and_then(|id| AppId::parse(id).ok());
        if client.as_ref() != Some(app) {
            return Err("the token is for another app");
        }
        let instance = self.instance_id.as_deref().and_then(|id| InstanceId::parse(id).ok());
        let instance = instance.ok_or("the token is for no instance")?;
        Ok((instance, self.site_id.as_str().and_then(|id| SiteId::parse(id).ok())))
    }

    /// Who acts.
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

    /// When the token ends, where Wix says so.
    #[must_use]
    pub fn expires_at(&self) -> Option<Timestamp> {
        let seconds = self.exp.as_u64().or_else(|| self.exp.as_str()?.parse().ok());
        seconds.map(Timestamp)
    }
}
