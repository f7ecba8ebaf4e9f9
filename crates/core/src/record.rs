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

mod fact;
mod row;

use serde::{Deserialize, Serialize};

pub use self::fact::{Fact, Kind, Name};
pub use self::row::Row;
use crate::config::{Config, FinishConfiguration};
use crate::id::{InstanceId, SiteId};
use crate::time::Timestamp;

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

/// Adds a fact to those that count: of each kind the latest, in the order of their kinds' names. Every one of a newer
/// version counts.
pub fn join(known: &mut Vec<Fact>, fact: Fact) {
    if fact.kind.name() == Name::Foreign {
        if let Err(place) = known.binary_search_by(|known| (known.kind.name(), known).cmp(&(Name::Foreign, &fact))) {
            known.insert(place, fact);
        }
        return;
    }
    match known.binary_search_by_key(&fact.kind.name(), |known| known.kind.name()) {
        Err(place) => known.insert(place, fact),
        Ok(place) => {
            if let Some(known) = known.get_mut(place).filter(|known| **known < fact) {
                *known = fact;
            }
        }
    }
}

/// The latest fact of a kind.
#[must_use]
pub fn latest(facts: &[Fact], name: Name) -> Option<&Fact> {
    facts.iter().filter(|fact| fact.kind.name() == name).max()
}

/// The time of the latest fact of any of these kinds.
#[must_use]
pub fn latest_of(facts: &[Fact], names: &[Name]) -> Option<Timestamp> {
    names.iter().filter_map(|name| latest(facts, *name)).map(|fact| fact.at).max()
}

/// Folds facts into the instance; nothing if there are none.
#[must_use]
pub fn fold(instance: &InstanceId, facts: &[Fact]) -> Option<Instance> {
    if facts.is_empty() {
        return None;
    }
    let latest = |name: Name| latest(facts, name);
    let time = |name: Name| latest(name).map(|fact| fact.at);

    let installed = time(Name::Installed);
    let connected = time(Name::Connected);
    let joined = time(Name::Joined);
    let present = installed.max(connected).max(joined);
    // One that Wix took back when it was asked never was.
    let removed =
        time(Name::Removed).filter(|removed| present >= Some(*removed) || time(Name::Present) < Some(*removed));
    // The same second decides for the paying site: a token request will find out.
    let is_removed = removed > present;
    let of_this_installation = |at: &Timestamp| removed.is_none_or(|removed| *at >= removed);

    let connected = connected.filter(of_this_installation);
    let healed = time(Name::Healed).filter(|healed| connected.is_some_and(|connected| *healed >= connected));
    let refused = time(Name::Refused).filter(|refused| {
        let answered = present.max(time(Name::Accepted)).max(healed);
        // In the same second the token counts: a refusal that lasts comes again.
        answered.is_none_or(|answered| *refused > answered)
    });
    let configured = time(Name::Configured).filter(of_this_installation);
    let token = [
        // In the same second the later row counts.
        connected.max(time(Name::Accepted)).map(|at| (at, TokenOutcome::Ok)),
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
        origin_instance_id: latest(Name::Installed).and_then(|fact| match &fact.kind {
            Kind::Installed { origin } => origin.clone(),
            _ => None,
        }),
        site_id: latest(Name::Connected).max(latest(Name::Joined)).and_then(|fact| match &fact.kind {
            Kind::Connected { site } | Kind::Joined { site } => site.clone(),
            _ => None,
        }),
        plan: latest(Name::Plan).and_then(|fact| match &fact.kind {
            Kind::Plan { plan } => Some(plan.clone()),
            _ => None,
        }),
        configured_at: configured.filter(|_| !is_removed),
        last_event_at: installed.max(time(Name::Removed)).max(time(Name::Plan)).max(time(Name::Seen)),
        last_token: token
            .into_iter()
            .flatten()
            .max_by_key(|(at, _)| *at)
            .map(|(at, outcome)| LastToken { at, outcome }),
    })
}

/// The facts that no longer count: of each kind that is known here, all but the latest.
#[must_use]
pub fn outdated(facts: &[Fact]) -> Vec<&Fact> {
    facts
        .iter()
        .filter(|fact| fact.kind.name() != Name::Foreign)
        .filter(|fact| latest(facts, fact.kind.name()).is_some_and(|latest| latest > fact))
        .collect()
}

#[cfg(test)]
#[path = "record_tests.rs"]
mod tests;
