//! Waiting for a promise.
//!
//! ```text
//!  Rust: a place ──▶ glue.js: promise.then ──▶ the one function, with place and outcome ──▶ the place's waker
//! ```
//!
//! `JsFuture` makes two functions for each promise, has the collector look after both, and takes both back. Here one function serves all
//! promises of an instance, and is told which place in its list waits for the one that settled. A place is taken again only once its promise
//! has settled, which promises do once.
//!
//! After a trap wasm starts anew with an empty list, and wasm-bindgen refuses calls of functions that were made before. It does not where
//! such a call is the one that finds the trap: then it comes to the new list, in which nobody has its place yet, and nothing happens. So
//! the one function must hold on to nothing.

use crate::glue;
use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use worker::js_sys::Promise;
use worker::wasm_bindgen::JsValue;
use worker::wasm_bindgen::closure::Closure;

type Outcome = Result<JsValue, JsValue>;

/// A place in the list.
enum Place {
    /// Nobody's.
    Free,
    /// The promise is pending, and this is to be woken.
    Pending(Option<Waker>),
    /// The promise has settled, and nobody has asked since.
    Settled(Outcome),
    /// The promise is pending, and nobody asks any more.
    Forgotten,
}

#[derive(Default)]
struct Places {
    all: Vec<Place>,
    free: Vec<usize>,
}

impl Places {
    fn take(&mut self) -> usize {
        if let Some(place) = self.free.pop() {
            self.set(place, Place::Pending(None));
            return place;
        }
        self.all.push(Place::Pending(None));
        self.all.len() - 1
    }

    fn set(&mut self, place: usize, to: Place) -> Place {
        self.all.get_mut(place).map_or(Place::Free, |is| std::mem::replace(is, to))
    }

    fn free(&mut self, place: usize) -> Place {
        self.free.push(place);
        self.set(place, Place::Free)
    }

    fn settle(&mut self, place: usize, outcome: Outcome) -> Option<Waker> {
        match self.all.get_mut(place) {
            Some(Place::Pending(waker)) => {
                let waker = waker.take();
                self.set(place, Place::Settled(outcome));
                waker
            }
            Some(Place::Forgotten) => {
                self.free(place);
                None
            }
            _ => None,
        }
    }
}

thread_local! {
    static PLACES: RefCell<Places> = RefCell::default();
    /// The one function.
    static SETTLED: JsValue = Closure::<dyn Fn(usize, bool, JsValue)>::new(settled).into_js_value();
}

fn settled(place: usize, good: bool, value: JsValue) {
    let outcome = if good { Ok(value) } else { Err(value) };
    let waker = PLACES.with_borrow_mut(|places| places.settle(place, outcome));
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// A promise's value, or what it was rejected with.
pub struct Settled(Option<usize>);

/// Waits for a promise.
pub fn of(promise: &Promise) -> Settled {
    let place = PLACES.with_borrow_mut(Places::take);
    if let Err(error) = SETTLED.with(|settled| glue::wait(promise, place, settled)) {
        settled(place, false, error);
    }
    Settled(Some(place))
}

impl Future for Settled {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        let Some(place) = self.0 else { return Poll::Pending };
        let left = PLACES.with_borrow_mut(|places| match places.all.get_mut(place) {
            Some(Place::Pending(Some(waker))) if waker.will_wake(context.waker()) => Place::Free,
            Some(Place::Pending(waker)) => Place::Pending(waker.replace(context.waker().clone())),
            Some(Place::Settled(_)) => places.free(place),
            _ => Place::Free,
        });
        // What comes out is dropped here, where the list is not borrowed: it may drop others that wait.
        let Place::Settled(outcome) = left else { return Poll::Pending };
        self.0 = None;
        Poll::Ready(outcome)
    }
}

impl Drop for Settled {
    fn drop(&mut self) {
        let Some(place) = self.0 else { return };
        let _left = PLACES.with_borrow_mut(|places| match places.all.get(place) {
            Some(Place::Settled(_)) => places.free(place),
            _ => places.set(place, Place::Forgotten),
        });
    }
}
