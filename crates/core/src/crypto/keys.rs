//! The keys that come from `SEALING_KEYS`.

use super::{SealingKey, StateKey};

/// The sealing keys, and for each of them the key that signs states. The first one seals and signs; all open and verify.
pub struct Keys {
    first: SealingKey,
    sealing: Vec<SealingKey>,
    state: Vec<StateKey>,
}

impl Keys {
    /// Derives the state keys; `None` without a sealing key.
    #[must_use]
    pub fn new(sealing: Vec<SealingKey>) -> Option<Self> {
        let first = sealing.first().cloned()?;
        let state = sealing.iter().map(StateKey::derive).collect();
        Some(Self { first, sealing, state })
    }

    /// The key that seals new values.
    #[must_use]
    pub fn first(&self) -> &SealingKey {
        &self.first
    }

    /// The keys that open values.
    #[must_use]
    pub fn sealing(&self) -> &[SealingKey] {
        &self.sealing
    }

    /// The keys for states, in the order of the sealing keys.
    #[must_use]
    pub fn state(&self) -> &[StateKey] {
        &self.state
    }
}
