//! Mini-app storage (TMCP part 3): keys, lifetimes, timestamps and quotas.

use crate::time::Millis;
use serde::{Deserialize, Serialize};

/// Bytes of values that one user may keep in one app.
pub const QUOTA_BYTES: i64 = 10_485_760;
/// Keys that one user may keep in one app.
pub const QUOTA_KEYS: i64 = 1_000;
/// Bytes of one value.
pub const MAX_VALUE_BYTES: usize = 1_048_576;
/// Bytes of one key.
pub const MAX_KEY_BYTES: usize = 256;
/// Seconds that a key may be set to live at least.
pub const MIN_TTL_S: i64 = 60;
/// Seconds that a key may be set to live at most: thirty days.
pub const MAX_TTL_S: i64 = 2_592_000;
/// Items of one batch.
pub const MAX_BATCH_ITEMS: usize = 100;
/// Bytes of one batch's body.
pub const MAX_BATCH_BYTES: usize = 4 * 1_048_576;
/// How far ahead of our clock a client's timestamp may be.
pub const MAX_CLOCK_LEAD_MS: i64 = 5 * 60 * 1000;
/// How long a deletion is remembered: thirty days.
pub const TOMBSTONE_MS: i64 = 30 * 24 * 60 * 60 * 1000;

/// Why a part of a storage request is refused. The text is shown to the caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// The key.
    #[error("the key must be 1 to 256 bytes of UTF-8 without control characters, and neither `.` nor `..`")]
    Key,
    /// The lifetime.
    #[error("ttl must be a whole number of seconds from 60 to 2592000")]
    Ttl,
    /// The value.
    #[error("the value must be at most 1048576 bytes of UTF-8")]
    Value,
    /// The client's timestamp.
    #[error("client_timestamp must be seconds since 1970 and at most 5 minutes ahead of the server")]
    Timestamp,
    /// The content type.
    #[error("content_type must be a media type of at most 127 characters")]
    ContentType,
}

/// A storage key: 1 to 256 bytes of UTF-8 without control characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StorageKey(String);

impl StorageKey {
    /// Checks and takes over a key.
    pub fn parse(key: impl Into<String>) -> Result<Self, Invalid> {
        let key = key.into();
        // `.` and `..` mean something else in a path, so that no URL could name them.
        if matches!(key.as_str(), "" | "." | "..") || key.len() > MAX_KEY_BYTES || key.chars().any(char::is_control) {
            Err(Invalid::Key)
        } else {
            Ok(Self(key))
        }
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for StorageKey {
    type Error = Invalid;
    fn try_from(key: String) -> Result<Self, Invalid> {
        Self::parse(key)
    }
}

impl From<StorageKey> for String {
    fn from(key: StorageKey) -> String {
        key.0
    }
}

/// The first key behind every key that begins with `prefix`, in byte order; `None` where there is none, as for an empty prefix.
/// Listings by prefix are `key >= prefix AND key < successor(prefix)`.
pub fn successor(prefix: &str) -> Option<String> {
    let mut chars: Vec<char> = prefix.chars().collect();
    while let Some(last) = chars.pop() {
        // UTF-8 sorts as code points do; the surrogates between D7FF and E000 are no characters.
        let next = match last {
            '\u{D7FF}' => Some('\u{E000}'),
            '\u{10FFFF}' => None,
            other => char::from_u32(u32::from(other) + 1),
        };
        if let Some(next) = next {
            chars.push(next);
            return Some(chars.into_iter().collect());
        }
    }
    None
}

/// The end of a lifetime of `ttl` seconds that begins at `now`.
pub fn expiry(ttl: Option<i64>, now: Millis) -> Result<Option<Millis>, Invalid> {
    match ttl {
        None => Ok(None),
        Some(ttl) if (MIN_TTL_S..=MAX_TTL_S).contains(&ttl) => Ok(Some(now.plus(ttl * 1000))),
        Some(_) => Err(Invalid::Ttl),
    }
}

/// A client's timestamp, given in seconds (with or without a fraction), as milliseconds. Never more than five minutes ahead.
pub fn client_time(seconds: Option<f64>, now: Millis) -> Result<Option<Millis>, Invalid> {
    let Some(seconds) = seconds else { return Ok(None) };
    let ms = (seconds * 1000.0).round();
    if !(0.0..=9_007_199_254_740_991.0).contains(&ms) {
        return Err(Invalid::Timestamp);
    }
    #[allow(clippy::cast_possible_truncation)]
    let moment = Millis(ms as i64);
    if moment > now.plus(MAX_CLOCK_LEAD_MS) {
        return Err(Invalid::Timestamp);
    }
    Ok(Some(moment))
}

/// Checks a media type: `type/subtype` with optional parameters, in visible ASCII.
pub fn check_content_type(text: &str) -> Result<(), Invalid> {
    let good = text.len() <= 127
        && text.split_once('/').is_some_and(|(kind, rest)| !kind.is_empty() && !rest.is_empty())
        && text.bytes().all(|b| (0x20..0x7f).contains(&b));
    if good { Ok(()) } else { Err(Invalid::ContentType) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn keys() {
        for good in ["a", "a/b c", "ключ", "batch", &"k".repeat(256)] {
            assert!(StorageKey::parse(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "a\nb", "a\0", &"k".repeat(257), &"é".repeat(129)] {
            assert!(StorageKey::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn lifetimes() {
        assert_eq!(expiry(Some(60), Millis(5)), Ok(Some(Millis(60_005))));
        assert_eq!(expiry(None, Millis(5)), Ok(None));
        for bad in [0, 59, 2_592_001, -60] {
            assert_eq!(expiry(Some(bad), Millis(5)), Err(Invalid::Ttl));
        }
    }

    #[test]
    fn timestamps() {
        let now = Millis(1_000_000_000);
        assert_eq!(client_time(Some(1_000_000.5), now), Ok(Some(Millis(1_000_000_500))));
        assert_eq!(client_time(Some(1_000_300.0), now), Ok(Some(Millis(1_000_300_000))));
        for bad in [1_000_300.001, -1.0, f64::NAN, f64::INFINITY, 1e300] {
            assert_eq!(client_time(Some(bad), now), Err(Invalid::Timestamp), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn the_successor_bounds_the_prefix(prefix in ".{0,8}", rest in ".{0,8}", other in ".{0,8}") {
            let key = format!("{prefix}{rest}");
            let in_range = |k: &str| k >= prefix.as_str() && successor(&prefix).is_none_or(|end| k < end.as_str());
            prop_assert!(in_range(&key));
            prop_assert_eq!(in_range(&other), other.starts_with(&prefix));
        }
    }
}
