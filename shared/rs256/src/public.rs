//! The public half of RSA: `s^e mod n` by Montgomery multiplication over 32-bit words, which is what wasm multiplies best.
//!
//! On Spin every request is a fresh instance and verifies its token anew: with `rsa` that took 1.3 ms of wasm, with this a fifth. Only
//! for verification: everything here is public, so that the time taken may depend on it. Nothing private may ever come here.

/// How many leading bits of R²'s exponent are doubled together: up to 63 doublings, which are fewer words than the squarings they spare.
const DOUBLED_BITS: u32 = 6;

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

/// `a - b` modulo 2^(32 · words).
fn subtract(a: &mut [u32], b: &[u32]) {
    let mut borrow = false;
    for (a, b) in a.iter_mut().zip(b) {
        let (difference, first) = a.overflowing_sub(*b);
        let (difference, second) = difference.overflowing_sub(u32::from(borrow));
        (*a, borrow) = (difference, first | second);
    }
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
        if top != 0 || at_least(&sum, &self.n) {
            subtract(&mut sum, &self.n);
        }
        sum
    }

    /// Twice a number modulo n.
    fn double(&self, x: &mut [u32]) {
        let mut carry = 0;
        for word in x.iter_mut() {
            (*word, carry) = (*word << 1 | carry, *word >> 31);
        }
        if carry != 0 || at_least(x, &self.n) {
            subtract(x, &self.n);
        }
    }

    /// R² modulo n, as 2^(32 · words) · R: from the highest power of two below n by doubling to R, and on for the exponent's leading
    /// bits, which is the cheapest for the first few; the others by squaring.
    fn square_of_radix(&self) -> Words {
        let bits = 32 * self.n.len();
        let below = self.bits - 1;
        let mut power = vec![0; self.n.len()];
        if let Some(word) = power.get_mut(below / 32) {
            *word = 1 << (below % 32);
        }
        let squarings = (usize::BITS - bits.leading_zeros()).saturating_sub(DOUBLED_BITS);
        for _ in 0..bits - below + (bits >> squarings) {
            self.double(&mut power);
        }
        for place in (0..squarings).rev() {
            power = self.product(&power, &power);
            if bits >> place & 1 == 1 {
                self.double(&mut power);
            }
        }
        power
    }

    /// `base^exponent` modulo n in as many bytes as n has; none where the base is not below n.
    pub fn power(&self, base: &[u8], exponent: u32) -> Option<Vec<u8>> {
        let mut base = words(base);
        base.resize(self.n.len(), 0);
        if at_least(&base, &self.n) || exponent == 0 {
            return None;
        }
        let form = self.product(&base, &self.square_of_radix());
        let highest = u32::BITS - exponent.leading_zeros();
        let power = (0..highest - 1).rev().fold(form.clone(), |x, place| {
            let squared = self.product(&x, &x);
            if exponent >> place & 1 == 1 { self.product(&squared, &form) } else { squared }
        });
        let mut one = vec![0; self.n.len()];
        *one.first_mut()? = 1;
        let bytes: Vec<u8> = self.product(&power, &one).into_iter().rev().flat_map(u32::to_be_bytes).collect();
        bytes.get(bytes.len() - self.bytes..).map(<[u8]>::to_vec)
    }
}
