//! The token bucket (TMCP 8.1): exact, in integers, and pure.

use crate::limits::Limit;
use crate::time::Millis;
use serde::{Deserialize, Serialize};

/// A bucket's stored state. One request costs `window_ms` units and each millisecond brings `refill` units, so that no fraction
/// is ever lost to rounding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bucket {
    level: i64,
    at: i64,
    window_ms: i64,
}

/// The answer to one request, with the figures of the `X-RateLimit-*` headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Admission {
    /// Whether the request may go on.
    pub allowed: bool,
    /// The capacity without the burst.
    pub limit: u32,
    /// Requests that would pass now.
    pub remaining: u32,
    /// The burst beyond the capacity.
    pub burst: u32,
    /// How much of the burst is left.
    pub burst_remaining: u32,
    /// Seconds until the bucket is full again, rounded up.
    pub reset_after: u64,
    /// Seconds until one request would pass, rounded up; 0 when one would pass now.
    pub retry_after: u64,
}

/// With no refill at all, the wait that is told: a day.
const NEVER_S: u64 = 86_400;

impl Bucket {
    fn full(limit: &Limit) -> i64 {
        i64::from(limit.capacity.saturating_add(limit.burst)).saturating_mul(limit.window_ms())
    }

    /// A bucket nobody has drawn from.
    pub fn new(limit: &Limit, now: Millis) -> Self {
        Self { level: Self::full(limit), at: now.0, window_ms: limit.window_ms() }
    }

    /// Draws `cost` requests at `now`. Nothing is drawn where it does not suffice. A clock that steps back refills nothing; a
    /// limit whose window was reconfigured starts full.
    pub fn draw(&mut self, limit: &Limit, cost: u32, now: Millis) -> Admission {
        if self.window_ms != limit.window_ms() {
            *self = Self::new(limit, now);
        }
        let full = Self::full(limit);
        let elapsed = now.0.saturating_sub(self.at).max(0);
        self.level = self.level.saturating_add(elapsed.saturating_mul(i64::from(limit.refill))).min(full);
        self.at = now.0.max(self.at);
        let price = i64::from(cost).saturating_mul(self.window_ms);
        let allowed = self.level >= price;
        if allowed {
            self.level -= price;
        }
        let remaining = u32::try_from(self.level / self.window_ms.max(1)).unwrap_or(u32::MAX);
        let missing = if allowed { 0 } else { price - self.level };
        Admission {
            allowed,
            limit: limit.capacity,
            remaining,
            burst: limit.burst,
            burst_remaining: remaining.min(limit.burst),
            reset_after: wait(full - self.level, limit.refill),
            retry_after: wait(missing, limit.refill),
        }
    }
}

fn wait(units: i64, refill: u32) -> u64 {
    match (u64::try_from(units).unwrap_or(0), u64::from(refill)) {
        (0, _) => 0,
        (_, 0) => NEVER_S,
        (units, refill) => units.div_ceil(refill).div_ceil(1000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMIT: Limit = Limit { capacity: 100, burst: 20, window_s: 60, refill: 100 };

    #[test]
    fn without_refill_exactly_capacity_and_burst_pass() {
        let limit = Limit { refill: 0, ..LIMIT };
        let mut bucket = Bucket::new(&limit, Millis(0));
        let passed = (0..150).filter(|i| bucket.draw(&limit, 1, Millis(i * 1000)).allowed).count();
        assert_eq!(passed, 120);
    }

    #[test]
    fn tells_when_to_come_back() {
        let mut bucket = Bucket::new(&LIMIT, Millis(0));
        for _ in 0..120 {
            assert!(bucket.draw(&LIMIT, 1, Millis(0)).allowed);
        }
        let refused = bucket.draw(&LIMIT, 1, Millis(0));
        assert_eq!((refused.allowed, refused.remaining, refused.retry_after), (false, 0, 1));
        assert_eq!(refused.reset_after, 72);
        assert!(!bucket.draw(&LIMIT, 1, Millis(599)).allowed);
        assert!(bucket.draw(&LIMIT, 1, Millis(600)).allowed);
    }

    #[test]
    fn a_clock_that_steps_back_gives_nothing() {
        let mut bucket = Bucket::new(&LIMIT, Millis(10_000));
        for _ in 0..120 {
            bucket.draw(&LIMIT, 1, Millis(10_000));
        }
        assert!(!bucket.draw(&LIMIT, 1, Millis(0)).allowed);
        assert!(!bucket.draw(&LIMIT, 1, Millis(10_000)).allowed);
    }

    proptest! {
        #[test]
        fn never_more_than_the_refill_allows(steps in proptest::collection::vec(0i64..2_000, 1..300)) {
            let mut bucket = Bucket::new(&LIMIT, Millis(0));
            let (mut now, mut passed) = (0, 0i64);
            for step in steps {
                now += step;
                passed += i64::from(bucket.draw(&LIMIT, 1, Millis(now)).allowed);
                prop_assert!(passed * 60_000 <= 120 * 60_000 + now * 100);
            }
        }
    }
}
