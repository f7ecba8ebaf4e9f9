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

use std::collections::BTreeMap;

use serde::ser::{Error as _, Serializer};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

use crate::config::{Config, FinishConfiguration};
use crate::id::{InstanceId, SiteId, hex};
use crate::json;
use crate::time::Timestamp;

/// Something that happened to an instance, with its own time.
///
/// A newer version of this program may write kinds and fields that this one does not know. They are carried along
/// untouched, since old and new isolates run side by side during every deployment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fact {
    /// When: Wix's `iat` for webhooks, `signDate` for signed instances, our clock for what we did ourselves.
    pub at: Timestamp,
    /// What.
    pub kind: Kind,
    /// Fields that this version does not know, as a JSON object; empty if there are none.
    extra: String,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Kind {
    /// Wix said that the app was installed.
    Installed {
        /// The instance this one was cloned from.
        #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "json::lenient")]
        origin: Option<InstanceId>,
    },
    /// Wix said that the app was removed.
    Removed,
    /// The redirect flow ended with a token that Wix says is for this instance.
    Connected {
        /// The site, as Wix's token info names it.
        #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "json::lenient")]
        site: Option<SiteId>,
    },
    /// The external install flow ended with a value that Wix signed for this instance.
    Joined {
        /// The site, as the signed value names it.
        #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "json::lenient")]
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
    /// A fact of a newer version, as the JSON that it was read from. It takes no part in the fold.
    #[serde(skip)]
    Foreign(String),
}

/// The name of a kind, in the order in which a row lists its facts: by their text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Name {
    /// [`Kind::Accepted`]
    Accepted,
    /// [`Kind::Configured`]
    Configured,
    /// [`Kind::Connected`]
    Connected,
    /// [`Kind::Healed`]
    Healed,
    /// [`Kind::Installed`]
    Installed,
    /// [`Kind::Joined`]
    Joined,
    /// [`Kind::Plan`]
    Plan,
    /// [`Kind::Present`]
    Present,
    /// [`Kind::Refused`]
    Refused,
    /// [`Kind::Removed`]
    Removed,
    /// [`Kind::Seen`]
    Seen,
    /// [`Kind::Foreign`]
    Foreign,
}

impl Name {
    /// Its text in the key.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Configured => "configured",
            Self::Connected => "connected",
            Self::Healed => "healed",
            Self::Installed => "installed",
            Self::Joined => "joined",
            Self::Plan => "plan",
            Self::Present => "present",
            Self::Refused => "refused",
            Self::Removed => "removed",
            Self::Seen => "seen",
            Self::Foreign => "foreign",
        }
    }
}

impl Kind {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> Name {
        match self {
            Self::Installed { .. } => Name::Installed,
            Self::Removed => Name::Removed,
            Self::Connected { .. } => Name::Connected,
            Self::Joined { .. } => Name::Joined,
            Self::Seen => Name::Seen,
            Self::Plan { .. } => Name::Plan,
            Self::Configured => Name::Configured,
            Self::Healed => Name::Healed,
            Self::Refused => Name::Refused,
            Self::Accepted => Name::Accepted,
            Self::Present => Name::Present,
            Self::Foreign(_) => Name::Foreign,
        }
    }
}

impl Fact {
    /// A fact of this version.
    #[must_use]
    pub fn new(at: Timestamp, kind: Kind) -> Self {
        Self { at, kind, extra: String::new() }
    }

    /// Reads a fact. What this version does not know is kept as it is.
    #[must_use]
    pub fn from_json(text: &str) -> Self {
        let fields: Fields = serde_json::from_slice(text.as_bytes()).unwrap_or_default();
        let at = fields.get("at").and_then(|at| at.get().parse().ok()).map(Timestamp);
        let (Some(at), Ok(kind)) = (at, serde_json::from_slice::<Kind>(text.as_bytes())) else {
            return Self::new(at.unwrap_or(Timestamp(0)), Kind::Foreign(text.to_owned()));
        };
        let known = fields_of(&kind);
        let mut extra = fields;
        extra.retain(|name, _| name != "at" && !known.contains_key(name));
        let extra = if extra.is_empty() { String::new() } else { serde_json::to_string(&extra).unwrap_or_default() };
        Self { at, kind, extra }
    }

    /// Whether a newer version wrote it, or a part of it.
    #[must_use]
    pub fn is_foreign(&self) -> bool {
        matches!(self.kind, Kind::Foreign(_)) || !self.extra.is_empty()
    }

    /// The key it is kept under: the same for the same fact, another for any other.
    pub fn key(&self, instance: &InstanceId) -> Result<String, serde_json::Error> {
        let detail = serde_json::to_vec(&self.kind)?;
        let hash: String = hex(&Sha256::digest(detail)).chars().take(8).collect();
        Ok(format!("{}{}:{:012}:{hash}", Self::prefix(instance), self.kind.name().as_str(), self.at.0))
    }

    /// The prefix of all facts of an instance.
    #[must_use]
    pub fn prefix(instance: &InstanceId) -> String {
        format!("v1:fact:{instance}:")
    }
}

