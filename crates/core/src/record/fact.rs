//! Facts: what is written once and never changed, and how it reads what a newer version wrote.

use std::collections::BTreeMap;

use serde::ser::{Error as _, Serializer};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

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
pub(super) type Fields = BTreeMap<String, Box<RawValue>>;

pub(super) fn fields_of(value: &impl Serialize) -> Fields {
    let text = serde_json::to_string(value).unwrap_or_default();
    serde_json::from_slice(text.as_bytes()).unwrap_or_default()
}

/// The text of a field.
pub(super) fn text_of<'a>(fields: &'a Fields, name: &str) -> Option<&'a str> {
    fields.get(name).map(|value| value.get())
}
