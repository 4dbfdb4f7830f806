//! Maps that live as long as the isolate. Some of their keys come from callers, so where a key lies hangs on a random seed; by a function
//! that takes a tenth of the standard library's time for a token. Both seeds are drawn: of a public one, keys could be made that collide.

use crate::random::WebRandom;
use foldhash::SharedSeed;
use foldhash::fast::SeedableRandomState;
use std::collections::HashMap;
use tmcp_ports::Random;

/// A map of the isolate.
pub type Map<K, V> = HashMap<K, V, SeedableRandomState>;

/// An empty map.
pub fn map<K, V>() -> Map<K, V> {
    let [seed, shared] = [(); 2].map(|()| u64::from_le_bytes(WebRandom.bytes()));
    // As long as the isolate, and there are half a dozen of them.
    let shared = Box::leak(Box::new(SharedSeed::from_u64(shared)));
    HashMap::with_hasher(SeedableRandomState::with_seed(seed, shared))
}
