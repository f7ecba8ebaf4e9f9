//! Polls a future for the first time at once, and not in a microtask: many requests are complete after that poll.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use js_sys::futures::future_to_promise;
use wasm_bindgen::JsValue;

type Result = std::result::Result<JsValue, JsValue>;

/// A waker that wakes the executor, which exists only after the first poll.
#[derive(Default)]
struct Relay(Mutex<Option<Waker>>);

impl Wake for Relay {
    fn wake(self: Arc<Self>) {
        let waker = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// Returns the future's output if the first poll completes it, else a promise of the output. The future is boxed: it is
/// polled in two places, and the compiler may put all of its code into both.
pub fn start(mut future: Pin<Box<dyn Future<Output = Result>>>) -> Result {
    let relay = Arc::new(Relay::default());
    // A pending operation may keep the waker of its first poll, so this waker must work for all polls.
    let waker = Waker::from(Arc::clone(&relay));
    match poll(future.as_mut(), &waker) {
        Poll::Ready(output) => output,
        Poll::Pending => {
            let rest = std::future::poll_fn(move |context| {
                *relay.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(context.waker().clone());
                poll(future.as_mut(), &waker)
            });
            Ok(future_to_promise(rest).into())
        }
    }
}

fn poll(future: Pin<&mut dyn Future<Output = Result>>, waker: &Waker) -> Poll<Result> {
    future.poll(&mut Context::from_waker(waker))
}
