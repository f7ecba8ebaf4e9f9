//! A clock that stands still while a future can make progress, and then jumps to the time at which the next sleep ends.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

/// The time at which the clock starts: 2026-01-01T00:00:00Z, in seconds of Unix time.
pub const START: u64 = 1_767_225_600;
/// The longest time that one `run` may take, in milliseconds.
const LONGEST_RUN: u64 = 3_600_000;

/// The clock, with the futures that sleep on it.
pub struct Clock {
    millis: Cell<u64>,
    sleeps: Cell<u64>,
    /// By the time at which the sleep ends and its number.
    waiting: RefCell<BTreeMap<(u64, u64), Sleeper>>,
    loses_wake_ups: Cell<bool>,
}

/// The key that ends a sleep early, and its future.
type Sleeper = (Option<u32>, Waker);

impl Default for Clock {
    fn default() -> Self {
        let (sleeps, waiting, loses_wake_ups) = (Cell::new(0), RefCell::default(), Cell::new(false));
        Self { millis: Cell::new(START * 1000), sleeps, waiting, loses_wake_ups }
    }
}

/// An entry in `waiting`. It is removed when its sleep ends, and also when its future is dropped.
struct Ticket<'a>(&'a Clock, (u64, u64));

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        self.0.waiting.borrow_mut().remove(&self.1);
    }
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Clock {
    /// Milliseconds of Unix time.
    pub fn now(&self) -> u64 {
        self.millis.get()
    }

    /// Sets the time, in seconds.
    pub fn set(&self, seconds: u64) {
        self.millis.set(seconds * 1000);
    }

    /// Sets the time, in milliseconds.
    pub fn set_millis(&self, millis: u64) {
        self.millis.set(millis);
    }

    /// Advances the time by so many seconds.
    pub fn advance(&self, seconds: u64) {
        self.millis.set(self.now() + seconds * 1000);
    }

    /// How many sleeps have begun.
    pub fn sleeps(&self) -> u64 {
        self.sleeps.get()
    }

    /// From now on `wake` does nothing.
    pub fn lose_wake_ups(&self) {
        self.loses_wake_ups.set(true);
    }

    /// Ends the sleeps with this key.
    pub fn wake(&self, key: u32) {
        if !self.loses_wake_ups.get() {
            let mut waiting = self.waiting.borrow_mut();
            waiting.extract_if(.., |_, (known, _)| *known == Some(key)).for_each(|(_, (_, waker))| waker.wake());
        }
    }

    /// Sleeps. With 0 ms it yields once to the other futures.
    pub async fn sleep(&self, millis: u64) {
        self.sleep_until_woken(None, millis).await;
    }

    /// Sleeps until the key is woken, if there is one, and at most for this time.
    pub async fn sleep_until_woken(&self, key: Option<u32>, millis: u64) {
        let number = self.sleeps.get();
        self.sleeps.set(number + 1);
        let due = self.now().saturating_add(millis);
        let ticket = Ticket(self, (due, number));
        let mut first = true;
        poll_fn(|context| {
            let mut waiting = self.waiting.borrow_mut();
            if !first && (self.now() >= due || !waiting.contains_key(&ticket.1)) {
                return Poll::Ready(());
            }
            first = false;
            waiting.insert(ticket.1, (key, context.waker().clone()));
            Poll::Pending
        })
        .await;
    }

    /// Runs a future to its end, and advances the time whenever every future sleeps.
    pub fn run<T>(&self, future: impl Future<Output = T>) -> T {
        let started = self.now();
        let mut future = pin!(future);
        let woken = Arc::new(Woken(AtomicBool::new(false)));
        let waker = Waker::from(Arc::clone(&woken));
        loop {
            woken.0.store(false, Ordering::Relaxed);
            if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                return value;
            }
            if woken.0.load(Ordering::Relaxed) {
                continue;
            }
            let next = self.waiting.borrow_mut().pop_first();
            let Some(((due, _), (_, waker))) = next else {
                panic!("deadlock: the future waits, and nothing sleeps on the clock")
            };
            self.millis.set(self.now().max(due));
            assert!(self.now() - started < LONGEST_RUN, "the run takes longer than {LONGEST_RUN} ms");
            waker.wake();
        }
    }
}
