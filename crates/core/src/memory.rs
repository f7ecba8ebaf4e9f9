//! What this isolate remembers between requests: tokens, work under way, and who was refused. All of it may be lost at
//! any moment, and none of it is shared with other isolates.
//!
//! The runtime ends a request that waits for another request's work. So a request that finds another one at the same
//! work looks again after a short sleep of its own, and takes over when the other's time is up.

use std::cell::{Cell, RefCell};
use std::hash::Hash;
use std::time::Duration;

use lru::LruCache;

use crate::error::Error;
use crate::id::InstanceId;
use crate::identity::Known;
use crate::platform::Platform;
use crate::redirect::Exchanged;
use crate::secret::AccessToken;
use crate::state::Flow;
use crate::time::Timestamp;
use crate::wix::Minted;

/// How much of each kind is remembered; the least recently used goes first.
const CAPACITY: usize = 1_000;
/// The shortest and the longest polling interval of a follower, in milliseconds.
/// Between them it is half of the time waited so far: each poll costs CPU, and few waits are long.
const PAUSES: (u64, u64) = (10, 400);

/// An access token with its end.
#[derive(Clone)]
pub struct Token {
    /// The token.
    pub access_token: AccessToken,
    /// When Wix stops taking it.
    pub expires_at: Timestamp,
    /// How long it lived when it was made, in seconds.
    pub life: u64,
    /// When the instance was last seen to be installed.
    pub checked_at: Timestamp,
}

impl Token {
    /// Whether it has more life than the margin: a minute for tokens of minutes, else the larger of five minutes and a
    /// tenth of its life.
    #[must_use]
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        let margin = if self.is_long_lived() { (self.life / 10).max(300) } else { 60 };
        self.expires_at.since(now) > margin
    }

    /// When Wix gave it.
    #[must_use]
    pub fn given_at(&self) -> Timestamp {
        Timestamp(self.expires_at.0.saturating_sub(self.life))
    }

    /// Whether it is worth keeping in KV.
    #[must_use]
    pub fn is_long_lived(&self) -> bool {
        self.life >= 3_600
    }
}

/// See the module.
#[derive(Default)]
pub struct Memory {
    /// Tokens, and the fetching of them.
    pub tokens: Flights<InstanceId, Token>,
    /// When `APP_FINISHED_CONFIGURATION` was sent, and the sending of it.
    pub finished: Flights<InstanceId, Timestamp>,
    /// Codes exchanged, by the flow they ended, and the exchange of them.
    pub exchanged: Flights<Flow, Exchanged>,
    /// What Wix said of access tokens, by their SHA-256, and the asking.
    pub identities: Flights<[u8; 32], Known>,
    /// Flows whose code Wix refused: it is not asked again.
    refused_flows: Remembered<Flow, ()>,
    /// External flows that ended here, by the time of the value that proved them.
    joined: Remembered<(Flow, InstanceId), Timestamp>,
    /// When Wix last refused the app's own credentials.
    pub credentials_refused: Cell<Option<Timestamp>>,
    /// What codes were exchanged for, and when, while Wix could not yet be asked whose it is.
    unproven: Remembered<Flow, (Timestamp, Minted)>,
    /// Until when Wix is left alone, having refused for good.
    refused: Remembered<InstanceId, Timestamp>,
    /// Until when no new token is made because of a 401: the last one was made in vain.
    in_vain: Remembered<InstanceId, Timestamp>,
    /// Until when an instance is taken to be there, without a look at its row.
    there: Remembered<InstanceId, Timestamp>,
}

impl Memory {
    /// Forgets an instance: nothing that is known of it is to be used, nor what is being fetched at this moment.
    pub fn forget(&self, id: &InstanceId) {
        self.tokens.forget(id);
        self.finished.forget(id);
        self.there.remove(id);
    }

    /// Remembers what a code was exchanged for, and when.
    pub fn keep_unproven(&self, flow: &Flow, at: Timestamp, minted: Minted) {
        self.unproven.put(flow.clone(), (at, minted));
    }

    /// Gives it back, and forgets it.
    #[must_use]
    pub fn take_unproven(&self, flow: &Flow) -> Option<(Timestamp, Minted)> {
        self.unproven.remove(flow)
    }

