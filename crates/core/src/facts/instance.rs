//! The folded instance, and the policy for its setup event.

use serde::{Deserialize, Serialize};

use crate::values::{InstanceId, SiteId, Timestamp};

/// The state of an installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The app is on the site.
    Installed,
    /// Wix sent events for the instance, but neither its installation nor its removal.
    Pending,
    /// The app is on the site, but Wix refuses to issue tokens.
    NeedsReconnect,
    /// The app was removed.
    Removed,
}

/// Which OAuth grant yields access tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Auth {
    /// Client credentials.
    Oauth,
    /// A refresh token, of custom authentication.
    Custom,
    /// Client credentials, after the refresh token stopped working.
    CustomHealed,
}

/// The latest change in how Wix answers token requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LastToken {
    /// When it happened.
    pub at: Timestamp,
    /// The outcome.
    pub outcome: TokenOutcome,
}

/// The outcome of a token request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum TokenOutcome {
    /// Wix issued a token.
    Ok,
    /// Wix refused the refresh token and issued a token for client credentials.
    Healed,
    /// Wix refused permanently.
    Refused,
}

/// An installation as the app API returns it. Times are Unix seconds; unknown fields are absent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[expect(clippy::struct_field_names, reason = "the names of the app API")]
pub struct Instance {
    /// The instance id.
    pub instance_id: InstanceId,
    /// Its state.
    pub status: Status,
    /// Which OAuth grant yields access tokens.
    pub auth: Auth,
    /// When the present installation began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub installed_at: Option<Timestamp>,
    /// When the app was removed, if it is removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removed_at: Option<Timestamp>,
    /// The instance of the site that this site was cloned from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin_instance_id: Option<InstanceId>,
    /// The site.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site_id: Option<SiteId>,
    /// The plan that was bought last, as `vendorProductId`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// When `APP_FINISHED_CONFIGURATION` was sent for the present installation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configured_at: Option<Timestamp>,
    /// The time of the latest stored event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_event_at: Option<Timestamp>,
    /// The latest change in how Wix answers token requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_token: Option<LastToken>,
}

impl Instance {
    /// Whether `APP_FINISHED_CONFIGURATION` must be sent without a request of the app's back end, and was not sent yet.
    #[must_use]
    pub fn needs_setup_event(&self, policy: SetupPolicy) -> bool {
        policy == SetupPolicy::OnInstall && self.status == Status::Installed && self.configured_at.is_none()
    }
}

/// When to send `APP_FINISHED_CONFIGURATION` (`FINISH_CONFIGURATION`). Once an app has sent it for one instance, Wix shows
/// a setup badge on every instance until it is sent for that one too: an app sends it always or never (docs/wix.md, 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetupPolicy {
    /// When the app's back end asks for it.
    OnRequest,
    /// As soon as an instance is installed.
    OnInstall,
    /// Never.
    Never,
}
