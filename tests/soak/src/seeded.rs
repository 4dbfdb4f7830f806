//! Choices that are the same for the same seed. (What the server's answers and the scheduler add is not.)

/// SplitMix64.
#[derive(Debug, Clone)]
pub struct Seeded(u64);

impl Seeded {
    /// A stream of its own for each `name` under one seed.
    pub fn new(seed: u64, name: u64) -> Self {
        let mut seeded = Self(seed ^ name.wrapping_mul(0xd134_2543_de82_ef95));
        seeded.next();
        seeded
    }

    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from `start` up to but not including `end`.
    pub fn between(&mut self, start: u64, end: u64) -> u64 {
        start + self.next() % (end - start).max(1)
    }

    /// One of several, by weight.
    pub fn pick<T: Copy>(&mut self, choices: &[(u64, T)]) -> T {
        let mut at = self.between(0, choices.iter().map(|(weight, _)| weight).sum());
        for (weight, choice) in choices {
            match at.checked_sub(*weight) {
                Some(rest) => at = rest,
                None => return *choice,
            }
        }
        choices[choices.len() - 1].1
    }
}
