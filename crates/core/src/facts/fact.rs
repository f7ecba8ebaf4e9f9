//! Facts, and how this version reads facts of a newer one.

use std::cmp::Ordering;

use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::ser::{Error as _, Serializer};
use serde_json::value::RawValue;

use super::state::Before;
use crate::values::json::Fields;
use crate::values::{InstanceId, Ref, SiteId, Timestamp};

/// The field of [`Before`].
const BEFORE: &str = "before";
/// The field of [`Fact::recorded_ms`].
const RECORDED: &str = "recorded_ms";

/// Something that happened to an instance, with the time at which it happened.
///
/// A newer version of this Worker may write kinds and fields that this one does not know. They are preserved unchanged,
/// since isolates of both versions run side by side during every deployment.
///
/// Facts are equal if the same happened at the same time, whatever was known before each of them.
#[derive(Debug, Clone)]
pub struct Fact {
    /// The time: for webhooks the event's own, else Wix's `iat`; `signDate` for signed instances; this Worker's clock for its
    /// own actions.
    pub at: Timestamp,
    /// What happened.
    pub kind: Kind,
    /// The state before it was recorded, if changes are events for the app.
    pub before: Option<Before>,
    /// When it was recorded, in Unix milliseconds. Only the key of a fact has it: see [`Fact::recorded_at`].
    pub recorded_ms: Option<u64>,
    /// The fields that this version does not know, as a JSON object; empty if there are none.
    extra: String,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Kind {
    /// Wix sent `AppInstalled`.
    Installed {
        /// The instance of the site that this site was cloned from.
        #[serde(skip_serializing_if = "Option::is_none")]
        origin: Option<InstanceId>,
    },
    /// Wix sent `AppRemoved`. A tombstone: it stays when the tokens are erased.
    Removed,
    /// The redirect flow ended with a token that token info attributes to this instance.
    Connected {
        /// The site, from token info.
        #[serde(skip_serializing_if = "Option::is_none")]
        site: Option<SiteId>,
    },
    /// The external install flow ended with a signed instance of this instance.
    Joined {
        /// The site, from the signed instance.
        #[serde(skip_serializing_if = "Option::is_none")]
        site: Option<SiteId>,
    },
    /// Wix sent another event for the instance.
    Seen,
    /// A plan was bought or changed.
    Plan {
        /// `vendorProductId`
        plan: String,
        /// `cycle`
        #[serde(skip_serializing_if = "Option::is_none")]
        cycle: Option<String>,
        /// `expiresOn`
        #[serde(skip_serializing_if = "Option::is_none")]
        expires_at: Option<Timestamp>,
        /// Whether it renews itself, where the event says so.
        #[serde(skip_serializing_if = "Option::is_none")]
        auto_renewing: Option<bool>,
    },
    /// Wix accepted `APP_FINISHED_CONFIGURATION`.
    Configured,
    /// Wix issued a token for client credentials after the refresh token had failed.
    Healed,
    /// Wix permanently refused to issue tokens.
    Refused,
    /// Wix issued a token after a refusal, or after a removal.
    Accepted,
    /// Wix denied a contested removal: it issued a token and returned the app instance.
    Present,
    /// Wix sent `app_installation_created`: the first installation on the site.
    Created,
    /// Wix sent `app_installation_updated` with the status `INSTALLED`, which any change of the installation causes.
    Listed,
    /// Wix sent `app_installation_deleted`: the installation is gone for good. It comes with [`Self::Removed`], which is all
    /// that a version knows that does not know this kind.
    Deleted,
    /// Wix named the site of the instance.
    Site {
        /// The site.
        site: SiteId,
    },
    /// Wix sent `PaidPlanAutoRenewalCancelled`: the plan ends with its period.
    Cancelled {
        /// `vendorProductId`
        #[serde(skip_serializing_if = "Option::is_none")]
        plan: Option<String>,
        /// `cycle`
        #[serde(skip_serializing_if = "Option::is_none")]
        cycle: Option<String>,
    },
    /// Wix sent an event about billing that does not say what the site has now: of an invoice, or without a product.
    BillingChanged,
    /// Wix answered what the site has: `isFree` and `billing` of Get App Instance.
    Billed {
        /// `isFree`
        is_free: bool,
        /// `packageName`
        #[serde(skip_serializing_if = "Option::is_none")]
        plan: Option<String>,
        /// `billingCycle`
        #[serde(skip_serializing_if = "Option::is_none")]
        cycle: Option<String>,
        /// `expirationDate`
        #[serde(skip_serializing_if = "Option::is_none")]
        expires_at: Option<Timestamp>,
        /// `autoRenewing`
        #[serde(skip_serializing_if = "Option::is_none")]
        auto_renewing: Option<bool>,
        /// `endDate` of a free trial in progress.
        #[serde(skip_serializing_if = "Option::is_none")]
        trial_ends_at: Option<Timestamp>,
    },
    /// Wix described the site, and named the app's version on it, in the same answer.
    Described {
        /// `siteDisplayName`, shortened.
        #[serde(skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// `url`
        #[serde(skip_serializing_if = "Option::is_none")]
        url: Option<String>,
        /// `locale`
        #[serde(skip_serializing_if = "Option::is_none")]
        locale: Option<String>,
        /// `paymentCurrency`
        #[serde(skip_serializing_if = "Option::is_none")]
        currency: Option<String>,
        /// `appVersion`
        #[serde(skip_serializing_if = "Option::is_none")]
        app_version: Option<String>,
    },
    /// A flow ended that the app had given a `ref`. It has the time of the fact that ended the flow.
    Referred {
        /// The `ref`.
        #[serde(rename = "ref")]
        reference: Ref,
    },
    /// A fact of a kind that a newer version wrote, as its original JSON. The fold ignores it.
    #[serde(skip)]
    Foreign(String),
}

impl Kind {
    /// Reads a kind from the fields of a fact. `None` if this version does not know it, or a field that it must have is
    /// missing. An optional field of an unexpected type counts as absent.
    ///
    /// Not derived: the code that serde derives for a tagged enum has 6 kB of the compressed wasm.
    fn of(fields: &Fields) -> Option<Self> {
        let text = |name| field(fields, name);
        Some(match field::<String>(fields, "kind")?.as_str() {
            "installed" => Self::Installed { origin: field(fields, "origin") },
            "removed" => Self::Removed,
            "connected" => Self::Connected { site: field(fields, "site") },
            "joined" => Self::Joined { site: field(fields, "site") },
            "seen" => Self::Seen,
            "plan" => Self::Plan {
                plan: text("plan")?,
                cycle: text("cycle"),
                expires_at: field(fields, "expires_at"),
                auto_renewing: field(fields, "auto_renewing"),
            },
            "configured" => Self::Configured,
            "healed" => Self::Healed,
            "refused" => Self::Refused,
            "accepted" => Self::Accepted,
            "present" => Self::Present,
            "created" => Self::Created,
            "listed" => Self::Listed,
            "deleted" => Self::Deleted,
            "site" => Self::Site { site: field(fields, "site")? },
            "cancelled" => Self::Cancelled { plan: text("plan"), cycle: text("cycle") },
            "billing_changed" => Self::BillingChanged,
            "billed" => Self::Billed {
                is_free: field(fields, "is_free")?,
                plan: text("plan"),
                cycle: text("cycle"),
                expires_at: field(fields, "expires_at"),
                auto_renewing: field(fields, "auto_renewing"),
                trial_ends_at: field(fields, "trial_ends_at"),
            },
            "described" => Self::Described {
                name: text("name"),
                url: text("url"),
                locale: text("locale"),
                currency: text("currency"),
                app_version: text("app_version"),
            },
            "referred" => Self::Referred { reference: field(fields, "ref")? },
            _ => return None,
        })
    }
}

/// A field, unless it is absent or has another type.
fn field<T: DeserializeOwned>(fields: &Fields, name: &str) -> Option<T> {
    serde_json::from_slice(text_of(fields, name)?.as_bytes()).ok()
}

impl Fact {
    /// Creates a fact.
    #[must_use]
    pub fn new(at: Timestamp, kind: Kind) -> Self {
        Self { at, kind, before: None, recorded_ms: None, extra: String::new() }
    }

