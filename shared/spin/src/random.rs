//! `Random`: the generator of WASI 0.2, fetched in portions of what most requests need. Not by the crate `getrandom`, which asks that of
//! WASI 0.1: the adapter in between takes 128 KiB of every instance's memory (docs/adr/0026).

use std::cell::RefCell;
use tmcp_ports::{Random, RandomAhead};
use wasi::random::random::get_random_bytes;
use zeroize::Zeroizing;

thread_local! {
    /// Of this instance, and so of this request.
    static AHEAD: RefCell<RandomAhead<96>> = const { RefCell::new(RandomAhead::new()) };
}

/// The host's generator.
pub struct WasiRandom;

fn fetch(bytes: &mut [u8]) {
    bytes.copy_from_slice(&Zeroizing::new(get_random_bytes(bytes.len() as u64)));
}

impl Random for WasiRandom {
    fn fill(&self, bytes: &mut [u8]) {
        AHEAD.with_borrow_mut(|ahead| ahead.fill(bytes, fetch));
    }
}
