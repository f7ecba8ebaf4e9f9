//! Contested removals: Wix sent or issued something for the instance well after its removal.
//!
//! The removal may be an old message that Wix signed anew when it resent it (docs/wix.md, 4.6), so Wix is asked before
//! any token is erased. Until Wix has answered, the removal counts and the tokens stay. Events about billing contradict
//! nothing: Wix sends them after a removal too, since cancelling a plan and removing an app are separate actions.

use super::fold::latest_of;
use super::{Fact, Name};
use crate::values::CLOCK_SKEW;

/// Whether the app is removed by these facts, and a later fact contradicts the removal about which Wix was not asked
/// since. Events in flight arrive up to [`CLOCK_SKEW`] later, so that they contradict nothing.
#[must_use]
pub fn is_contested(facts: &[Fact]) -> bool {
    use Name::{
        Accepted, Configured, Connected, Created, Deleted, Healed, Installed, Joined, Listed, Present, Refused,
        Removed, Seen,
    };
    let latest = |names: &[Name]| latest_of(facts, names);
    let (Some(removed), Some(seen)) = (latest(&[Removed]), latest(&[Seen, Configured, Healed, Accepted])) else {
        return false;
    };
    let is_final = latest(&[Deleted]) >= Some(removed);
    let undone = latest(&[Installed, Created, Connected, Joined]) >= Some(removed) || latest(&[Listed]) > Some(removed);
    !is_final && !undone && seen.since(removed) > CLOCK_SKEW && latest(&[Refused, Present]) < Some(seen)
}
