//! What is known of an instance: a fold over facts, each kept under a key of its own.
//!
//! A fact is written once and never changed, so two writers cannot undo each other's; of each kind only the latest
//! counts, by the fact's own time. The fold therefore gives the same instance in whatever order and however often
//! facts come, and older facts of a kind may be dropped without a change.
//!
//! Beside the facts there is a row, for listings and token requests: the folded instance with the facts it was folded
//! from. It can lag; joining it with any other set of facts never loses one.
//!
//! | Key | Value | Metadata |
//! |---|---|---|
//! | `v1:fact:{instance}:{kind}:{time}:{detail's hash}` | the fact | the fact |
//! | `v1:instance:{instance}` | the row | the folded instance |

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::config::{Config, FinishConfiguration};
use crate::id::{InstanceId, SiteId, hex};
use crate::time::Timestamp;

/// Something that happened to an instance, with its own time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Fact {
    /// When: Wix's `iat` for webhooks, our clock for what we did ourselves.
    pub at: Timestamp,
    /// What.
    #[serde(flatten)]
    pub kind: Kind,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Kind {
    /// Wix said that the app was installed.
    Installed {
        /// The instance this one was cloned from.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        origin: Option<InstanceId>,
    },
    /// Wix said that the app was removed.
    Removed,
    /// The redirect flow ended with a token that Wix says is for this instance.
    Connected {
        /// The site, as Wix's token info names it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        site: Option<SiteId>,
    },
    /// The external install flow ended with a value that Wix signed for this instance.
    Joined {
        /// The site, as the signed value names it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        site: Option<SiteId>,
    },
    /// Wix sent some other event for it.
    Seen,
    /// Wix said which plan was bought.
    Plan {
        /// `vendorProductId`
        plan: String,
    },
    /// `APP_FINISHED_CONFIGURATION` was accepted by Wix.
    Configured,
    /// Client credentials did what the refresh token could not.
    Healed,
    /// Wix refused tokens for good.
    Refused,
    /// Wix gave a token after having refused, or after a removal.
    Accepted,
    /// Wix, asked about a removal that other facts contradict, gave a token and described the instance.
    Present,
}

impl Kind {
    /// Its name in the key.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Installed { .. } => "installed",
            Self::Removed => "removed",
            Self::Connected { .. } => "connected",
            Self::Joined { .. } => "joined",
            Self::Seen => "seen",
            Self::Plan { .. } => "plan",
            Self::Configured => "configured",
            Self::Healed => "healed",
            Self::Refused => "refused",
            Self::Accepted => "accepted",
            Self::Present => "present",
        }
    }
}

impl Fact {
    /// The key it is kept under: the same for the same fact, another for any other.
    #[must_use]
    pub fn key(&self, instance: &InstanceId) -> String {
        let detail = serde_json::to_vec(&self.kind).unwrap_or_default();
        let hash: String = hex(&Sha256::digest(detail)).chars().take(8).collect();
        format!("{}{}:{:012}:{hash}", Self::prefix(instance), self.kind.name(), self.at.0)
    }

    /// The prefix of all facts of an instance.
    #[must_use]
    pub fn prefix(instance: &InstanceId) -> String {
        format!("v1:fact:{instance}:")
    }
}

/// Where an installation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The app is on the site.
    Installed,
    /// Something was heard of it, but neither an installation nor a removal.
    Pending,
    /// The app is on the site, but Wix refuses tokens.
    NeedsReconnect,
    /// The app was removed.
    Removed,
}

/// How tokens are got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Auth {
    /// Client credentials.
    Oauth,
    /// Refresh token.
    Custom,
    /// There was a refresh token; it no longer works, and client credentials do.
    CustomHealed,
}

/// How the last change of Wix's mind about tokens ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LastToken {
    /// When.
    pub at: Timestamp,
    /// How.
    pub outcome: TokenOutcome,
}

/// How a token request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum TokenOutcome {
    /// A token was given.
    Ok,
    /// A token was given, by client credentials where the refresh token failed.
    Healed,
    /// Wix refused for good.
    Refused,
}

/// An instance as the app API shows it. Times are Unix seconds; what is not known is absent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Instance {
    /// The instance.
    pub instance_id: InstanceId,
    /// Where it stands.
    pub status: Status,
    /// How tokens are got.
    pub auth: Auth,
    /// When the present installation began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub installed_at: Option<Timestamp>,
    /// When the app was removed, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removed_at: Option<Timestamp>,
    /// The instance it was cloned from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin_instance_id: Option<InstanceId>,
    /// The site.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site_id: Option<SiteId>,
    /// The plan last bought, as `vendorProductId`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// When `APP_FINISHED_CONFIGURATION` was sent for the present installation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configured_at: Option<Timestamp>,
    /// The time of Wix's latest event that was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_event_at: Option<Timestamp>,
    /// How the last token request that changed something ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_token: Option<LastToken>,
}

