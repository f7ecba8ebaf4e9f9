//! The folded instance, and the policy for its setup event.

use serde::{Deserialize, Serialize};

use crate::values::{InstanceId, Ref, SiteId, Timestamp};

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

/// The billing of a plan, as far as Wix has told it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Billing {
    /// Wix's name of the period: `MONTHLY`, `YEARLY`, `ONE_TIME` and others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cycle: Option<String>,
    /// When the period ends. Of a short period Wix tells it with a purchase only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// Whether the plan renews itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_renewing: Option<bool>,
    /// When the free trial ends, while there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trial_ends_at: Option<Timestamp>,
    /// When Wix said so last, as the Durable Object of the installation knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checked_at: Option<Timestamp>,
}

/// What a comparison with Wix has corrected, because a webhook was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Corrected {
    /// When.
    pub at: Timestamp,
    /// Whether the installation was not recorded.
    pub installed: bool,
    /// Whether the removal was not recorded.
    pub removed: bool,
    /// Whether another plan was recorded.
    pub plan: bool,
}

/// A site, as Wix describes it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SiteInfo {
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its address, once it is published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Its language.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
    /// Its currency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
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
    /// What Wix says of the site, as far as the app's permissions allow. Absent in lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<SiteInfo>,
    /// The app's version on the site.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_version: Option<String>,
    /// The plan that the site has now, as `vendorProductId`. It stays after a cancellation until its period ends, and after the
    /// end of a period that renews itself, until Wix says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// Whether the site has no plan. Absent where unknown: before Wix was asked, and after a period has ended that may have been
    /// renewed, until Wix is asked again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_free: Option<bool>,
    /// The billing of the plan. Absent in lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub billing: Option<Billing>,
    /// The `ref` that the app gave to `/connect` or `/install`, of the latest flow that had one. Absent in lists.
    #[serde(default, rename = "ref", skip_serializing_if = "Option::is_none")]
    pub reference: Option<Ref>,
    /// When `APP_FINISHED_CONFIGURATION` was sent for the present installation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configured_at: Option<Timestamp>,
    /// The time of the latest stored event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_event_at: Option<Timestamp>,
    /// The latest change in how Wix answers token requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_token: Option<LastToken>,
    /// The latest comparison with Wix that corrected something, as the Durable Object of the installation knows it. Absent in
    /// lists.
    #[serde(skip_deserializing, skip_serializing_if = "Option::is_none")]
    pub corrected: Option<Corrected>,
}

impl Instance {
    /// The next known end: of the trial or of the period.
    #[must_use]
    pub fn next_end(&self) -> Option<Timestamp> {
        let billing = self.billing.as_ref()?;
        [billing.expires_at, billing.trial_ends_at].into_iter().flatten().min()
    }

    /// The instance without claims that have passed. A plan that does not renew itself has ended with its period. A plan that
    /// does, or may, is kept, but whether the site still pays for it is unknown until Wix is asked.
    #[must_use]
    pub fn valid_at(mut self, now: Timestamp) -> Self {
        if self.next_end().is_none_or(|end| end > now) {
            return self;
        }
        let Some(mut billing) = self.billing.take() else { return self };
        billing.expires_at = billing.expires_at.filter(|end| *end > now);
        billing.trial_ends_at = billing.trial_ends_at.filter(|end| *end > now);
        if billing.auto_renewing == Some(false) && billing.expires_at.is_none() && billing.trial_ends_at.is_none() {
            (self.plan, self.is_free) = (None, Some(true));
        } else {
            self.is_free = None;
            self.billing = Some(billing).filter(|billing| *billing != Billing::default());
        }
        self
    }

    /// The instance as an item of a list: KV's metadata has no room for every field.
    #[must_use]
    pub fn listed(self) -> Self {
        Self { site: None, billing: None, reference: None, ..self }
    }

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
