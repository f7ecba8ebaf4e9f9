//! Single flight: one call for all requests of an isolate that want the same result at the same time.
//!
//! The runtime cancels a request that awaits another request's promise. So the leader puts a claim into the isolate's
//! memory, and the followers poll on timers of their own until there is a result, or the claim expires and one of them
//! takes over.

use std::cell::Cell;
use std::hash::Hash;
use std::time::Duration;

use super::{BoundedMap, Clock};

/// The shortest and the longest polling interval of a follower, in milliseconds. Between them the interval is half of the
/// time waited so far: each poll costs CPU, and few waits are long.
const POLL_MILLIS: (u64, u64) = (10, 400);

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
    count: Cell<u64>,
}

impl<K: Hash + Eq, V, E> Default for SingleFlight<K, V, E> {
    fn default() -> Self {
        Self { slots: BoundedMap::default(), count: Cell::new(0) }
    }
}

struct Slot<V, E> {
    flight: Option<Flight>,
    /// The number of the flight that ended last, and its result.
    landed: Option<(u64, Result<V, E>)>,
}

impl<V, E> Slot<V, E> {
    fn empty() -> Self {
        Self { flight: None, landed: None }
    }
}

struct Flight {
    number: u64,
    forced: bool,
    until_millis: u64,
}

/// Releases the claim when the leader is cancelled, so that the next request leads at once.
struct Claim<'a, K: Hash + Eq, V, E> {
    flights: &'a SingleFlight<K, V, E>,
    key: &'a K,
    number: u64,
}

impl<K: Hash + Eq, V, E> Drop for Claim<'_, K, V, E> {
    fn drop(&mut self) {
        self.flights.slots.with(self.key, |slot| {
            let _ = slot.flight.take_if(|flight| flight.number == self.number);
        });
    }
}

enum Look<V, E> {
    Lead(u64),
    /// With the number of the flight whose result counts for this request.
    Follow(Option<u64>),
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

    /// Removes the value, and abandons the call in flight: its result is not kept.
    pub fn forget(&self, key: &K) {
        self.slots.remove(key);
    }

    /// Leads and does the work, or follows and shares the leader's result, which may be an error. With `force` the request
    /// shares no flight that began without it.
    pub async fn share<C: Clock>(
        &self,
        clock: &C,
        key: &K,
        turn: Turn,
        work: impl Future<Output = Result<V, E>>,
    ) -> Result<V, E> {
        let mut followed = None;
        let began = clock.now_millis();
        loop {
            let now = clock.now_millis();
            match self.look(key, now, turn, followed) {
                Look::Landed(result) => return result,
                Look::Follow(_) if now >= turn.wait_until_millis => return Err(TimedOut.into()),
                Look::Follow(flight) => {
                    followed = flight;
                    let pause = (now.saturating_sub(began) / 2).clamp(POLL_MILLIS.0, POLL_MILLIS.1);
                    clock.sleep(Duration::from_millis(pause)).await;
                }
                Look::Lead(number) => {
                    let claim = Claim { flights: self, key, number };
                    let result = work.await;
                    self.land(key, number, &result);
                    drop(claim);
                    return result;
                }
            }
        }
    }

    fn look(&self, key: &K, now_millis: u64, turn: Turn, followed: Option<u64>) -> Look<V, E> {
        let Turn { force: forced, lead_millis, .. } = turn;
        self.slots.with_or_insert(key, Slot::empty, |slot| {
            if let Some((landed, result)) = &slot.landed
                && followed == Some(*landed)
            {
                return Look::Landed(result.clone());
            }
            match &slot.flight {
                Some(flight) if now_millis < flight.until_millis => {
                    Look::Follow((flight.forced || !forced).then_some(flight.number))
                }
                _ => {
                    let number = self.count.get() + 1;
                    self.count.set(number);
                    slot.flight = Some(Flight { number, forced, until_millis: now_millis + lead_millis });
                    Look::Lead(number)
                }
            }
        })
    }

    /// Keeps the result, unless the flight was abandoned or another request took over.
    fn land(&self, key: &K, number: u64, result: &Result<V, E>) {
        self.slots.with(key, |slot| {
            if slot.flight.take_if(|flight| flight.number == number).is_some() {
                slot.landed = Some((number, result.clone()));
            }
        });
    }
}

#[cfg(test)]
mod tests;
