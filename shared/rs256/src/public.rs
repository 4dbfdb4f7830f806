//! The public half of RSA: `s^e mod n` by Montgomery multiplication over 32-bit words, which is what wasm multiplies best.
//!
//! On Spin every request is a fresh instance and verifies its token anew: with `rsa` that took 1.3 ms of wasm, with this a tenth. Only
//! for verification: everything here is public, so that the time taken may depend on it. Nothing private may ever come here.

/// A number in words of 32 bits, the lowest first.
type Words = Vec<u32>;

/// An odd modulus, and what Montgomery multiplication needs of it.
pub struct Modulus {
    n: Words,
    /// -n⁻¹ modulo 2³².
    inverse: u32,
    bytes: usize,
    bits: usize,
}

fn words(bytes: &[u8]) -> Words {
    bytes.rchunks(4).map(|chunk| chunk.iter().fold(0, |word, byte| word << 8 | u32::from(*byte))).collect()
}

/// Whether `a` is at least `b`, for numbers of as many words.
fn at_least(a: &[u32], b: &[u32]) -> bool {
    a.iter().rev().ge(b.iter().rev())
}

/// `a - b` modulo 2^(32 · words), and whether it fell below zero.
fn subtract(a: &mut [u32], b: &[u32]) -> bool {
    let mut borrow = false;
    for (a, b) in a.iter_mut().zip(b) {
        let (difference, first) = a.overflowing_sub(*b);
        let (difference, second) = difference.overflowing_sub(u32::from(borrow));
        (*a, borrow) = (difference, first | second);
    }
    borrow
}

/// `a · 2^bits` in as many words, which must have room for it; fewer than 32 bits.
fn shifted(a: &[u32], bits: usize) -> Words {
    let mut carry = 0;
    let shift = |word: &u32| {
        let (low, high) = halves(u64::from(*word) << bits | carry);
        carry = high;
        low
    };
    a.iter().map(shift).collect()
}

/// The lower and the upper half of a double word.
#[allow(clippy::cast_possible_truncation, reason = "the lower half is what is wanted")]
fn halves(value: u64) -> (u32, u64) {
    (value as u32, value >> 32)
}