impl Instance {
    /// The key of the folded instance.
    #[must_use]
    pub fn key(instance: &InstanceId) -> String {
        format!("{}{instance}", Self::PREFIX)
    }

    /// The prefix of all folded instances.
    pub const PREFIX: &str = "v1:instance:";

    /// Whether `APP_FINISHED_CONFIGURATION` is to be sent without being asked for, and was not.
    #[must_use]
    pub fn is_to_be_finished(&self, config: &Config) -> bool {
        config.finish_configuration == FinishConfiguration::OnInstall
            && self.status == Status::Installed
            && self.configured_at.is_none()
    }
}

/// An instance with the facts it was folded from, the latest of each kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// The instance.
    #[serde(flatten)]
    pub instance: Instance,
    /// The facts.
    #[serde(default)]
    pub facts: Vec<Fact>,
}

/// Adds a fact to those that count: of each kind the latest, in the order of their kinds' names.
pub fn join(known: &mut Vec<Fact>, fact: Fact) {
    match known.binary_search_by_key(&fact.kind.name(), |known| known.kind.name()) {
        Err(place) => known.insert(place, fact),
        Ok(place) => {
            if let Some(known) = known.get_mut(place).filter(|known| **known < fact) {
                *known = fact;
            }
        }
    }
}

/// Folds facts into the instance; nothing if there are none.
#[must_use]
pub fn fold(instance: &InstanceId, facts: &[Fact]) -> Option<Instance> {
    if facts.is_empty() {
        return None;
    }
    let latest = |name: &str| facts.iter().filter(|fact| fact.kind.name() == name).max();
    let time = |name: &str| latest(name).map(|fact| fact.at);

    let installed = time("installed");
    let connected = time("connected");
    let joined = time("joined");
    let present = installed.max(connected).max(joined);
    // One that Wix took back when it was asked never was.
    let removed = time("removed").filter(|removed| present >= Some(*removed) || time("present") < Some(*removed));
    // The same second decides for the paying site: a token request will find out.
    let is_removed = removed > present;
    let of_this_installation = |at: &Timestamp| removed.is_none_or(|removed| *at >= removed);

    let connected = connected.filter(of_this_installation);
    let healed = time("healed").filter(|healed| connected.is_some_and(|connected| *healed >= connected));
    let refused = time("refused").filter(|refused| {
        let answered = present.max(time("accepted")).max(healed);
        // In the same second the refusal counts: the next token that Wix gives ends it.
        answered.is_none_or(|answered| *refused >= answered)
    });
    let configured = time("configured").filter(of_this_installation);
    let token = [
        // In the same second the later row counts.
        connected.max(time("accepted")).map(|at| (at, TokenOutcome::Ok)),
        healed.map(|at| (at, TokenOutcome::Healed)),
        refused.map(|at| (at, TokenOutcome::Refused)),
    ];

    Some(Instance {
        instance_id: instance.clone(),
        status: match (is_removed, present, refused) {
            (true, ..) => Status::Removed,
            (false, _, Some(_)) => Status::NeedsReconnect,
            (false, Some(_), None) => Status::Installed,
            (false, None, None) => Status::Pending,
        },
        auth: match (connected, healed) {
            (None, _) => Auth::Oauth,
            (Some(_), None) => Auth::Custom,
            (Some(_), Some(_)) => Auth::CustomHealed,
        },
        installed_at: installed
            .filter(of_this_installation)
            .or_else(|| joined.filter(of_this_installation))
            .or(connected)
            .filter(|_| !is_removed),
        removed_at: removed.filter(|_| is_removed),
        origin_instance_id: latest("installed").and_then(|fact| match &fact.kind {
            Kind::Installed { origin } => origin.clone(),
            _ => None,
        }),
        site_id: latest("connected").max(latest("joined")).and_then(|fact| match &fact.kind {
            Kind::Connected { site } | Kind::Joined { site } => site.clone(),
            _ => None,
        }),
        plan: latest("plan").and_then(|fact| match &fact.kind {
            Kind::Plan { plan } => Some(plan.clone()),
            _ => None,
        }),
        configured_at: configured.filter(|_| !is_removed),
        last_event_at: installed.max(time("removed")).max(time("plan")).max(time("seen")),
        last_token: token
            .into_iter()
            .flatten()
            .max_by_key(|(at, _)| *at)
            .map(|(at, outcome)| LastToken { at, outcome }),
    })
}

/// The facts that no longer count: of each kind, all but the latest.
#[must_use]
pub fn outdated(facts: &[Fact]) -> Vec<&Fact> {
    facts
        .iter()
        .filter(|fact| facts.iter().any(|other| other.kind.name() == fact.kind.name() && other > fact))
        .collect()
}

#[cfg(test)]
#[path = "record_tests.rs"]
mod tests;
