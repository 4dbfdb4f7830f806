//! `Random`: the WASI generator.

use tmcp_ports::Random;

/// The host's generator.
pub struct WasiRandom;

impl Random for WasiRandom {
    fn fill(&self, bytes: &mut [u8]) {
        // It fails only where the host has no generator at all; to go on with zeros would be worse than to stop.
        #[allow(clippy::expect_used)]
        getrandom::getrandom(bytes).expect("no source of randomness");
    }
}