    /// The same fact, with the state before it.
    #[must_use]
    pub fn with_before(self, before: Option<Before>) -> Self {
        Self { before, ..self }
    }

    /// The JSON of the fact as its own key has it: with the time at which it is recorded. An erasure goes by this time, since a fact may be
    /// older than the message that tells it.
    pub fn recorded_at(&self, recorded_ms: u64) -> Result<String, serde_json::Error> {
        let mut text = serde_json::to_string(self)?;
        // Before the brace that ends the object.
        let at = text.len().saturating_sub(1);
        text.insert_str(at, &format!(",\"{RECORDED}\":{recorded_ms}"));
        Ok(text)
    }

    /// Reads a fact, and preserves the parts that this version does not know. `None` if the text is not JSON.
    #[must_use]
    pub fn from_json(text: &str) -> Option<Self> {
        serde_json::from_slice::<IgnoredAny>(text.as_bytes()).ok()?;
        Some(Self::from_any(text))
    }

    fn from_any(text: &str) -> Self {
        let fields: Fields = serde_json::from_slice(text.as_bytes()).unwrap_or_default();
        let at = fields.get("at").and_then(|at| at.get().parse().ok()).map(Timestamp);
        let (Some(at), Some(kind)) = (at, Kind::of(&fields)) else {
            return Self::new(at.unwrap_or(Timestamp(0)), Kind::Foreign(text.to_owned()));
        };
        let known = fields_of(&kind);
        let mut extra = fields;
        extra.retain(|name, _| name != "at" && !known.contains_key(name));
        let before = extra.get(BEFORE).and_then(|before| serde_json::from_slice(before.get().as_bytes()).ok());
        if before.is_some() {
            extra.remove(BEFORE);
        }
        let recorded_ms = extra.remove(RECORDED).and_then(|at| at.get().parse().ok());
        let extra = if extra.is_empty() { String::new() } else { serde_json::to_string(&extra).unwrap_or_default() };
        Self { at, kind, before, recorded_ms, extra }
    }

