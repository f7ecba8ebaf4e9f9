//! The reconciliation of all installations with Wix: its figures, and how far it has come.

use serde::{Deserialize, Serialize};

use super::kv::{Write, parse, to_json};
use super::{KvNamespace, Store, StoreError, keys};
use crate::runtime::Clock;
use crate::values::{InstanceId, Timestamp};

/// What a comparison of one installation with Wix has corrected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repaired {
    /// An installation that was not recorded.
    pub installed: bool,
    /// A removal that was not recorded.
    pub removed: bool,
    /// Another plan than was recorded.
    pub plan: bool,
}

impl Repaired {
    /// Whether anything was corrected.
    #[must_use]
    pub fn any(self) -> bool {
        self.installed || self.removed || self.plan
    }

    /// What this comparison or an earlier one has corrected.
    #[must_use]
    pub fn or(self, earlier: Self) -> Self {
        Self {
            installed: self.installed || earlier.installed,
            removed: self.removed || earlier.removed,
            plan: self.plan || earlier.plan,
        }
    }
}

/// How many installations were corrected, by what was wrong.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Repairs {
    /// Installations that were not recorded.
    pub installed: u64,
    /// Removals that were not recorded.
    pub removed: u64,
    /// Plans that were recorded wrongly.
    pub plan: u64,
}

/// One round: each installation is compared once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Round {
    /// When it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Timestamp>,
    /// How many installations were compared.
    pub compared: u64,
    /// How many of them were corrected.
    pub repaired: u64,
    /// What was wrong with them.
    pub repairs: Repairs,
}

impl Round {
    /// The round at `now`, if a round ends `seconds` after it began.
    #[must_use]
    pub fn within(self, seconds: u64, now: Timestamp) -> Self {
        let end = self.started_at.map(|at| at.plus(seconds)).filter(|end| *end <= now);
        Self { completed_at: self.completed_at.or(end), ..self }
    }

    /// Counts a comparison.
    pub fn add(&mut self, repaired: Repaired) {
        self.compared += 1;
        self.repaired += u64::from(repaired.any());
        self.repairs.installed += u64::from(repaired.installed);
        self.repairs.removed += u64::from(repaired.removed);
        self.repairs.plan += u64::from(repaired.plan);
    }
}

/// The present round, and the one before it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reconciliation {
    /// The present round.
    pub round: Round,
    /// The round before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Round>,
    /// When the Cron Trigger ran last, as far as it is noted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cron_ran_at: Option<Timestamp>,
}

impl Reconciliation {
    /// Begins a round.
    pub fn begin(&mut self, now: Timestamp) {
        self.previous = Some(self.round).filter(|round| round.started_at.is_some());
        self.round = Round { started_at: Some(now), ..Round::default() };
    }

    /// Counts a comparison. A round ends `seconds` after it began, and the next comparison begins another one.
    pub fn count(&mut self, repaired: Repaired, seconds: u64, now: Timestamp) {
        self.round = self.round.within(seconds, now);
        if self.round.started_at.is_none() || self.round.completed_at.is_some() {
            self.begin(now);
        }
        self.round.add(repaired);
    }
}

/// How far the Cron Trigger has come in the list of installations.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pass {
    /// When it began with the first installation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// Where it goes on. Absent at the beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// Whether it has come to the end.
    #[serde(default)]
    pub is_complete: bool,
}

impl Pass {
    /// Returns the unfinished pass, or a new one if the last pass began at least `seconds` ago. Otherwise returns `None`.
    #[must_use]
    pub fn next(self, seconds: u64, now: Timestamp) -> Option<Self> {
        match self.started_at {
            Some(_) if !self.is_complete => Some(self),
            Some(at) if now.since(at) < seconds => None,
            _ => Some(Self { started_at: Some(now), ..Self::default() }),
        }
    }

    /// Whether it is at its beginning.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.cursor.is_none()
    }

    /// The pass after a slice that ended at this cursor.
    #[must_use]
    pub fn after(self, cursor: Option<String>) -> Self {
        Self { is_complete: cursor.is_none(), cursor, ..self }
    }
}

/// What KV has of the reconciliation where no objects are bound.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// How far it has come.
    #[serde(default)]
    pub pass: Pass,
    /// Its figures.
    #[serde(default)]
    pub figures: Reconciliation,
}

impl<P: KvNamespace + Clock> Store<'_, P> {
    /// How far the reconciliation has come.
    pub async fn progress(&self) -> Result<Progress, StoreError> {
        Ok(self.get(keys::RECONCILIATION).await?.and_then(|text| parse(&text)).unwrap_or_default())
    }

    /// Stores how far the reconciliation has come.
    pub async fn put_progress(&self, progress: &Progress) -> Result<(), StoreError> {
        self.write(&[Write::new(keys::RECONCILIATION.to_owned(), to_json(progress)?)]).await
    }

    /// The ids of the next installations, and the cursor of those after them.
    pub async fn ids(&self, cursor: Option<&str>, limit: u16) -> Result<(Vec<InstanceId>, Option<String>), StoreError> {
        let page = self.within(self.platform.kv_list(keys::ROWS, cursor, limit)).await?;
        let ids = page.keys.iter().filter_map(|key| InstanceId::parse(key.name.strip_prefix(keys::ROWS)?).ok());
        Ok((ids.collect(), page.cursor))
    }
}
