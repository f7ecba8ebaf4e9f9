//! Bounded maps for what an isolate remembers.

use std::cell::RefCell;
use std::hash::Hash;

use lru::LruCache;

use crate::values::Timestamp;

/// How many entries a map holds.
const CAPACITY: usize = 1_000;

/// A map that evicts the least recently used entry. It allocates as it fills, since most isolates see few instances.
pub struct BoundedMap<K: Hash + Eq, V>(RefCell<LruCache<K, V>>);

impl<K: Hash + Eq, V> Default for BoundedMap<K, V> {
    fn default() -> Self {
        Self(RefCell::new(LruCache::unbounded()))
    }
}

impl<K: Hash + Eq, V> BoundedMap<K, V> {
    /// Inserts or replaces an entry.
    pub fn put(&self, key: K, value: V) {
        let mut entries = self.0.borrow_mut();
        entries.put(key, value);
        Self::evict(&mut entries);
    }

    /// Removes an entry and returns its value.
    pub fn remove(&self, key: &K) -> Option<V> {
        self.0.borrow_mut().pop(key)
    }

    /// Reads or changes an entry, if there is one.
    pub fn with<T>(&self, key: &K, work: impl FnOnce(&mut V) -> T) -> Option<T> {
        self.0.borrow_mut().get_mut(key).map(work)
    }

    fn evict(entries: &mut LruCache<K, V>) {
        if entries.len() > CAPACITY {
            entries.pop_lru();
        }
    }
}

impl<K: Hash + Eq + Clone, V> BoundedMap<K, V> {
    /// Reads or changes an entry, which is created if there is none.
    pub fn with_or_insert<T>(&self, key: &K, empty: impl FnOnce() -> V, work: impl FnOnce(&mut V) -> T) -> T {
        let mut entries = self.0.borrow_mut();
        let end = work(entries.get_or_insert_mut_ref(key, empty));
        Self::evict(&mut entries);
        end
    }
}

impl<K: Hash + Eq, V: Clone> BoundedMap<K, V> {
    /// The value of an entry.
    pub fn get(&self, key: &K) -> Option<V> {
        self.0.borrow_mut().get(key).cloned()
    }
}

/// A bounded set whose entries expire: a cool-down, a negative cache.
pub struct Until<K: Hash + Eq>(BoundedMap<K, Timestamp>);

impl<K: Hash + Eq> Default for Until<K> {
    fn default() -> Self {
        Self(BoundedMap::default())
    }
}

impl<K: Hash + Eq> Until<K> {
    /// Adds a key, or moves its end.
    pub fn set(&self, key: K, end: Timestamp) {
        self.0.put(key, end);
    }

    /// Whether the set contains a key that has not expired.
    pub fn contains(&self, key: &K, now: Timestamp) -> bool {
        self.0.get(key).is_some_and(|end| now < end)
    }

    /// Removes a key. Whether the set contained it, expired or not.
    pub fn clear(&self, key: &K) -> bool {
        self.0.remove(key).is_some()
    }
}

#[cfg(test)]
mod tests;