    /// Whether a newer version wrote the fact, or fields of it.
    #[must_use]
    pub fn is_foreign(&self) -> bool {
        matches!(self.kind, Kind::Foreign(_)) || !self.extra.is_empty()
    }
}

impl Fact {
    fn order(&self) -> (Timestamp, &Kind, &str) {
        (self.at, &self.kind, &self.extra)
    }
}

impl PartialEq for Fact {
    fn eq(&self, other: &Self) -> bool {
        self.order() == other.order()
    }
}

impl Eq for Fact {}

impl PartialOrd for Fact {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Fact {
    fn cmp(&self, other: &Self) -> Ordering {
        self.order().cmp(&other.order())
    }
}

impl Serialize for Fact {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Stored<'a> {
            at: Timestamp,
            #[serde(flatten)]
            kind: &'a Kind,
            #[serde(skip_serializing_if = "Option::is_none")]
            before: Option<&'a Before>,
            #[serde(flatten)]
            extra: Fields,
        }
        if let Kind::Foreign(text) = &self.kind {
            return RawValue::from_string(text.clone()).map_err(S::Error::custom)?.serialize(serializer);
        }
        let extra =
            if self.extra.is_empty() { Ok(Fields::new()) } else { serde_json::from_slice(self.extra.as_bytes()) };
        Stored { at: self.at, kind: &self.kind, before: self.before.as_ref(), extra: extra.map_err(S::Error::custom)? }
            .serialize(serializer)
    }
}

pub(super) fn fields_of(value: &impl Serialize) -> Fields {
    let text = serde_json::to_string(value).unwrap_or_default();
    serde_json::from_slice(text.as_bytes()).unwrap_or_default()
}

/// The original text of a field.
pub(super) fn text_of<'a>(fields: &'a Fields, name: &str) -> Option<&'a str> {
    fields.get(name).map(|value| value.get())
}