    /// Remembers that Wix refused for good, so that it is left alone for a while.
    pub fn refuse(&self, id: &InstanceId, until: Timestamp) {
        self.refused.put(id.clone(), until);
    }

    /// Ends the cool-down after a refusal. Whether there was one.
    pub fn clear_cool_down(&self, id: &InstanceId) -> bool {
        self.refused.remove(id).is_some()
    }

    /// Remembers that Wix refused the code of a flow.
    pub fn refuse_flow(&self, flow: &Flow) {
        self.refused_flows.put(flow.clone(), ());
    }

    /// Whether it did.
    #[must_use]
    pub fn is_flow_refused(&self, flow: &Flow) -> bool {
        self.refused_flows.get(flow).is_some()
    }

    /// Remembers that an external flow ended here.
    pub fn remember_joined(&self, flow: &Flow, id: &InstanceId, signed_at: Timestamp) {
        self.joined.put((flow.clone(), id.clone()), signed_at);
    }

    /// Whether it did, with a value of that time.
    #[must_use]
    pub fn has_joined(&self, flow: &Flow, id: &InstanceId, signed_at: Timestamp) -> bool {
        self.joined.get(&(flow.clone(), id.clone())) == Some(signed_at)
    }

    /// Whether Wix refused a moment ago.
    #[must_use]
    pub fn is_refused(&self, id: &InstanceId, now: Timestamp) -> bool {
        self.refused.get(id).is_some_and(|until| now < until)
    }

    /// Remembers that an instance was there a moment ago.
    pub fn remember(&self, id: &InstanceId, until: Timestamp) {
        self.there.put(id.clone(), until);
    }

    /// Whether it was.
    #[must_use]
    pub fn is_there(&self, id: &InstanceId, now: Timestamp) -> bool {
        self.there.get(id).is_some_and(|until| now < until)
    }

    /// Remembers that Wix took a new token no more than the one before it.
    pub fn renew_in_vain(&self, id: &InstanceId, until: Timestamp) {
        self.in_vain.put(id.clone(), until);
    }

    /// Whether a new token changed nothing a moment ago.
    #[must_use]
    pub fn is_renewal_in_vain(&self, id: &InstanceId, now: Timestamp) -> bool {
        self.in_vain.get(id).is_some_and(|until| now < until)
    }
}

/// A bounded map. It allocates as it fills: most isolates see few instances.
struct Remembered<K: Hash + Eq, V>(RefCell<LruCache<K, V>>);

impl<K: Hash + Eq, V> Default for Remembered<K, V> {
    fn default() -> Self {
        Self(RefCell::new(LruCache::unbounded()))
    }
}

impl<K: Hash + Eq, V> Remembered<K, V> {
    fn put(&self, key: K, value: V) {
        let mut entries = self.0.borrow_mut();
        entries.put(key, value);
        Self::bound(&mut entries);
    }

    fn remove(&self, key: &K) -> Option<V> {
        self.0.borrow_mut().pop(key)
    }

    fn bound(entries: &mut LruCache<K, V>) {
        if entries.len() > CAPACITY {
            entries.pop_lru();
        }
    }
}

impl<K: Hash + Eq, V: Clone> Remembered<K, V> {
    fn get(&self, key: &K) -> Option<V> {
        self.0.borrow_mut().get(key).cloned()
    }
}

/// How one request takes part in shared work.
#[derive(Clone, Copy)]
pub struct Turn {
    /// Whether what began without `force` is of no use.
    pub force: bool,
    /// How long it may take, if it leads, before the next one does the work too, in milliseconds.
    pub lead_millis: u64,
    /// Until when it waits for another, in milliseconds of Unix time.
    pub wait_until_millis: u64,
}

/// A request that was cut off while it led lets the next one lead at once.
struct Claim<'a, K: Hash + Eq + Clone, V: Clone> {
    flights: &'a Flights<K, V>,
    key: &'a K,
    number: u64,
}

impl<K: Hash + Eq + Clone, V: Clone> Drop for Claim<'_, K, V> {
    fn drop(&mut self) {
        if let Some(slot) = self.flights.slots.0.borrow_mut().get_mut(self.key) {
            let _ = slot.flight.take_if(|flight| flight.number == self.number);
        }
    }
}

