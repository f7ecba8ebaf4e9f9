//! State transitions of an installation: compares the last reported state with the present one, and names the events that
//! report the difference to the app.

use crate::facts::{Fact, Instance, Name, State, Status, latest_of};
use crate::values::Timestamp;

/// A change, and the event that tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// The app was installed, or a removal did not happen after all.
    Installed,
    /// The app was removed.
    Removed,
    /// Wix permanently refuses tokens.
    NeedsReconnect,
    /// Wix issues tokens again.
    Reconnected,
    /// The plan is another, or the site pays no longer.
    PlanChanged,
}

impl Change {
    /// The type of the event.
    #[must_use]
    pub fn event_type(self) -> &'static str {
        match self {
            Self::Installed => "installation.installed",
            Self::Removed => "installation.removed",
            Self::NeedsReconnect => "installation.needs_reconnect",
            Self::Reconnected => "installation.reconnected",
            Self::PlanChanged => "installation.plan_changed",
        }
    }

    /// The time of the fact that decided it.
    #[must_use]
    pub fn at(self, instance: &Instance, facts: &[Fact]) -> Option<Timestamp> {
        use Name::{
            Accepted, Billed, Cancelled, Connected, Created, Healed, Installed, Joined, Listed, Plan, Present, Refused,
            Seen,
        };
        match self {
            Self::Installed => instance.installed_at.or_else(|| latest_of(facts, &[Present, Listed, Seen, Plan])),
            Self::Removed => instance.removed_at,
            Self::NeedsReconnect => latest_of(facts, &[Refused]),
            Self::Reconnected => latest_of(facts, &[Accepted, Healed, Installed, Created, Connected, Joined]),
            // A reinstallation ends the plans of the installation before it.
            Self::PlanChanged => instance.installed_at.max(latest_of(facts, &[Plan, Cancelled, Billed])),
        }
    }
}

/// The changes from what was told to the present instance, in order, and the state that is told with them.
#[must_use]
pub fn changes(told: &State, instance: &Instance) -> (Vec<Change>, State) {
    use Status::{Installed, NeedsReconnect, Pending, Removed};
    let mut changes = Vec::new();
    let status = match (told.status, instance.status) {
        (Some(Removed), Removed) => Removed,
        (_, Removed) => {
            changes.push(Change::Removed);
            Removed
        }
        // Nothing is told of an instance of which Wix has sent other events only.
        (None | Some(Pending), Pending) => Pending,
        // An installation stays told while the facts behind it change.
        (Some(Installed), Pending | Installed) => Installed,
        (None | Some(Pending | Removed), Pending | Installed) => {
            changes.push(Change::Installed);
            Installed
        }
        (Some(NeedsReconnect), Pending | Installed) => {
            changes.push(Change::Reconnected);
            Installed
        }
        (Some(NeedsReconnect), NeedsReconnect) => NeedsReconnect,
        (before, NeedsReconnect) => {
            if before != Some(Installed) {
                changes.push(Change::Installed);
            }
            changes.push(Change::NeedsReconnect);
            NeedsReconnect
        }
    };
    let found = State::of(instance);
    let is_removed = status == Removed;
    if !is_removed && (&found.plan, found.is_free) != (&told.plan, told.is_free) {
        changes.push(Change::PlanChanged);
    }
    (changes, State { status: Some(status), ..if is_removed { told.clone() } else { found } })
}

#[cfg(test)]
mod tests;
