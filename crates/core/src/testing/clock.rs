//! Time that stands still while anybody can go on, and then jumps to the next thing that is waited for.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

/// Where the clock starts: 2026-01-01T00:00:00Z, in seconds of Unix time.
pub const START: u64 = 1_767_225_600;
/// No test waits longer for one thing than this, in milliseconds.
const LONGEST_RUN: u64 = 3_600_000;

/// The clock, and all who wait.
pub struct Clock {
    millis: Cell<u64>,
    next: Cell<u64>,
    waiting: RefCell<BTreeMap<(u64, u64), Waker>>,
}

impl Default for Clock {
    fn default() -> Self {
        Self { millis: Cell::new(START * 1000), next: Cell::new(0), waiting: RefCell::default() }
    }
}

/// Takes the waiting one off the list, whether it was served or given up.
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

    /// Goes on by so many seconds.
    pub fn pass(&self, seconds: u64) {
        self.millis.set(self.now() + seconds * 1000);
    }

    /// How often somebody waited.
    pub fn sleeps(&self) -> u64 {
        self.next.get()
    }

    /// Waits; without any time to wait, lets the others go first once.
    pub async fn sleep(&self, millis: u64) {
        let number = self.next.get();
        self.next.set(number + 1);
        let due = self.now().saturating_add(millis);
        let ticket = Ticket(self, (due, number));
        let mut first = true;
        poll_fn(|context| {
            if !first && self.now() >= due {
                return Poll::Ready(());
            }
            first = false;
            self.waiting.borrow_mut().insert(ticket.1, context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Runs to the end, letting time pass where all wait.
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
            let Some(((due, _), waker)) = next else { panic!("everybody waits for what never happens") };
            self.millis.set(self.now().max(due));
            assert!(self.now() - started < LONGEST_RUN, "this takes for ever");
            waker.wake();
        }
    }
}
