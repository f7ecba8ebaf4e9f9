//! The first step of a future at once, and not in a microtask of its own: many requests are answered in it.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use js_sys::futures::future_to_promise;
use wasm_bindgen::JsValue;

type Result = std::result::Result<JsValue, JsValue>;

/// Wakes whoever polled last: the executor, once there is one.
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

/// What the future gives, if it gives it now; else a promise of it.
pub fn start(future: impl Future<Output = Result> + 'static) -> Result {
    let mut future = Box::pin(future);
    let relay = Arc::new(Relay::default());
    // What waits keeps the waker it saw first, so it is to be one that lasts.
    let waker = Waker::from(Arc::clone(&relay));
    match poll(future.as_mut(), &waker) {
        Poll::Ready(end) => end,
        Poll::Pending => {
            let rest = std::future::poll_fn(move |context| {
                *relay.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(context.waker().clone());
                poll(future.as_mut(), &waker)
            });
            Ok(future_to_promise(rest).into())
        }
    }
}

fn poll<F: Future>(future: Pin<&mut F>, waker: &Waker) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(waker))
}