impl Modulus {
    /// Of big-endian bytes: odd, from 2048 to 4096 bits.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let first = bytes.iter().position(|byte| *byte != 0)?;
        let bytes = bytes.get(first..)?;
        let bits = bytes.len() * 8 - bytes.first()?.leading_zeros() as usize;
        let n = words(bytes);
        let lowest = *n.first()?;
        if lowest % 2 == 0 || !(2048..=4096).contains(&bits) {
            return None;
        }
        // Newton's iteration doubles the number of right bits: three are right at the start.
        let inverse = (0..4).fold(lowest, |x, _| x.wrapping_mul(2_u32.wrapping_sub(lowest.wrapping_mul(x))));
        Some(Self { n, inverse: inverse.wrapping_neg(), bytes: bytes.len(), bits })
    }

    /// Its length, which is that of a signature.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// `a · b / R` modulo n, where R is 2^(32 · words) (Montgomery's product).
    fn product(&self, a: &[u32], b: &[u32]) -> Words {
        let mut sum = vec![0_u32; self.n.len()];
        let mut top = 0_u64;
        for digit in a {
            let digit = u64::from(*digit);
            let lowest = u64::from(sum.first().copied().unwrap_or(0)) + digit * u64::from(b.first().copied().unwrap_or(0));
            let factor = u64::from(halves(lowest).0.wrapping_mul(self.inverse));
            let (mut carry, mut reduced) = (0_u64, 0_u64);
            for ((sum, b), n) in sum.iter_mut().zip(b).zip(&self.n) {
                let (low, high) = halves(u64::from(*sum) + digit * u64::from(*b) + carry);
                carry = high;
                let (low, high) = halves(u64::from(low) + factor * u64::from(*n) + reduced);
                reduced = high;
                *sum = low;
            }
            // The lowest word is zero now: it goes, and the carries become the highest.
            sum.rotate_left(1);
            let (high, over) = halves(top + carry + reduced);
            if let Some(last) = sum.last_mut() {
                *last = high;
            }
            top = over;
        }
        self.below(top, sum)
    }

    /// A number below 2n, whose highest word may stand beside the others, modulo n.
    fn below(&self, top: u64, mut sum: Words) -> Words {
        if top != 0 || at_least(&sum, &self.n) {
            subtract(&mut sum, &self.n);
        }
        sum
    }

    /// `a² / R` modulo n: what two different words give is multiplied once and doubled, a quarter less work than the product.
    fn square(&self, a: &[u32]) -> Words {
        let mut wide = vec![0_u32; 2 * a.len()];
        for (i, factor) in a.iter().enumerate() {
            let (factor, others) = (u64::from(*factor), a.get(i + 1..).unwrap_or_default());
            let mut row = wide.get_mut(2 * i + 1..).unwrap_or_default().iter_mut();
            let mut carry = 0_u64;
            for (other, sum) in others.iter().zip(row.by_ref()) {
                let (low, high) = halves(u64::from(*sum) + factor * u64::from(*other) + carry);
                (*sum, carry) = (low, high);
            }
            if let Some(sum) = row.next() {
                *sum = halves(carry).0;
            }
        }
        let mut carry = 0_u64;
        for (pair, word) in wide.chunks_exact_mut(2).zip(a) {
            let mut square = u64::from(*word) * u64::from(*word);
            for sum in pair {
                let (low, high) = halves(square);
                (*sum, carry) = halves((u64::from(*sum) << 1) + u64::from(low) + carry);
                square = high;
            }
        }
        self.reduced(wide)
    }

    /// A number of twice as many words, divided by R, modulo n (Montgomery's reduction).
    fn reduced(&self, mut wide: Words) -> Words {
        let words = self.n.len();
        let mut top = 0_u64;
        for i in 0..words {
            let Some((last, row)) = wide.get_mut(i..=i + words).and_then(<[u32]>::split_last_mut) else { continue };
            let factor = u64::from(row.first().copied().unwrap_or(0).wrapping_mul(self.inverse));
            let mut carry = 0_u64;
            for (sum, n) in row.iter_mut().zip(&self.n) {
                let (low, high) = halves(u64::from(*sum) + factor * u64::from(*n) + carry);
                (*sum, carry) = (low, high);
            }
            (*last, top) = halves(u64::from(*last) + carry + top);
        }
        let sum = wide.split_off(words);
        self.below(top, sum)
    }

    /// R² modulo n, by long division of R · R with a word of the quotient at a time: half the work of one product.
    ///
    /// The divisor is n moved up until its highest bit is set. A word of the quotient comes from the highest words alone, is never too
    /// large, and at most three too small.
    fn square_of_radix(&self) -> Words {
        let up = 32 * self.n.len() - self.bits;
        let divisor = shifted(&self.n, up);
        let highest = u64::from(divisor.last().copied().unwrap_or(0)) + 1;
        // R modulo the divisor is R less the divisor once.
        let mut rest = vec![0; self.n.len()];
        subtract(&mut rest, &divisor);
        for _ in 0..self.n.len() {
            rest.rotate_right(1);
            let mut over = rest.first_mut().map_or(0, |lowest| u64::from(std::mem::take(lowest)));
            let quotient = (over << 32 | u64::from(rest.last().copied().unwrap_or(0))) / highest;
            let mut carry = 0_u64;
            for (rest, word) in rest.iter_mut().zip(&divisor) {
                let (low, high) = halves(quotient * u64::from(*word) + carry);
                let (difference, borrow) = rest.overflowing_sub(low);
                (*rest, carry) = (difference, high + u64::from(borrow));
            }
            over -= carry;
            while over != 0 || at_least(&rest, &divisor) {
                over -= u64::from(subtract(&mut rest, &divisor));
            }
        }
        for bits in (0..up).rev() {
            let multiple = shifted(&self.n, bits);
            if at_least(&rest, &multiple) {
                subtract(&mut rest, &multiple);
            }
        }
        rest
    }

    /// `base^exponent` modulo n in as many bytes as n has; none where the base is not below n, or the exponent not odd and at least 3.
    pub fn power(&self, base: &[u8], exponent: u32) -> Option<Vec<u8>> {
        let mut base = words(base);
        base.resize(self.n.len(), 0);
        if at_least(&base, &self.n) || exponent < 3 || exponent.is_multiple_of(2) {
            return None;
        }
        let form = self.product(&base, &self.square_of_radix());
        let highest = u32::BITS - exponent.leading_zeros();
        let power = (1..highest - 1).rev().fold(form.clone(), |x, place| {
            let squared = self.square(&x);
            if exponent >> place & 1 == 1 { self.product(&squared, &form) } else { squared }
        });
        // By the base itself for the exponent's last bit: this takes R out of the power.
        let power = self.product(&self.square(&power), &base);
        let bytes: Vec<u8> = power.into_iter().rev().flat_map(u32::to_be_bytes).collect();
        bytes.get(bytes.len() - self.bytes..).map(<[u8]>::to_vec)
    }
}