/// Work that is done once for all who want it at the same time, and what last came of it.
pub struct Flights<K: Hash + Eq, V> {
    slots: Remembered<K, Slot<V>>,
    count: Cell<u64>,
}

impl<K: Hash + Eq, V> Default for Flights<K, V> {
    fn default() -> Self {
        Self { slots: Remembered::default(), count: Cell::new(0) }
    }
}

struct Slot<V> {
    flight: Option<Flight>,
    /// What last came of it, and of which flight.
    landed: Option<(u64, Result<V, Error>)>,
}

struct Flight {
    number: u64,
    /// Whether it does the work whatever is cached.
    forced: bool,
    until_millis: u64,
}

enum Look<V> {
    Lead(u64),
    Wait(Option<u64>),
    Landed(Result<V, Error>),
}

impl<K: Hash + Eq + Clone, V: Clone> Flights<K, V> {
    /// What last came of it, if it went well.
    #[must_use]
    pub fn value(&self, key: &K) -> Option<V> {
        let mut slots = self.slots.0.borrow_mut();
        slots.get(key)?.landed.as_ref().and_then(|(_, end)| end.as_ref().ok()).cloned()
    }

    /// Takes a value that came by another way.
    pub fn keep(&self, key: &K, value: V) {
        self.with(key, |slot| slot.landed = Some((0, Ok(value))));
    }

    /// Forgets the value, and lets go of the flight: what it brings is not kept.
    pub fn forget(&self, key: &K) {
        self.slots.remove(key);
    }

    /// Does the work, or waits for the one who is at it and shares the end, a failure included. With `force`, nothing is
    /// shared that began without.
    pub async fn share<P: Platform>(
        &self,
        platform: &P,
        key: &K,
        turn: Turn,
        work: impl Future<Output = Result<V, Error>>,
    ) -> Result<V, Error> {
        let mut waited_for = None;
        let began = platform.now_millis();
        loop {
            let now = platform.now_millis();
            match self.look(key, now, turn, waited_for) {
                Look::Landed(end) => return end,
                Look::Wait(_) if now >= turn.wait_until_millis => return Err(Error::WixTimeout),
                Look::Wait(flight) => {
                    waited_for = flight;
                    let pause = (now.saturating_sub(began) / 2).clamp(PAUSES.0, PAUSES.1);
                    platform.sleep(Duration::from_millis(pause)).await;
                }
                Look::Lead(number) => {
                    let claim = Claim { flights: self, key, number };
                    let end = work.await;
                    self.land(key, number, &end);
                    drop(claim);
                    return end;
                }
            }
        }
    }

    fn look(&self, key: &K, now_millis: u64, turn: Turn, waited_for: Option<u64>) -> Look<V> {
        let Turn { force: forced, lead_millis, .. } = turn;
        let until_millis = now_millis + lead_millis;
        let number = self.count.get() + 1;
        self.with(key, |slot| {
            if let Some((landed, end)) = &slot.landed
                && waited_for == Some(*landed)
            {
                return Look::Landed(end.clone());
            }
            match &slot.flight {
                Some(flight) if now_millis < flight.until_millis => {
                    Look::Wait((flight.forced || !forced).then_some(flight.number))
                }
                _ => {
                    self.count.set(number);
                    slot.flight = Some(Flight { number, forced, until_millis });
                    Look::Lead(number)
                }
            }
        })
    }

    /// What a flight brought is kept only if it was not let go of, and nobody took over.
    fn land(&self, key: &K, number: u64, end: &Result<V, Error>) {
        self.with(key, |slot| {
            if slot.flight.take_if(|flight| flight.number == number).is_some() {
                slot.landed = Some((number, end.clone()));
            }
        });
    }

    fn with<T>(&self, key: &K, work: impl FnOnce(&mut Slot<V>) -> T) -> T {
        let empty = || Slot { flight: None, landed: None };
        let mut slots = self.slots.0.borrow_mut();
        let end = work(slots.get_or_insert_mut_ref(key, empty));
        Remembered::bound(&mut slots);
        end
    }
}

#[cfg(test)]
#[path = "memory_tests.rs"]
mod tests;