impl Serialize for Fact {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Stored<'a> {
            at: Timestamp,
            #[serde(flatten)]
            kind: &'a Kind,
            #[serde(flatten)]
            extra: Fields,
        }
        if let Kind::Foreign(text) = &self.kind {
            return RawValue::from_string(text.clone()).map_err(S::Error::custom)?.serialize(serializer);
        }
        let extra =
            if self.extra.is_empty() { Ok(Fields::new()) } else { serde_json::from_slice(self.extra.as_bytes()) };
        Stored { at: self.at, kind: &self.kind, extra: extra.map_err(S::Error::custom)? }.serialize(serializer)
    }
}

/// The fields of a JSON object, each as it is written.
type Fields = BTreeMap<String, Box<RawValue>>;

fn fields_of(value: &impl Serialize) -> Fields {
    let text = serde_json::to_string(value).unwrap_or_default();
    serde_json::from_slice(text.as_bytes()).unwrap_or_default()
}

/// The text of a field.
fn text_of<'a>(fields: &'a Fields, name: &str) -> Option<&'a str> {
    fields.get(name).map(|value| value.get())
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
#[derive(Debug, Clone)]
pub struct Row {
    /// The instance.
    pub instance: Instance,
    /// The facts.
    pub facts: Vec<Fact>,
    /// What a newer version wrote beside them: fields that this one does not know, and known ones with a value that this
    /// version's fold does not give.
    foreign: Fields,
}

impl Row {
    /// Folds facts into a row that has nothing of a newer version; nothing if there are none.
    #[must_use]
    pub fn fold(id: &InstanceId, facts: Vec<Fact>) -> Option<Self> {
        Some(Self { instance: fold(id, &facts)?, facts, foreign: Fields::new() })
    }

    /// Reads a row. A part that this version does not understand is kept; where the instance itself cannot be read, it is
    /// folded anew. Nothing where that is impossible too.
    #[must_use]
    pub fn read(id: &InstanceId, text: &str) -> Option<Self> {
        let mut fields: Fields = serde_json::from_slice(text.as_bytes()).ok()?;
        let facts = fields.remove("facts").map(|facts| serde_json::from_slice(facts.get().as_bytes()));
        let facts: Vec<Box<RawValue>> = facts.and_then(Result::ok).unwrap_or_default();
        let facts: Vec<Fact> = facts.iter().map(|fact| Fact::from_json(fact.get())).collect();
        let read = serde_json::from_slice::<Instance>(text.as_bytes()).ok();
        let instance = read.filter(|instance| instance.instance_id == *id).or_else(|| fold(id, &facts))?;
        let known = fields_of(&instance);
        let is_newer = fields.iter().any(|(name, value)| text_of(&known, name) != Some(value.get()));
        let foreign = if is_newer || facts.iter().any(Fact::is_foreign) {
            let ours = fold(id, &facts).map(|instance| fields_of(&instance)).unwrap_or_default();
            fields.retain(|name, value| text_of(&ours, name) != Some(value.get()));
            fields
        } else {
            Fields::new()
        };
        Some(Self { instance, facts, foreign })
    }

    /// The row with other facts. What a newer version wrote stays, but for fields that these facts change.
    #[must_use]
    pub fn with(self, id: &InstanceId, facts: Vec<Fact>) -> Option<Self> {
        let instance = fold(id, &facts)?;
        let mut foreign = self.foreign;
        if foreign.is_empty() {
            return Some(Self { instance, facts, foreign });
        }
        let before = fold(id, &self.facts).map(|instance| fields_of(&instance)).unwrap_or_default();
        let mut whole = fields_of(&instance);
        foreign.retain(|name, _| text_of(&before, name) == text_of(&whole, name));
        whole.extend(foreign.clone());
        let text = serde_json::to_string(&whole).ok()?;
        let shown = serde_json::from_slice(text.as_bytes()).unwrap_or(instance);
        Some(Self { instance: shown, facts, foreign })
    }

    /// What a listing shows beside the key: the instance, and of a newer version's fields what KV has room for.
    pub fn metadata(&self) -> Result<String, serde_json::Error> {
        let mut text = serde_json::to_string(&self.instance)?;
        let mut fields = fields_of(&self.instance);
        for (name, value) in &self.foreign {
            if value.get().starts_with(['{', '[']) {
                continue;
            }
            let before = fields.insert(name.clone(), value.clone());
            let longer = serde_json::to_string(&fields)?;
            if longer.len() <= METADATA_LIMIT {
                text = longer;
            } else if let Some(before) = before {
                fields.insert(name.clone(), before);
            } else {
                fields.remove(name);
            }
        }
        Ok(text)
    }
}

/// Bytes of metadata that KV takes.
const METADATA_LIMIT: usize = 1024;

impl Serialize for Row {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Stored<'a> {
            #[serde(flatten)]
            instance: Fields,
            facts: &'a [Fact],
        }
        let mut instance = fields_of(&self.instance);
        instance.extend(self.foreign.clone());
        Stored { instance, facts: &self.facts }.serialize(serializer)
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
