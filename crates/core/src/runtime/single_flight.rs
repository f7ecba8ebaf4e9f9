//! Single flight: one call for all requests of an isolate that want the same result at the same time.
//!
//! The leader puts a claim into the isolate's memory. The followers sleep on timers of their own and look at that memory:
//! when the leader wakes them, and now and then in case that a wake-up is lost, until there is a result, or the claim
//! expires and one of them takes over. They do not await the leader's future: the runtime would run them in the context
//! of the leader's request, and cancel them with it.

use std::hash::Hash;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::{BoundedMap, Signal};

/// The polling interval of a follower, in milliseconds. A poll is needed only if a wake-up was lost, and each one costs CPU.
const POLL_MILLIS: u64 = 2_000;

/// The number of the next flight. It is the key with which followers sleep, so all flights of an isolate share one count.
static NEXT: AtomicU32 = AtomicU32::new(1);

/// A follower waited as long as it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimedOut;

/// How one request takes part.
#[derive(Clone, Copy)]
pub struct Turn {
    /// Whether a call that began without `force` is of no use to this request.
    pub force: bool,
    /// How long its claim lasts if it leads, in milliseconds.
    pub lead_millis: u64,
    /// Until when it waits if it follows, in milliseconds of Unix time.
    pub wait_until_millis: u64,
}

/// Calls in flight, by key, and the latest result of each.
pub struct SingleFlight<K: Hash + Eq, V, E> {
    slots: BoundedMap<K, Slot<V, E>>,
}

impl<K: Hash + Eq, V, E> Default for SingleFlight<K, V, E> {
    fn default() -> Self {
        Self { slots: BoundedMap::default() }
    }
}

struct Slot<V, E> {
    flight: Option<Flight>,
    /// The number of the flight that ended last, and its result. The number is 0 for a value of another call.
    landed: Option<(u32, Result<V, E>)>,
}

impl<V, E> Slot<V, E> {
    fn empty() -> Self {
        Self { flight: None, landed: None }
    }
}

#[derive(Clone, Copy)]
struct Flight {
    number: u32,
    forced: bool,
    until_millis: u64,
}

/// Releases the claim and wakes the followers when the leader ends or is cancelled. Then the next request leads at once.
struct Claim<'a, S: Signal, K: Hash + Eq, V, E> {
    signal: &'a S,
    flights: &'a SingleFlight<K, V, E>,
    key: &'a K,
    number: u32,
}

impl<S: Signal, K: Hash + Eq, V, E> Drop for Claim<'_, S, K, V, E> {
    fn drop(&mut self) {
        self.flights.slots.with(self.key, |slot| {
            let _ = slot.flight.take_if(|flight| flight.number == self.number);
        });
        self.signal.wake(self.number);
    }
}

enum Look<V, E> {
    Lead(u32),
    Follow(Flight),
    Landed(Result<V, E>),
}

impl<K: Hash + Eq + Clone, V: Clone, E: Clone + From<TimedOut>> SingleFlight<K, V, E> {
    /// The latest value, if the latest flight succeeded.
    #[must_use]
    pub fn value(&self, key: &K) -> Option<V> {
        self.slots.with(key, |slot| slot.landed.as_ref()?.1.as_ref().ok().cloned()).flatten()
    }

    /// Stores a value that another call obtained.
    pub fn keep(&self, key: &K, value: V) {
        self.slots.with_or_insert(key, Slot::empty, |slot| slot.landed = Some((0, Ok(value))));
    }

    /// Invalidates the cached value and the call in flight. The result of that call is not cached, and its followers are woken to
    /// check the cache again.
    pub fn forget(&self, signal: &impl Signal, key: &K) {
        if let Some(Slot { flight: Some(flight), .. }) = self.slots.remove(key) {
            signal.wake(flight.number);
        }
    }

    /// Leads and does the work, or follows and shares the leader's result, which may be an error. With `force` the request
    /// shares no flight that began without it.
    pub async fn share<S: Signal>(
        &self,
        signal: &S,
        key: &K,
        turn: Turn,
        work: impl Future<Output = Result<V, E>>,
    ) -> Result<V, E> {
        let mut followed = None;
        loop {
            let now = signal.now_millis();
            match self.look(key, now, turn, followed) {
                Look::Landed(result) => return result,
                Look::Follow(_) if now >= turn.wait_until_millis => return Err(TimedOut.into()),
                Look::Follow(flight) => {
                    // A flight that began without `force` is only waited for.
                    followed = (flight.forced || !turn.force).then_some(flight.number);
                    let until = (now + POLL_MILLIS).min(turn.wait_until_millis).min(flight.until_millis);
                    signal.sleep_until_woken(flight.number, Duration::from_millis(until - now)).await;
                }
                Look::Lead(number) => {
                    let claim = Claim { signal, flights: self, key, number };
                    let result = work.await;
                    self.land(key, number, &result);
                    drop(claim);
                    return result;
                }
            }
        }
    }

    fn look(&self, key: &K, now_millis: u64, turn: Turn, followed: Option<u32>) -> Look<V, E> {
        let Turn { force: forced, lead_millis, .. } = turn;
        self.slots.with_or_insert(key, Slot::empty, |slot| {
            if let Some((landed, result)) = &slot.landed
                && followed == Some(*landed)
            {
                return Look::Landed(result.clone());
            }
            match &slot.flight {
                Some(flight) if now_millis < flight.until_millis => Look::Follow(*flight),
                _ => {
                    let number = NEXT.fetch_add(1, Ordering::Relaxed);
                    slot.flight = Some(Flight { number, forced, until_millis: now_millis + lead_millis });
                    Look::Lead(number)
                }
            }
        })
    }

    /// Keeps the result, unless the flight was abandoned or another request took over.
    fn land(&self, key: &K, number: u32, result: &Result<V, E>) {
        self.slots.with(key, |slot| {
            if slot.flight.take_if(|flight| flight.number == number).is_some() {
                slot.landed = Some((number, result.clone()));
            }
        });
    }
}

#[cfg(test)]
mod tests;
