//! The key-value store: as strict as the real one about keys, metadata and lives.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use crate::runtime::PlatformError;
use crate::store::{KvKey, KvOptions, KvPage};

/// What was asked of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// A value was read.
    Get,
    /// A value was written.
    Put,
    /// A value was removed.
    Delete,
    /// Keys were listed.
    List,
}

/// A value as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The value.
    pub value: String,
    /// What a listing shows.
    pub metadata: Option<String>,
    /// When it is gone, in milliseconds of Unix time.
    pub expires: Option<u64>,
}

/// What a key held, since when (in milliseconds of Unix time).
type History = Vec<(u64, Option<Entry>)>;
type Rule<T> = RefCell<Option<Box<dyn Fn(Op, &str) -> T>>>;

/// The store, with switches.
#[derive(Default)]
pub struct Store {
    entries: RefCell<BTreeMap<String, History>>,
    lag: Cell<u64>,
    list_lag: Cell<u64>,
    journal: RefCell<Vec<(Op, String)>>,
    breaks: Rule<bool>,
    delays: Rule<u64>,
}

impl Store {
    /// From now on fails where the rule says so.
    pub fn break_where(&self, rule: impl Fn(Op, &str) -> bool + 'static) {
        *self.breaks.borrow_mut() = Some(Box::new(rule));
    }

    /// From now on takes as many milliseconds as the rule says.
    pub fn delay_where(&self, rule: impl Fn(Op, &str) -> u64 + 'static) {
        *self.delays.borrow_mut() = Some(Box::new(rule));
    }

    /// Works at once again.
    pub fn mend(&self) {
        self.breaks.take();
        self.delays.take();
    }

    /// From now on shows a change only after so many milliseconds, as the real store may for a minute.
    pub fn lag(&self, millis: u64) {
        self.lag.set(millis);
        self.list_lag.set(millis);
    }

    /// The same for listings alone.
    pub fn lag_lists(&self, millis: u64) {
        self.list_lag.set(millis);
    }

    /// Everything that is kept.
    pub fn entries(&self) -> BTreeMap<String, Entry> {
        let entries = self.entries.borrow();
        entries.iter().filter_map(|(key, history)| Some((key.clone(), history.last()?.1.clone()?))).collect()
    }

    /// The keys with a prefix.
    pub fn keys(&self, prefix: &str) -> Vec<String> {
        self.entries().into_keys().filter(|key| key.starts_with(prefix)).collect()
    }

    /// Puts a value there as if it had always been there.
    pub fn plant(&self, key: &str, value: &str, metadata: Option<&str>) {
        let entry = Entry { value: value.to_owned(), metadata: metadata.map(str::to_owned), expires: None };
        self.write(key, Some(entry), 0);
    }

    /// Takes a value away as if it had never been there.
    pub fn forget(&self, key: &str) {
        self.entries.borrow_mut().remove(key);
    }

    /// The writes and removals since the last call.
    pub fn take_changes(&self) -> Vec<(Op, String)> {
        let journal = self.journal.take();
        journal.into_iter().filter(|(op, _)| matches!(op, Op::Put | Op::Delete)).collect()
    }

    /// How many values were read, written and removed, and how often was listed, since the last call.
    pub fn take_counts(&self) -> [usize; 4] {
        let journal = self.journal.take();
        [Op::Get, Op::Put, Op::Delete, Op::List].map(|op| journal.iter().filter(|(known, _)| *known == op).count())
    }

    pub(super) fn begin(&self, op: Op, key: &str) -> (u64, bool) {
        assert!(key.len() <= 512, "KV takes keys of at most 512 bytes");
        self.journal.borrow_mut().push((op, key.to_owned()));
        let delay = self.delays.borrow().as_ref().map_or(0, |rule| rule(op, key));
        (delay, self.breaks.borrow().as_ref().is_some_and(|rule| rule(op, key)))
    }

    pub(super) fn get(&self, key: &str, now: u64) -> Option<String> {
        seen(self.entries.borrow().get(key)?, self.lag.get(), now).map(|entry| entry.value)
    }

    pub(super) fn put(&self, key: &str, value: &str, options: KvOptions<'_>, now: u64) {
        assert!(options.ttl.is_none_or(|ttl| ttl >= 60), "KV takes no life under 60 seconds");
        if let Some(metadata) = options.metadata {
            assert!(metadata.len() <= 1024, "KV takes at most 1024 bytes of metadata");
            let _: serde_json::Value = serde_json::from_str(metadata).expect("metadata is JSON");
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
        assert!((1..=1000).contains(&limit), "KV lists 1 to 1000 keys");
        let after = match cursor {
            None => None,
            Some(cursor) => Some(cursor.strip_prefix("after-").ok_or(PlatformError("KV: bad cursor".to_owned()))?),
        };
        let entries = self.entries.borrow();
        let mut rest = entries
            .iter()
            .filter(|(key, _)| key.starts_with(prefix) && after.is_none_or(|after| key.as_str() > after))
            .filter_map(|(key, history)| Some((key, seen(history, self.list_lag.get(), now)?)))
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

/// What a reader is shown.
fn seen(history: &History, lag: u64, now: u64) -> Option<Entry> {
    let (_, entry) = history.iter().rfind(|(since, _)| since.saturating_add(lag) <= now)?;
    entry.clone().filter(|entry| entry.expires.is_none_or(|expires| now < expires))
}
