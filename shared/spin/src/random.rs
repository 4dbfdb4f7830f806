//! `Random`: the WASI generator, fetched in portions of what most requests need.

use std::cell::RefCell;
use tmcp_ports::{Random, RandomAhead};

thread_local! {
    /// Of this instance, and so of this request.
    static AHEAD: RefCell<RandomAhead<96>> = const { RefCell::new(RandomAhead::new()) };
}

/// The host's generator.
pub struct WasiRandom;

fn fetch(bytes: &mut [u8]) {
    // It fails only where the host has no generator at all; to go on with zeros would be worse than to stop.
    #[allow(clippy::expect_used)]
    getrandom::getrandom(bytes).expect("no source of randomness");
}

impl Random for WasiRandom {
    fn fill(&self, bytes: &mut [u8]) {
        AHEAD.with_borrow_mut(|ahead| ahead.fill(bytes, fetch));
    }
}
