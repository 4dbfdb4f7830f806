//! `Random`: `crypto.getRandomValues`.

use tmcp_ports::Random;

/// The platform's generator.
pub struct WebRandom;

impl Random for WebRandom {
    fn fill(&self, bytes: &mut [u8]) {
        // It fails only where the platform has no generator at all; to go on with zeros would be worse than to stop.
        #[allow(clippy::expect_used)]
        getrandom::getrandom(bytes).expect("no source of randomness");
    }
}
