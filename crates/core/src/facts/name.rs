//! The names of the kinds of facts.

use super::Kind;

/// The name of a kind. The order of the variants is the alphabetical order in which a row lists its facts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Name {
    /// [`Kind::Accepted`]
    Accepted,
    /// [`Kind::Billed`]
    Billed,
    /// [`Kind::BillingChanged`]
    BillingChanged,
    /// [`Kind::Cancelled`]
    Cancelled,
    /// [`Kind::Configured`]
    Configured,
    /// [`Kind::Connected`]
    Connected,
    /// [`Kind::Created`]
    Created,
    /// [`Kind::Deleted`]
    Deleted,
    /// [`Kind::Described`]
    Described,
    /// [`Kind::Healed`]
    Healed,
    /// [`Kind::Installed`]
    Installed,
    /// [`Kind::Joined`]
    Joined,
    /// [`Kind::Listed`]
    Listed,
    /// [`Kind::Plan`]
    Plan,
    /// [`Kind::Present`]
    Present,
    /// [`Kind::Referred`]
    Referred,
    /// [`Kind::Refused`]
    Refused,
    /// [`Kind::Removed`]
    Removed,
    /// [`Kind::Seen`]
    Seen,
    /// [`Kind::Site`]
    Site,
    /// [`Kind::Foreign`]
    Foreign,
}

impl Name {
    /// The text in keys and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Billed => "billed",
            Self::BillingChanged => "billing_changed",
            Self::Cancelled => "cancelled",
            Self::Configured => "configured",
            Self::Connected => "connected",
            Self::Created => "created",
            Self::Deleted => "deleted",
            Self::Described => "described",
            Self::Healed => "healed",
            Self::Installed => "installed",
            Self::Joined => "joined",
            Self::Listed => "listed",
            Self::Plan => "plan",
            Self::Present => "present",
            Self::Referred => "referred",
            Self::Refused => "refused",
            Self::Removed => "removed",
            Self::Seen => "seen",
            Self::Site => "site",
            Self::Foreign => "foreign",
        }
    }
}

impl Kind {
    /// The name of this kind.
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
            Self::Created => Name::Created,
            Self::Listed => Name::Listed,
            Self::Deleted => Name::Deleted,
            Self::Site { .. } => Name::Site,
            Self::Cancelled { .. } => Name::Cancelled,
            Self::BillingChanged => Name::BillingChanged,
            Self::Billed { .. } => Name::Billed,
            Self::Described { .. } => Name::Described,
            Self::Referred { .. } => Name::Referred,
            Self::Foreign(_) => Name::Foreign,
        }
    }
}
