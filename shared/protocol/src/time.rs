//! Times: milliseconds since the Unix epoch inside, RFC 3339 in UTC on the wire.

use chrono::{DateTime, Datelike, SecondsFormat};
use serde::{Deserialize, Serialize};

/// A moment, in milliseconds since the Unix epoch.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Millis(pub i64);

impl Millis {
    /// The same moment in whole seconds, rounded down.
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// The moment at `seconds` since the epoch; saturates far outside of any calendar.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// This moment, `ms` milliseconds later.
    pub const fn plus(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Reads RFC 3339, of any offset; what is finer than a millisecond is cut.
    pub fn parse(text: &str) -> Option<Self> {
        let moment = DateTime::parse_from_rfc3339(text).ok()?;
        Some(Self(moment.timestamp_millis()))
    }

    /// RFC 3339 in UTC with milliseconds, as every `*_at` and `timestamp` field of TMCP shows it. A year that has not four digits, which
    /// RFC 3339 has no room for, is shown as the epoch.
    pub fn rfc3339(self) -> String {
        let moment = DateTime::from_timestamp_millis(self.0).filter(|moment| (0..=9999).contains(&moment.year()));
        moment.unwrap_or_default().to_rfc3339_opts(SecondsFormat::Millis, true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_utc() {
        assert_eq!(Millis(0).rfc3339(), "1970-01-01T00:00:00.000Z");
        assert_eq!(Millis(1_795_305_600_123).rfc3339(), "2026-11-22T00:00:00.123Z");
        assert_eq!(Millis(-1).rfc3339(), "1969-12-31T23:59:59.999Z");
        assert_eq!(Millis(253_402_300_799_999).rfc3339(), "9999-12-31T23:59:59.999Z");
        for far in [253_402_300_800_000, -62_167_219_200_001, i64::MAX, i64::MIN] {
            assert_eq!(Millis(far).rfc3339(), "1970-01-01T00:00:00.000Z");
        }
    }

    #[test]
    fn reads_any_offset() {
        for (text, ms) in [
            ("2026-11-22T00:00:00.123Z", Some(1_795_305_600_123)),
            ("2026-11-22T01:00:00.1239+01:00", Some(1_795_305_600_123)),
            ("2026-11-22", None),
            ("2026-13-22T00:00:00Z", None),
            ("", None),
        ] {
            assert_eq!(Millis::parse(text), ms.map(Millis), "{text}");
        }
    }

    #[test]
    fn seconds_round_down() {
        assert_eq!(Millis(-1).seconds(), -1);
        assert_eq!(Millis(1999).seconds(), 1);
    }
}
