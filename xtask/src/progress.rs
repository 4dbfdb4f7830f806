//! What is being done, and for how long: a spinner on a terminal, plain lines elsewhere.

use std::cell::Cell;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// How often a long step says in a plain log that it still runs.
const HEARTBEAT: Duration = Duration::from_secs(60);

/// The progress of one xtask run. Everything goes to standard error.
pub struct Progress {
    started: Instant,
    terminal: bool,
}

/// One step under way. Dropped without [`Step::done`], it leaves only its first line.
pub struct Step {
    name: String,
    run_started: Instant,
    started: Instant,
    bar: Option<ProgressBar>,
    last_sign: Cell<Instant>,
}

impl Progress {
    /// Starts the clock.
    pub fn new() -> Self {
        Self { started: Instant::now(), terminal: std::io::stderr().is_terminal() }
    }

    /// Starts a step, named by what is being done: "building storage".
    pub fn step(&self, name: impl Into<String>) -> Step {
        let name = name.into();
        let bar = self.terminal.then(|| spinner(&name));
        if bar.is_none() {
            eprintln!("{} {name}…", stamp(self.started.elapsed()));
        }
        let now = Instant::now();
        Step { name, run_started: self.started, started: now, bar, last_sign: Cell::new(now) }
    }

    /// Says one thing that is not a step.
    pub fn say(&self, text: &str) {
        eprintln!("{} {text}", stamp(self.started.elapsed()));
    }

    /// Time since the run began.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }
}

impl Step {
    /// Shows a sign of life: on a terminal the last line of output, elsewhere a line a minute.
    pub fn tick(&self, note: impl FnOnce() -> String) {
        if let Some(bar) = &self.bar {
            // Characters of unknown width would break the line.
            bar.set_message(note().chars().filter(|c| (' '..='~').contains(c)).collect::<String>());
        } else if self.last_sign.get().elapsed() >= HEARTBEAT {
            self.last_sign.set(Instant::now());
            eprintln!("{} {}… still at it", stamp(self.run_started.elapsed()), self.name);
        }
    }

    /// Ends the step; one of less than a second leaves no line that says so.
    pub fn done(self) {
        let took = self.started.elapsed();
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        if took < Duration::from_secs(1) {
            return;
        }
        let at = stamp(self.run_started.elapsed());
        eprintln!("{at} {}: done in {}", self.name, seconds(took));
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn spinner(name: &str) -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} [{elapsed:>4}] {prefix}  {wide_msg:.dim}") {
        bar.set_style(style);
    }
    bar.set_prefix(name.to_owned());
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}

fn stamp(elapsed: Duration) -> String {
    format!("[{:>4}s]", elapsed.as_secs())
}

/// A duration for people: "0.4 s", "12 s", "3 min 5 s".
pub fn seconds(took: Duration) -> String {
    let whole = took.as_secs();
    match whole {
        0..10 => format!("{:.1} s", took.as_secs_f64()),
        10..60 => format!("{whole} s"),
        _ => format!("{} min {} s", whole / 60, whole % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_well() {
        assert_eq!(seconds(Duration::from_millis(420)), "0.4 s");
        assert_eq!(seconds(Duration::from_secs(12)), "12 s");
        assert_eq!(seconds(Duration::from_secs(185)), "3 min 5 s");
        assert_eq!(stamp(Duration::from_secs(12)), "[  12s]");
    }
}
