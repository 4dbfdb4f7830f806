//! What the load knows of one key: the last acknowledged state, and the writes since whose answers were lost.
//!
//! One task writes a key, one request at a time, so that its history is a line. A write whose answer was lost took effect or not;
//! the next acknowledged write or read settles it. A value that was set to live for a time may be gone once the server's clock has
//! passed its end, and must not be seen when the clock stands behind its end. Where the clock steps back before its end both may be: its
//! row is there until maintenance has found it expired.

/// How far the server's clock may be from what we think it is, in milliseconds.
const MARGIN_MS: i64 = 3_000;

/// A value, by what it was made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    /// The text.
    pub text: String,
    /// When it ends, by the server's clock.
    pub expires_at: Option<i64>,
    /// When it was written, by ours.
    pub written_at: i64,
}

/// The state of a key: a value, or nothing.
pub type State = Option<Value>;

/// What the clocks say while something is looked at.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// The least that the server's clock showed while the request was under way.
    pub server_least: i64,
    /// The most.
    pub server_most: i64,
}

/// One key.
#[derive(Debug, Clone, Default)]
pub struct Key {
    known: State,
    open: Vec<State>,
    /// A request on this key may still be running in the server: nothing is concluded any more.
    late: bool,
}

impl Key {
    /// A write that was acknowledged.
    pub fn acknowledged(&mut self, state: State) {
        self.known = state;
        self.open.clear();
    }

    /// A write whose answer was lost with the server.
    pub fn lost(&mut self, state: State) {
        self.open.push(state);
    }

    /// A write that ran into our own time limit: it may take effect at any time.
    pub fn timed_out(&mut self, state: State) {
        self.open.push(state);
        self.late = true;
    }

    /// Whether the key can still be written and judged.
    pub fn is_usable(&self) -> bool {
        !self.late
    }

    /// Everything that may stand there.
    fn candidates(&self) -> impl Iterator<Item = &State> {
        std::iter::once(&self.known).chain(&self.open)
    }

    /// Judges what was read, and takes it over. `passed` is the most that the server's clock has shown since a moment of ours.
    pub fn observed(&mut self, text: Option<&str>, moment: Moment, passed: impl Fn(i64) -> i64) -> Result<(), String> {
        if self.late {
            return Ok(());
        }
        let fits = |state: &State| match (state, text) {
            (None, None) => true,
            (None, Some(_)) => false,
            (Some(value), None) => {
                value.expires_at.is_some_and(|end| passed(value.written_at).max(moment.server_most) >= end - MARGIN_MS)
            }
            (Some(value), Some(text)) => {
                value.text == text && value.expires_at.is_none_or(|end| moment.server_least < end + MARGIN_MS)
            }
        };
        let found = self.candidates().filter(|state| fits(state)).last().cloned();
        match found {
            Some(state) => {
                self.acknowledged(state);
                Ok(())
            }
            None => Err(format!("{} is there, but {} was to be expected", shown(text), self.expected())),
        }
    }

    fn expected(&self) -> String {
        let name = |state: &State| {
            let ends = state.as_ref().and_then(|value| value.expires_at).map(|end| format!(" (until {end})")).unwrap_or_default();
            format!("{}{ends}", shown(state.as_ref().map(|value| value.text.as_str())))
        };
        self.candidates().map(name).collect::<Vec<_>>().join(" or ")
    }
}

/// A value's beginning and length.
fn shown(text: Option<&str>) -> String {
    match text {
        Some(text) => format!("`{}…` of {} bytes", text.chars().take(24).collect::<String>(), text.len()),
        None => "nothing".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Moment = Moment { server_least: 1_000_000, server_most: 1_000_100 };

    fn value(text: &str, expires_at: Option<i64>) -> State {
        Some(Value { text: text.to_owned(), expires_at, written_at: 0 })
    }

    fn seen(key: &Key, text: Option<&str>) -> bool {
        key.clone().observed(text, NOW, |_| 0).is_ok()
    }

    #[test]
    fn an_acknowledged_write_is_the_only_thing_to_be_seen() {
        let mut key = Key::default();
        assert!(seen(&key, None) && !seen(&key, Some("a")), "a value out of nowhere");
        key.acknowledged(value("a", None));
        assert!(seen(&key, Some("a")));
        assert!(!seen(&key, None), "a lost write goes unnoticed");
        assert!(!seen(&key, Some("torn")), "a torn value goes unnoticed");
        key.acknowledged(None);
        assert!(seen(&key, None) && !seen(&key, Some("a")), "a deleted value that came back goes unnoticed");
    }

    #[test]
    fn a_lost_write_is_there_or_not_until_it_is_seen() {
        let mut key = Key::default();
        key.acknowledged(value("a", None));
        key.lost(value("b", None));
        assert!(seen(&key, Some("a")) && seen(&key, Some("b")) && !seen(&key, None) && !seen(&key, Some("ab")));
        key.observed(Some("b"), NOW, |_| 0).unwrap();
        assert!(!seen(&key, Some("a")), "a state that was overtaken came back unnoticed");
        key.lost(None);
        assert!(seen(&key, None) && seen(&key, Some("b")));
        key.acknowledged(value("c", None));
        assert!(!seen(&key, None));
    }

    #[test]
    fn a_lifetime_ends_by_the_servers_clock_even_when_it_stepped_back() {
        let mut key = Key::default();
        key.acknowledged(value("a", Some(1_060_000)));
        assert!(seen(&key, Some("a")) && !seen(&key, None), "it went too early");
        assert!(key.clone().observed(None, NOW, |_| 2_000_000).is_ok(), "the clock was behind its end for a while");
        let later = Moment { server_least: 1_070_000, server_most: 1_070_000 };
        assert!(key.clone().observed(Some("a"), later, |_| 0).is_err(), "an expired value is seen");
        assert!(key.observed(None, later, |_| 0).is_ok());
        // It was expired, and is not any more; or it was found expired.
        let passed = |_| 1_070_000;
        assert!(key.clone().observed(Some("a"), NOW, passed).is_ok() && key.clone().observed(None, NOW, passed).is_ok());
        assert!(key.observed(Some("b"), NOW, passed).is_err());
        key.acknowledged(None);
        assert!(key.observed(Some("a"), NOW, passed).is_err(), "a deleted value came back with the clock");
    }

    #[test]
    fn nothing_is_concluded_about_a_request_that_may_still_run() {
        let mut key = Key::default();
        key.timed_out(value("a", None));
        assert!(!key.is_usable() && seen(&key, None) && seen(&key, Some("a")));
    }
}
