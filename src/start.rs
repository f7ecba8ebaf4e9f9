//! Runs the future of a request. It is polled for the first time at once, since many requests are complete after that poll,
//! and then as soon as a promise that it waits for is settled. The executor of wasm-bindgen-futures polls in a microtask of
//! its own.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use wasm_bindgen::JsValue;

use crate::glue::{self, Deferred};

type Result = std::result::Result<JsValue, JsValue>;

/// Nothing of the task is due.
const WAITS: u8 = 0;
const IS_POLLED: u8 = 1;
/// It must be polled once more after the present poll.
const IS_WOKEN: u8 = 2;

thread_local! {
    /// The tasks that wait. A waker must be `Send`, and a future is not.
    static TASKS: RefCell<BTreeMap<u32, Task>> = const { RefCell::new(BTreeMap::new()) };
    static COUNT: Cell<u32> = const { Cell::new(0) };
}

struct Task {
    /// Boxed, so that the compiler does not put all of its code into both places that poll it.
    future: Pin<Box<dyn Future<Output = Result>>>,
    promise: Deferred,
}

/// Wakes a task.
struct Signal {
    task: u32,
    state: AtomicU8,
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        if self.state.swap(IS_WOKEN, Ordering::Relaxed) != WAITS {
            return;
        }
        let task = TASKS.with_borrow_mut(|tasks| tasks.remove(&self.task));
        if let Some(mut task) = task {
            match poll(&mut task.future, &self) {
                Poll::Ready(Ok(value)) => task.promise.resolve(&value),
                Poll::Ready(Err(error)) => task.promise.reject(&error),
                Poll::Pending => wait(&self, task),
            }
        }
    }
}

/// Returns the future's output if the first poll completes it, else a promise of the output.
pub fn start(mut future: Pin<Box<dyn Future<Output = Result>>>) -> Result {
    let task = COUNT.replace(COUNT.get().wrapping_add(1));
    let signal = Arc::new(Signal { task, state: AtomicU8::new(WAITS) });
    match poll(&mut future, &signal) {
        Poll::Ready(output) => output,
        Poll::Pending => {
            let promise = glue::deferred();
            let output = promise.promise();
            wait(&signal, Task { future, promise });
            Ok(output)
        }
    }
}

/// Polls until the future has not been woken during a poll.
fn poll(future: &mut Pin<Box<dyn Future<Output = Result>>>, signal: &Arc<Signal>) -> Poll<Result> {
    let waker = Waker::from(Arc::clone(signal));
    loop {
        signal.state.store(IS_POLLED, Ordering::Relaxed);
        let polled = future.as_mut().poll(&mut Context::from_waker(&waker));
        if polled.is_ready() || signal.state.load(Ordering::Relaxed) == IS_POLLED {
            return polled;
        }
    }
}

fn wait(signal: &Signal, task: Task) {
    TASKS.with_borrow_mut(|tasks| tasks.insert(signal.task, task));
    signal.state.store(WAITS, Ordering::Relaxed);
}
