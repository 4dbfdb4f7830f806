//! `Random`: `crypto.getRandomValues`, fetched in portions.

use std::cell::RefCell;
use tmcp_ports::{Random, RandomAhead};

thread_local! {
    static AHEAD: RefCell<RandomAhead<256>> = const { RefCell::new(RandomAhead::new()) };
}

/// The platform's generator.
pub struct WebRandom;

fn fetch(bytes: &mut [u8]) {
    // It fails only where the platform has no generator at all; to go on with zeros would be worse than to stop.
    #[allow(clippy::expect_used)]
    getrandom::getrandom(bytes).expect("no source of randomness");
}

impl Random for WebRandom {
    fn fill(&self, bytes: &mut [u8]) {
        AHEAD.with_borrow_mut(|ahead| ahead.fill(bytes, fetch));
    }
}
