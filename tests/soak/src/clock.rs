//! The server's clock: ours, moved by the number that `clock.c` reads.

use crate::model::Moment;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// The clock of the server under test.
pub struct Clock {
    file: Option<PathBuf>,
    history: Mutex<History>,
}

#[derive(Default)]
struct History {
    offset: i64,
    /// Our time at each step, and the server's just before it.
    steps: Vec<(i64, i64)>,
}

/// Our own clock, in milliseconds since 1970.
pub fn ours() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

impl Clock {
    /// A clock that the file moves; without one it stands where ours does.
    pub fn new(file: Option<&Path>) -> Self {
        Self { file: file.map(Path::to_path_buf), history: Mutex::default() }
    }

    /// Whether it can be moved.
    pub fn moves(&self) -> bool {
        self.file.is_some()
    }

    fn history(&self) -> std::sync::MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How far it is ahead of ours.
    pub fn offset(&self) -> i64 {
        self.history().offset
    }

    /// Now, by the server's clock.
    pub fn server(&self) -> i64 {
        ours() + self.offset()
    }

    /// Sets how far it is ahead of ours.
    pub fn step_to(&self, offset: i64) -> std::io::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        let mut history = self.history();
        let now = ours();
        let before = now + history.offset;
        history.steps.push((now, before));
        // In place: the server has the file mapped.
        OpenOptions::new().write(true).open(file)?.write_all(&offset.to_ne_bytes())?;
        history.offset = offset;
        Ok(())
    }

    /// The most that the server's clock has shown since a moment of ours.
    pub fn most_since(&self, moment: i64) -> i64 {
        let history = self.history();
        let seen = history.steps.iter().filter(|(at, _)| *at >= moment).map(|(_, server)| *server).max();
        seen.unwrap_or(i64::MIN).max(ours() + history.offset)
    }

    /// What it showed between a moment of ours and now: least and most.
    pub fn moment(&self, began: i64, server_then: i64) -> Moment {
        let now = self.server();
        Moment { server_least: server_then.min(now), server_most: self.most_since(began) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn the_most_that_was_shown_outlasts_a_step_back() {
        let file = std::env::temp_dir().join(format!("tmcp-soak-clock-{}", std::process::id()));
        fs::write(&file, 0i64.to_ne_bytes()).unwrap();
        let clock = Clock::new(Some(&file));
        let before = ours();
        clock.step_to(3_600_000).unwrap();
        assert_eq!(fs::read(&file).unwrap(), 3_600_000i64.to_ne_bytes());
        clock.step_to(-5_000).unwrap();
        assert!(clock.most_since(before) >= before + 3_600_000);
        std::thread::sleep(std::time::Duration::from_millis(5));
        assert!(clock.most_since(ours()) < ours());
        assert!(clock.server() < ours());
        fs::remove_file(file).unwrap();
    }
}
