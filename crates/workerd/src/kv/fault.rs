//! Faults: the kinds, and the operations to which a fault applies.

use std::time::Duration;

use super::Op;

/// The kind of a fault.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// KV does nothing and responds with this status.
    Status(u16),
    /// KV does nothing and closes the connection without a response.
    Cut,
    /// KV executes the operation after this delay.
    Delay(Duration),
    /// A stale read: a read or a listing shows the state of this long ago.
    Stale(Duration),
    /// KV executes the operation and responds with this status.
    LostResponse(u16),
    /// KV responds with 429 to a write to a key that was written less than a second ago.
    WriteRate,
    /// This operation and all later ones fail with 500, until the faults are cleared.
    Crash,
}

/// A fault, and the operations to which it applies: by default, all.
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
    /// A fault that applies to every operation.
    #[must_use]
    pub fn new(kind: Kind) -> Self {
        Self { kind, op: None, prefix: String::new(), part: String::new(), skip: 0, times: u32::MAX }
    }

    /// Applies only to operations of this kind.
    #[must_use]
    pub fn on(self, op: Op) -> Self {
        Self { op: Some(op), ..self }
    }

    /// Applies only to keys that begin with `prefix`.
    #[must_use]
    pub fn prefix(self, prefix: impl Into<String>) -> Self {
        Self { prefix: prefix.into(), ..self }
    }

    /// Applies only to keys that contain `part`.
    #[must_use]
    pub fn part(self, part: impl Into<String>) -> Self {
        Self { part: part.into(), ..self }
    }

    /// Applies only after `count` matching operations.
    #[must_use]
    pub fn after(self, count: u32) -> Self {
        Self { skip: count, ..self }
    }

    /// Applies at most `count` times.
    #[must_use]
    pub fn times(self, count: u32) -> Self {
        Self { times: count, ..self }
    }

    /// Whether the fault applies to an operation. Counts the operation if it matches.
    pub(super) fn applies(&mut self, op: Op, key: &str) -> bool {
        let matches = self.op.is_none_or(|wanted| wanted == op)
            && key.starts_with(&self.prefix)
            && (self.part.is_empty() || key.contains(&self.part));
        if !matches || self.times == 0 {
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
