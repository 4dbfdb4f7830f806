//! `Random`: `crypto.getRandomValues`, fetched in portions: a call out of wasm costs as much as some hundred bytes.

use std::cell::RefCell;
use tmcp_ports::Random;

const PORTION: usize = 256;

thread_local! {
    /// Random bytes that nobody was given yet, and how many of them are used up.
    static AHEAD: RefCell<([u8; PORTION], usize)> = const { RefCell::new(([0; PORTION], PORTION)) };
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
        AHEAD.with_borrow_mut(|(ahead, used)| {
            if bytes.len() > PORTION - *used {
                if bytes.len() > PORTION {
                    return fetch(bytes);
                }
                fetch(ahead);
                *used = 0;
            }
            if let Some(next) = ahead.get_mut(*used..*used + bytes.len()) {
                bytes.copy_from_slice(next);
                // What was given out is a secret of whoever asked for it.
                next.fill(0);
                *used += bytes.len();
            }
        });
    }
}
