//! The seeded driver's mutations: small and few kinds. It holds promises that hold already; finding new things is libFuzzer's.

/// Makes inputs out of seeds, the same ones for the same seed.
pub struct Mutator(u64);

impl Mutator {
    /// Begins at `seed`.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// SplitMix64.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`; 0 where that is 0.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.draw() % u64::try_from(end.max(1)).unwrap_or(1)).unwrap_or(0)
    }

    /// A mutation of one of the seeds, with pieces of others and words of a dictionary.
    pub fn mutate(&mut self, seeds: &[Vec<u8>], words: &[Vec<u8>]) -> Vec<u8> {
        let mut data = seeds.get(self.below(seeds.len())).cloned().unwrap_or_default();
        for _ in 0..=self.below(4) {
            let at = self.below(data.len() + 1);
            match self.below(7) {
                0 => data.truncate(at),
                1 => data.insert(at, self.draw().to_le_bytes()[0]),
                2 if !data.is_empty() => {
                    let at = at % data.len();
                    data[at] ^= 1 << self.below(8);
                }
                3 if !data.is_empty() => {
                    data.remove(at % data.len());
                }
                4 => {
                    let other = seeds.get(self.below(seeds.len())).cloned().unwrap_or_default();
                    let from = self.below(other.len() + 1);
                    data.truncate(at);
                    data.extend_from_slice(&other[from..]);
                }
                5 => {
                    let end = at + self.below(data.len() - at + 1);
                    let piece = data[at..end].to_vec();
                    let to = self.below(data.len() + 1);
                    data.splice(to..to, piece);
                }
                _ => {
                    let word = words.get(self.below(words.len())).cloned().unwrap_or_default();
                    data.splice(at..at, word);
                }
            }
        }
        data.truncate(1 << 16);
        data
    }
}
