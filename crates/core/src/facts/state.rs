//! The part of an instance whose changes are events for the app.

use serde::{Deserialize, Serialize};

use super::fold::fold;
use super::{Fact, Instance, Name, Status, is_contested};
use crate::values::InstanceId;

/// See the module. The default is the state of an instance without facts.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct State {
    /// The status; `None` without facts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// The plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// `false` for a site that pays for a plan whose name is unknown. Else the plan says it, so that it is not stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_free: Option<bool>,
}

/// The state of an instance just before a fact of it was recorded.
///
/// The object of an installation tells the app each change once. The first facts that it gets can be old: the installation
/// may have existed before the object. This state says from where on the changes are news, however late and in whatever
/// order the facts come.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Before {
    /// When the fact was recorded, in Unix milliseconds: a second is too long to tell which of two facts was the first.
    pub recorded_ms: u64,
    /// The state.
    #[serde(flatten)]
    pub state: State,
}

/// Whether both lists have the same facts, with the same states before.
#[must_use]
pub fn are_same(facts: &[Fact], others: &[Fact]) -> bool {
    facts == others && facts.iter().zip(others).all(|(fact, other)| fact.before == other.before)
}

impl State {
    /// The state of an instance.
    #[must_use]
    pub fn of(instance: &Instance) -> Self {
        let is_free = instance.is_free.filter(|is_free| !is_free && instance.plan.is_none());
        Self { status: Some(instance.status), plan: instance.plan.clone(), is_free }
    }

    /// The state that these facts make. A contested removal is not told before Wix has confirmed it, so it does not count.
    #[must_use]
    pub fn fold(id: &InstanceId, facts: &[Fact]) -> Self {
        let instance = if is_contested(facts) {
            let others = facts.iter().filter(|fact| fact.kind.name() != Name::Removed);
            fold(id, &others.cloned().collect::<Vec<_>>())
        } else {
            fold(id, facts)
        };
        instance.map(|instance| Self::of(&instance)).unwrap_or_default()
    }

    /// The state from where on changes are news: before the first fact that was recorded with its state. If none was, all
    /// facts are old.
    #[must_use]
    pub fn baseline(id: &InstanceId, facts: &[Fact]) -> Self {
        let first = facts.iter().filter_map(|fact| fact.before.as_ref()).min();
        first.map_or_else(|| Self::fold(id, facts), |before| before.state.clone())
    }
}
