//! Waits for promises. `JsFuture` of js-sys makes two closures for each promise, here one serves them all.

use std::cell::RefCell;
use std::mem::{replace, swap};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use slab::Slab;
use wasm_bindgen::JsValue;
use wasm_bindgen::closure::Closure;

use crate::glue::{self, Promise};

type Result = std::result::Result<JsValue, JsValue>;

thread_local! {
    /// The promises for which wasm waits, by number.
    static WAITS: RefCell<Slab<Wait>> = const { RefCell::new(Slab::new()) };
    /// JavaScript calls it with the number of a promise that is settled, whether it was fulfilled, and its value.
    static SETTLED: Closure<dyn Fn(usize, bool, JsValue)> = Closure::new(settled);
}

enum Wait {
    Pending(Option<Waker>),
    Settled(Result),
    /// The future was dropped. The number stays in use until the promise is settled.
    Dropped,
}

/// The outcome of a promise.
pub struct Promised {
    /// `None` once the outcome was read.
    number: Option<usize>,
}

impl IntoFuture for Promise {
    type Output = Result;
    type IntoFuture = Promised;

    fn into_future(self) -> Promised {
        let number = WAITS.with_borrow_mut(|waits| waits.insert(Wait::Pending(None)));
        SETTLED.with(|settled| glue::settle(&self, number, settled));
        Promised { number: Some(number) }
    }
}

impl Future for Promised {
    type Output = Result;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result> {
        let Some(number) = self.number else { return Poll::Pending };
        // The old waker is dropped after the borrow of `WAITS` ends: its drop may drop another `Promised`, which borrows `WAITS`.
        let mut waker = Some(context.waker().clone());
        let settled = WAITS.with_borrow_mut(|waits| {
            if let Some(Wait::Pending(waiting)) = waits.get_mut(number) {
                swap(waiting, &mut waker);
                return None;
            }
            waits.try_remove(number)
        });
        match settled {
            Some(Wait::Settled(result)) => {
                self.number = None;
                Poll::Ready(result)
            }
            _ => Poll::Pending,
        }
    }
}

impl Drop for Promised {
    fn drop(&mut self) {
        let Some(number) = self.number else { return };
        let _before = WAITS.with_borrow_mut(|waits| match waits.get_mut(number) {
            Some(wait @ Wait::Pending(_)) => Some(replace(wait, Wait::Dropped)),
            _ => waits.try_remove(number),
        });
    }
}

fn settled(number: usize, is_fulfilled: bool, value: JsValue) {
    let outcome = if is_fulfilled { Ok(value) } else { Err(value) };
    let before = WAITS.with_borrow_mut(|waits| {
        let before = waits.get_mut(number).map(|wait| replace(wait, Wait::Settled(outcome)));
        if let Some(Wait::Dropped) = before { waits.try_remove(number) } else { before }
    });
    if let Some(Wait::Pending(Some(waker))) = before {
        waker.wake();
    }
}
