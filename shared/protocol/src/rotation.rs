//! Refresh tokens that are used once (RFC 9700 section 4.14.2), whoever keeps them: what a token that is presented stands for.

use crate::time::Millis;

/// A second use so soon is a client that lost the answer.
pub const GRACE_MS: i64 = 10_000;

/// Whether a token that is presented now was used before in a way that only theft explains: after a while, or after its successor was used.
pub fn is_reuse(used_at: Option<Millis>, successor_used_at: Option<Millis>, now: Millis) -> bool {
    used_at.is_some_and(|used| now > used.plus(GRACE_MS) || successor_used_at.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_use_is_theft_when_it_is_late_or_the_successor_is_in_use() {
        let at = Millis;
        for (used, successor, now, expected) in [
            (None, None, 20_000, false),
            (Some(at(1)), None, 2, false),
            (Some(at(1)), None, 10_001, false),
            (Some(at(1)), None, 10_002, true),
            (Some(at(1)), Some(at(2)), 2, true),
        ] {
            assert_eq!(is_reuse(used, successor, at(now)), expected, "{used:?} {successor:?} {now}");
        }
    }
}
