//! What this isolate remembers between requests: tokens, who is fetching one, and who was refused. All of it may be
//! lost at any moment, and none of it is shared with other isolates.
//!
//! The runtime ends a request that waits for another request's work. So a request that finds another one fetching
//! looks again after a short sleep of its own, and takes over when the other's time is up.

use std::cell::{Cell, RefCell};
use std::num::NonZeroUsize;

use lru::LruCache;

use crate::error::Error;
use crate::id::InstanceId;
use crate::secret::AccessToken;
use crate::time::Timestamp;

/// How many instances' tokens are remembered; the least recently used go first.
const CAPACITY: NonZeroUsize = NonZeroUsize::new(1_000).unwrap();

/// An access token with its end.
#[derive(Clone)]
pub struct Token {
    /// The token.
    pub access_token: AccessToken,
    /// When Wix stops taking it.
    pub expires_at: Timestamp,
    /// How long it lived when it was made, in seconds.
    pub life: u64,
}

impl Token {
    /// Whether it has more life than the margin: a minute for tokens of minutes, else the larger of five minutes and a
    /// tenth of its life.
    #[must_use]
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        let margin = if self.is_long_lived() { (self.life / 10).max(300) } else { 60 };
        self.expires_at.since(now) > margin
    }

    /// Whether it is worth keeping in KV.
    #[must_use]
    pub fn is_long_lived(&self) -> bool {
        self.life >= 3_600
    }
}

/// What the one who looks should do.
pub enum Look {
    /// Nobody is fetching: the one who looked now is, and must call [`Memory::land`] with this number.
    Lead(u64),
    /// Somebody is: look again soon. Whoever may share what comes of it names the flight then.
    Wait(Option<u64>),
    /// The flight that was named has ended.
    Landed(Result<Token, Error>),
}

struct Flight {
    number: u64,
    /// Whether it asks Wix whatever is cached.
    forced: bool,
    until_millis: u64,
}

#[derive(Default)]
struct Entry {
    token: Option<Token>,
    refused_until: Option<Timestamp>,
    flight: Option<Flight>,
    /// Number and end of the last flight.
    landed: Option<(u64, Result<(), Error>)>,
    /// Until which millisecond somebody is sending `APP_FINISHED_CONFIGURATION`, and when it last was sent.
    finishing_until: Option<u64>,
    configured_at: Option<Timestamp>,
}

/// See the module.
pub struct Memory {
    entries: RefCell<LruCache<InstanceId, Entry>>,
    flights: Cell<u64>,
}

impl Default for Memory {
    fn default() -> Self {
        Self { entries: RefCell::new(LruCache::new(CAPACITY)), flights: Cell::new(0) }
    }
}

impl Memory {
    fn with<T>(&self, id: &InstanceId, work: impl FnOnce(&mut Entry) -> T) -> T {
        work(self.entries.borrow_mut().get_or_insert_mut_ref(id, Entry::default))
    }

    /// The token, if it is fresh.
    #[must_use]
    pub fn token(&self, id: &InstanceId, now: Timestamp) -> Option<Token> {
        let mut entries = self.entries.borrow_mut();
        entries.get(id)?.token.clone().filter(|token| token.is_fresh(now))
    }

    /// Forgets an instance: its token is no longer to be used.
    pub fn forget(&self, id: &InstanceId) {
        self.entries.borrow_mut().pop(id);
    }

    /// Remembers that Wix refused for good, so that it is left alone for a while.
    pub fn refuse(&self, id: &InstanceId, until: Timestamp) {
        self.with(id, |entry| entry.refused_until = Some(until));
    }

    /// Whether Wix refused a moment ago.
    #[must_use]
    pub fn is_refused(&self, id: &InstanceId, now: Timestamp) -> bool {
        self.entries.borrow_mut().get(id).is_some_and(|entry| entry.refused_until.is_some_and(|until| now < until))
    }

    /// Asks who fetches. The first to ask leads, until `until_millis`; after that the next one does. One who asks with
    /// `force` does not share what a flight without it brings, which may come from a cache.
    #[must_use]
    pub fn look(
        &self,
        id: &InstanceId,
        now_millis: u64,
        until_millis: u64,
        force: bool,
        waited_for: Option<u64>,
    ) -> Look {
        let number = self.flights.get() + 1;
        self.with(id, |entry| {
            if let Some(flight) = waited_for
                && let Some((landed, end)) = &entry.landed
                && *landed == flight
            {
                match (end, &entry.token) {
                    (Err(error), _) => return Look::Landed(Err(error.clone())),
                    (Ok(()), Some(token)) => return Look::Landed(Ok(token.clone())),
                    (Ok(()), None) => {}
                }
            }
            match &entry.flight {
                Some(flight) if now_millis < flight.until_millis => {
                    Look::Wait((flight.forced || !force).then_some(flight.number))
                }
                _ => {
                    self.flights.set(number);
                    entry.flight = Some(Flight { number, forced: force, until_millis });
                    Look::Lead(number)
                }
            }
        })
    }

    /// Says how a flight ended. What it brought is kept only if the instance was not forgotten, and nobody took over.
    pub fn land(&self, id: &InstanceId, number: u64, end: &Result<Token, Error>) {
        self.with(id, |entry| {
            if entry.flight.take_if(|flight| flight.number == number).is_none() {
                return;
            }
            entry.landed = Some((number, end.as_ref().map(|_| ()).map_err(Error::clone)));
            if let Ok(token) = end {
                entry.token = Some(token.clone());
                entry.refused_until = None;
            }
        });
    }

    /// Takes a token that came by another way.
    pub fn keep(&self, id: &InstanceId, token: Token) {
        self.with(id, |entry| {
            entry.token = Some(token);
            entry.refused_until = None;
        });
    }

    /// Claims the sending of `APP_FINISHED_CONFIGURATION`; false where somebody else is at it.
    #[must_use]
    pub fn claim_finishing(&self, id: &InstanceId, now_millis: u64, patience: u64) -> bool {
        self.with(id, |entry| {
            let free = entry.finishing_until.is_none_or(|until| until <= now_millis);
            if free {
                entry.finishing_until = Some(now_millis + patience);
            }
            free
        })
    }

    /// Gives the claim back, and says when the event was sent if it was.
    pub fn release_finishing(&self, id: &InstanceId, sent: Option<Timestamp>) {
        self.with(id, |entry| {
            entry.finishing_until = None;
            entry.configured_at = sent.or(entry.configured_at);
        });
    }

    /// When this isolate sent `APP_FINISHED_CONFIGURATION`: KV may not show it yet.
    #[must_use]
    pub fn configured_at(&self, id: &InstanceId) -> Option<Timestamp> {
        self.entries.borrow_mut().get(id)?.configured_at
    }
}

#[cfg(test)]
#[path = "memory_tests.rs"]
mod tests;
