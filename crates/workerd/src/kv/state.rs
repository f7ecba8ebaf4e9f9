//! The state of a namespace: the stored values with their history, the faults, and the log of operations.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::fault::{Fault, Kind};
use super::{Counts, Entry, Op, Operation};

/// The size of the log of operations.
const LOG_SIZE: usize = 10_000;
/// How far back a stale read can look.
const HISTORY: Duration = Duration::from_mins(5);

/// A current or former value.
#[derive(Clone, Debug)]
pub struct Value {
    pub bytes: Vec<u8>,
    pub metadata: Option<String>,
    pub expires_at: Option<u64>,
}

/// The versions of a key, oldest first: the time of the write, and the value, or `None` for a removal. A version
/// without a time was seeded and has been there since the start.
type Versions = Vec<(Option<Instant>, Option<Arc<Value>>)>;

/// The state of a namespace.
#[derive(Debug, Default)]
pub struct State {
    entries: BTreeMap<String, Versions>,
    pub faults: Vec<Fault>,
    crashed: bool,
    pub counts: Counts,
    pub in_flight: usize,
    pub operations: VecDeque<Operation>,
}

/// A page of keys, and the last key as a cursor if more keys follow.
pub struct Page {
    pub keys: Vec<(String, Arc<Value>)>,
    pub cursor: Option<String>,
}

impl State {
    pub fn seed(&mut self, entry: Entry) {
        let value = Value { bytes: entry.value, metadata: entry.metadata, expires_at: entry.expires_at };
        self.entries.insert(entry.key, vec![(None, Some(Arc::new(value)))]);
    }

    pub fn entries(&self, prefix: &str) -> Vec<Entry> {
        let page = self.list(prefix, None, usize::MAX, Duration::ZERO);
        let entry = |(key, value): (String, Arc<Value>)| Entry {
            key,
            value: value.bytes.clone(),
            metadata: value.metadata.clone(),
            expires_at: value.expires_at,
        };
        page.keys.into_iter().map(entry).collect()
    }

    pub fn delete_where(&mut self, matches: impl Fn(&str) -> bool) {
        self.entries.retain(|key, _| !matches(key));
    }

    pub fn clear_faults(&mut self) {
        self.faults.clear();
        self.crashed = false;
    }

    pub fn clear_operations(&mut self) {
        self.counts = Counts::default();
        self.operations.clear();
    }

    /// Counts an operation that begins, and returns the fault that applies to it.
    pub fn begin(&mut self, op: Op, key: &str) -> Option<Kind> {
        let count = match op {
            Op::Read => &mut self.counts.reads,
            Op::Write => &mut self.counts.writes,
            Op::Remove => &mut self.counts.removals,
            Op::List => &mut self.counts.lists,
        };
        *count += 1;
        self.in_flight += 1;
        if self.crashed {
            return Some(Kind::Crash);
        }
        let kind = self.faults.iter_mut().find_map(|fault| fault.applies(op, key).then_some(fault.kind))?;
        match kind {
            Kind::Crash => self.crashed = true,
            Kind::WriteRate if !self.was_just_written(key) => return None,
            Kind::Stale(_) if matches!(op, Op::Write | Op::Remove) => return None,
            _ => {}
        }
        Some(kind)
    }

    pub fn record(&mut self, operation: Operation) {
        if self.operations.len() == LOG_SIZE {
            self.operations.pop_front();
        }
        self.operations.push_back(operation);
    }

    /// The value as it was some time ago.
    pub fn get(&self, key: &str, ago: Duration) -> Option<Arc<Value>> {
        value_at(self.entries.get(key)?, Instant::now().checked_sub(ago)?, unix_now())
    }

    pub fn put(&mut self, key: &str, value: Option<Value>) {
        let now = Instant::now();
        let versions = self.entries.entry(key.to_owned()).or_default();
        // The newest of the versions older than the history stays: the oldest stale read shows it.
        let is_old = |(at, _): &&(Option<Instant>, _)| at.is_none_or(|at| now.duration_since(at) > HISTORY);
        let old = versions.iter().take_while(is_old).count();
        versions.drain(..old.saturating_sub(1));
        versions.push((Some(now), value.map(Arc::new)));
    }

    /// The keys after `cursor`, as they were some time ago.
    pub fn list(&self, prefix: &str, cursor: Option<&str>, limit: usize, ago: Duration) -> Page {
        let from = match cursor {
            Some(cursor) => Bound::Excluded(cursor),
            None => Bound::Included(prefix),
        };
        let (now, at) = (unix_now(), Instant::now().checked_sub(ago));
        let mut keys = self
            .entries
            .range::<str, _>((from, Bound::Unbounded))
            .take_while(|(key, _)| key.starts_with(prefix))
            .filter_map(|(key, versions)| Some((key.clone(), value_at(versions, at?, now)?)));
        let keys_of_page: Vec<_> = keys.by_ref().take(limit).collect();
        let is_last = keys.next().is_none();
        let cursor = keys_of_page.last().filter(|_| !is_last).map(|(key, _)| key.clone());
        Page { keys: keys_of_page, cursor }
    }

    fn was_just_written(&self, key: &str) -> bool {
        let last = self.entries.get(key).and_then(|versions| versions.last()).and_then(|(at, _)| *at);
        last.is_some_and(|at| at.elapsed() < Duration::from_secs(1))
    }
}

/// The value at the moment `at`, unless it has expired.
fn value_at(versions: &Versions, at: Instant, unix_now: u64) -> Option<Arc<Value>> {
    let (_, value) = versions.iter().rev().find(|(written, _)| written.is_none_or(|written| written <= at))?;
    value.clone().filter(|value| value.expires_at.is_none_or(|end| end > unix_now))
}

/// The wall clock, in Unix seconds.
pub fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests;
