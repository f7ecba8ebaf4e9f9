//! A KV namespace in memory, with the limits of the real one on keys, metadata and lifetimes.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use crate::runtime::PlatformError;
use crate::store::{KvKey, KvOptions, KvPage};

/// An operation of KV.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// Reads a value.
    Get,
    /// Writes a value.
    Put,
    /// Deletes a value.
    Delete,
    /// Lists keys.
    List,
}

/// A stored value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The value.
    pub value: String,
    /// The metadata, which a listing shows.
    pub metadata: Option<String>,
    /// The time at which it expires, in milliseconds of Unix time.
    pub expires: Option<u64>,
}

/// The values of a key, each with the time at which it was written, in milliseconds of Unix time. `None` is a deletion.
type History = Vec<(u64, Option<Entry>)>;
type Rule<T> = RefCell<Option<Box<dyn Fn(Op, &str) -> T>>>;

/// The namespace, with a journal of its operations, faults, and stale reads.
#[derive(Default)]
pub struct FakeKv {
    entries: RefCell<BTreeMap<String, History>>,
    visible_after: Cell<u64>,
    listed_after: Cell<u64>,
    journal: RefCell<Vec<(Op, String)>>,
    faults: Rule<bool>,
    delays: Rule<u64>,
}

impl FakeKv {
    /// Lets every operation fail for which the rule returns true.
    pub fn fail_where(&self, rule: impl Fn(Op, &str) -> bool + 'static) {
        *self.faults.borrow_mut() = Some(Box::new(rule));
    }

    /// Lets every operation take as many milliseconds as the rule returns.
    pub fn delay_where(&self, rule: impl Fn(Op, &str) -> u64 + 'static) {
        *self.delays.borrow_mut() = Some(Box::new(rule));
    }

    /// Removes the rules for failures and delays.
    pub fn clear_faults(&self) {
        self.faults.take();
        self.delays.take();
    }

    /// Makes reads and listings stale: they show a change only after so many milliseconds. In real KV that takes up to
    /// a minute.
    pub fn delay_visibility(&self, millis: u64) {
        self.visible_after.set(millis);
        self.listed_after.set(millis);
    }

    /// Makes listings stale, and not reads of a key.
    pub fn delay_list_visibility(&self, millis: u64) {
        self.listed_after.set(millis);
    }

    /// Every stored value.
    pub fn entries(&self) -> BTreeMap<String, Entry> {
        let entries = self.entries.borrow();
        entries.iter().filter_map(|(key, history)| Some((key.clone(), history.last()?.1.clone()?))).collect()
    }

    /// The stored keys with a prefix.
    pub fn keys(&self, prefix: &str) -> Vec<String> {
        self.entries().into_keys().filter(|key| key.starts_with(prefix)).collect()
    }

    /// Inserts a value without an operation of the app: it is not in the journal, and visible at once.
    pub fn insert_directly(&self, key: &str, value: &str, metadata: Option<&str>) {
        let entry = Entry { value: value.to_owned(), metadata: metadata.map(str::to_owned), expires: None };
        self.write(key, Some(entry), 0);
    }

    /// Removes a key with its history, without an operation of the app.
    pub fn remove_directly(&self, key: &str) {
        self.entries.borrow_mut().remove(key);
    }

    /// The writes and deletions since the journal was last taken.
    pub fn take_changes(&self) -> Vec<(Op, String)> {
        let journal = self.journal.take();
        journal.into_iter().filter(|(op, _)| matches!(op, Op::Put | Op::Delete)).collect()
    }

    /// The numbers of reads, writes, deletions and listings since the journal was last taken.
    pub fn take_counts(&self) -> [usize; 4] {
        let journal = self.journal.take();
        [Op::Get, Op::Put, Op::Delete, Op::List].map(|op| journal.iter().filter(|(known, _)| *known == op).count())
    }

    /// Records an operation. Returns its delay, and whether it fails.
    pub(super) fn begin(&self, op: Op, key: &str) -> (u64, bool) {
        assert!(key.len() <= 512, "KV: a key must be at most 512 bytes long");
        self.journal.borrow_mut().push((op, key.to_owned()));
        let delay = self.delays.borrow().as_ref().map_or(0, |rule| rule(op, key));
        (delay, self.faults.borrow().as_ref().is_some_and(|rule| rule(op, key)))
    }

    pub(super) fn get(&self, key: &str, now: u64) -> Option<String> {
        seen(self.entries.borrow().get(key)?, self.visible_after.get(), now).map(|entry| entry.value)
    }

    pub(super) fn put(&self, key: &str, value: &str, options: KvOptions<'_>, now: u64) {
        assert!(options.ttl.is_none_or(|ttl| ttl >= 60), "KV: a lifetime must be at least 60 seconds");
        if let Some(metadata) = options.metadata {
            assert!(metadata.len() <= 1024, "KV: metadata must be at most 1024 bytes long");
            let _: serde_json::Value = serde_json::from_str(metadata).expect("KV: metadata must be JSON");
        }
        let entry = Entry {
            value: value.to_owned(),
            metadata: options.metadata.map(str::to_owned),
            expires: options.ttl.map(|ttl| now.saturating_add(ttl.saturating_mul(1000))),
        };
        self.write(key, Some(entry), now);
    }

    pub(super) fn delete(&self, key: &str, now: u64) {
        self.write(key, None, now);
    }

    fn write(&self, key: &str, entry: Option<Entry>, now: u64) {
        self.entries.borrow_mut().entry(key.to_owned()).or_default().push((now, entry));
    }

    pub(super) fn list(
        &self,
        prefix: &str,
        cursor: Option<&str>,
        limit: u16,
        now: u64,
    ) -> Result<KvPage, PlatformError> {
        assert!((1..=1000).contains(&limit), "KV: the limit of a listing must be from 1 to 1000");
        let after = match cursor {
            None => None,
            Some(cursor) => Some(
                cursor
                    .strip_prefix("after-")
                    .ok_or(PlatformError("KV: the cursor must be one from a listing".to_owned()))?,
            ),
        };
        let entries = self.entries.borrow();
        let mut rest = entries
            .iter()
            .filter(|(key, _)| key.starts_with(prefix) && after.is_none_or(|after| key.as_str() > after))
            .filter_map(|(key, history)| Some((key, seen(history, self.listed_after.get(), now)?)))
            .peekable();
        let keys: Vec<KvKey> = rest
            .by_ref()
            .take(limit.into())
            .map(|(key, entry)| KvKey { name: key.clone(), metadata: entry.metadata })
            .collect();
        let more = rest.peek().is_some();
        let cursor = keys.last().filter(|_| more).map(|key| format!("after-{}", key.name));
        Ok(KvPage { keys, cursor })
    }
}

/// The value that is visible now, if changes become visible after so many milliseconds.
fn seen(history: &History, visible_after: u64, now: u64) -> Option<Entry> {
    let (_, entry) = history.iter().rfind(|(since, _)| since.saturating_add(visible_after) <= now)?;
    entry.clone().filter(|entry| entry.expires.is_none_or(|expires| now < expires))
}
