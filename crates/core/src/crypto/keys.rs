//! The keys that come from `SEALING_KEYS`.

use super::{SealingKey, SessionKey, StateKey};

/// The sealing keys, and for each of them the keys that sign states and sessions. The first one seals and signs; all open
/// and verify.
pub struct Keys {
    first: SealingKey,
    sealing: Vec<SealingKey>,
    state: Vec<StateKey>,
    session: Vec<SessionKey>,
}

impl Keys {
    /// Derives the other keys; `None` without a sealing key.
    #[must_use]
    pub fn new(sealing: Vec<SealingKey>) -> Option<Self> {
        let first = sealing.first().cloned()?;
        let state = sealing.iter().map(StateKey::derive).collect();
        let session = sealing.iter().map(SessionKey::derive).collect();
        Some(Self { first, sealing, state, session })
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

    /// The keys for sessions, in the order of the sealing keys.
    #[must_use]
    pub fn session(&self) -> &[SessionKey] {
        &self.session
    }
}
