//! What can go wrong with an operation, and with which.

use std::time::Duration;

use super::Op;

/// What goes wrong.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// Nothing is done, and this status answered.
    Status(u16),
    /// Nothing is done, and the connection closed without an answer.
    Cut,
    /// It is done this much later.
    Delay(Duration),
    /// A read or a listing shows what was this long ago.
    Stale(Duration),
    /// It is done, and this status answered.
    LostAnswer(u16),
    /// 429 for a write to a key that was written less than a second ago.
    WriteRate,
    /// This operation and all after it fail, until KV is healed.
    Crash,
}

/// What goes wrong, and with which operations. Without further words: with every one.
#[derive(Clone, Debug)]
pub struct Fault {
    pub(super) kind: Kind,
    op: Option<Op>,
    prefix: String,
    part: String,
    skip: u32,
    times: u32,
}

impl Fault {
    /// Every operation meets this.
    #[must_use]
    pub fn new(kind: Kind) -> Self {
        Self { kind, op: None, prefix: String::new(), part: String::new(), skip: 0, times: u32::MAX }
    }

    /// Only such operations.
    #[must_use]
    pub fn on(self, op: Op) -> Self {
        Self { op: Some(op), ..self }
    }

    /// Only with keys that begin so.
    #[must_use]
    pub fn prefix(self, prefix: impl Into<String>) -> Self {
        Self { prefix: prefix.into(), ..self }
    }

    /// Only with keys that have this in them.
    #[must_use]
    pub fn part(self, part: impl Into<String>) -> Self {
        Self { part: part.into(), ..self }
    }

    /// Only after so many of them went well.
    #[must_use]
    pub fn after(self, count: u32) -> Self {
        Self { skip: count, ..self }
    }

    /// Only so often.
    #[must_use]
    pub fn times(self, count: u32) -> Self {
        Self { times: count, ..self }
    }

    /// Whether an operation meets it; counts it if so.
    pub(super) fn meets(&mut self, op: Op, key: &str) -> bool {
        let is_meant = self.op.is_none_or(|meant| meant == op)
            && key.starts_with(&self.prefix)
            && (self.part.is_empty() || key.contains(&self.part));
        if !is_meant || self.times == 0 {
            return false;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return false;
        }
        self.times = self.times.saturating_sub(u32::from(self.times != u32::MAX));
        true
    }
}
